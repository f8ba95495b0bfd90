"""The error that commands show to the user."""

from __future__ import annotations


class LocalProblem(Exception):
    """A command cannot do its work. The text names the problem, often with a solution or the last lines of a log."""
