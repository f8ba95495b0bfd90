"""Tools for tests of a running platform: push events, pay, kill processes, read and compare the results."""
