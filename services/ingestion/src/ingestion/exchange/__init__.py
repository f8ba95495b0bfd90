"""Front-end tables of other departments: each row becomes events."""
