"""Tables, rows and cells of files, and their conversion to values. Pure code."""
