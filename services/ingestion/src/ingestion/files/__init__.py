"""Imports files of rows or events: stores them sealed on disk, reads their formats, and turns rows into events."""
