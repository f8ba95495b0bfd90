"""Files of rows or events: the sealed spool, readers of the formats, and the way from a row to an event."""
