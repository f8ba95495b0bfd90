"""The raw limit: the same bytes through the same number of stores, with nothing done to them."""
