"""Rehearsals: checks that take too long for `make test`, run by hand, with a committed log of the last results."""
