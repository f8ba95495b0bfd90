"""Trials of a running platform, for tests: push events, pay, kill processes, read the results."""
