"""The raw limit: the same bytes through the same number of databases, without any processing."""
