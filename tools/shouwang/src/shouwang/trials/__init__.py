"""Trials of a running platform: push it, pay from it, kill its processes, and look at what is left. For tests."""
