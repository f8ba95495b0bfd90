"""Prints the lines of a story, and has the checks that make a story fail."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import monotonic
from typing import TypeVar

from common import money

T = TypeVar("T")


class StoryFailed(AssertionError):
    """An expected event or state did not occur, or not before its deadline."""


def expect(actual: object, wanted: object, subject: str) -> None:
    """Raise StoryFailed unless both values are equal."""
    if actual != wanted:
        raise StoryFailed(f"{subject}: {actual!r} instead of {wanted!r}")


def need(holds: bool, subject: str) -> None:
    """Raise StoryFailed unless the condition holds."""
    if not holds:
        raise StoryFailed(subject)


def only(found: list[T], subject: str) -> T:
    """Return the only element of the list. Raises StoryFailed for none or several."""
    if len(found) != 1:
        raise StoryFailed(f"{subject}: {len(found)} instead of one")
    return found[0]


def yuan(amount_fen: int) -> str:
    """Return an amount as text: `50 元`, `12.50 元`."""
    return f"{money.yuan(amount_fen).removesuffix('.00')} 元"


class Transcript:
    """Prints the steps of stories, each with the seconds that it took."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.stories = 0

    @contextlib.contextmanager
    def story(self, title: str, person: str) -> Iterator[None]:
        """Print the title of one person's story, and its result. `person` describes a synthetic person."""
        self.stories += 1
        self._print(f"\n{self.stories}. {title}\n   {person}")
        started = monotonic()
        try:
            yield
        except BaseException as error:
            self._print(f"   ✗ {error or type(error).__name__}")
            raise
        self._print(f"   ✓ done in {monotonic() - started:.1f} s")

    def action(self, text: str) -> float:
        """Print an action from outside the platform. Returns the present in monotonic seconds."""
        self._print(f"   →            {text}")
        return monotonic()

    def observed(self, text: str, began: float | None = None, at: float | None = None) -> None:
        """Print a reaction of the platform, and the seconds from `began` to `at` (monotonic; default: now)."""
        took = ""
        if began is not None:
            ended = monotonic() if at is None else at
            took = f"{ended - began:6.3f} s"
        self._print(f"     {took:<10} {text}")

    def _print(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
