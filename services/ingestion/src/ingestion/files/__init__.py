"""Files from outside: the sealed spool, readers of five formats, and from a row to an event."""
