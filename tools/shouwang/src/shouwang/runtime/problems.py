"""The error that commands show to the user."""

from __future__ import annotations


class LocalProblem(Exception):
    """The command is not possible on this machine. The text is one sentence with the problem and a solution."""
