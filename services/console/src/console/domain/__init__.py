"""The pure part of the console: it makes names, lines, counts and contents of pages from data of other services."""
