"""Codes of national standards: citizen ID numbers, administrative divisions, unified social credit codes."""
