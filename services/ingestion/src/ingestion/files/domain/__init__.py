"""Tables, rows and cells of files. Pure code."""
