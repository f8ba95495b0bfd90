"""The one error of this package that a person sees."""

from __future__ import annotations


class LocalProblem(Exception):
    """This machine cannot do what was asked; the text is one sentence that says what to do about it."""
