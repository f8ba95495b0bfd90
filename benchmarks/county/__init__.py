"""A county imported from files, and edits of its lists: throughput and memory, independent of the file size."""
