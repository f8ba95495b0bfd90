"""Decisions about the rows of front-end tables. Pure code."""
