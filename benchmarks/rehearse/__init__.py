"""Rehearsals: checks that take too long for `make test`. They are run by hand; the last results are committed."""
