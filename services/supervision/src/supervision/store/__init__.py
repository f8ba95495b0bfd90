"""Every SQL statement of supervision, one module per noun."""
