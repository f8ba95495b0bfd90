"""Measures the import of a county from files, and edits of its lists: throughput, and memory by size of the file."""
