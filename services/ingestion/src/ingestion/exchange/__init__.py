"""Table exchange: front-end tables of other departments, read as they stand, row by row into events."""
