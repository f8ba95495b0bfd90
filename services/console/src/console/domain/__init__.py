"""The pure part of the console: names, lines, counts and the shapes of pages."""
