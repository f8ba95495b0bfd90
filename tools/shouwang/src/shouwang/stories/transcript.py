"""How a story is told on a terminal, and how it fails."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from time import monotonic
from typing import TypeVar

from common import money

T = TypeVar("T")


class StoryFailed(AssertionError):
    """What a story shows did not happen, or not in time."""


def expect(actual: object, wanted: object, what: str) -> None:
    """Raises StoryFailed unless both are equal."""
    if actual != wanted:
        raise StoryFailed(f"{what}: {actual!r} instead of {wanted!r}")


def need(holds: bool, what: str) -> None:
    """Raises StoryFailed unless it holds."""
    if not holds:
        raise StoryFailed(what)


def only(found: list[T], what: str) -> T:
    """The one element. Raises StoryFailed otherwise."""
    if len(found) != 1:
        raise StoryFailed(f"{what}: {len(found)} instead of one")
    return found[0]


def yuan(amount_fen: int) -> str:
    """`50 元`, `12.50 元`."""
    return f"{money.yuan(amount_fen).removesuffix('.00')} 元"


class Teller:
    """Prints what happens, each line with the seconds it took."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.told = 0

    @contextlib.contextmanager
    def story(self, title: str, who: str) -> Iterator[None]:
        """One person's story. `who` describes the person; nobody in it exists."""
        self.told += 1
        self._print(f"\n{self.told}. {title}\n   {who}")
        started = monotonic()
        try:
            yield
        except BaseException as error:
            self._print(f"   ✗ {error or type(error).__name__}")
            raise
        self._print(f"   ✓ told in {monotonic() - started:.1f} s")

    def happens(self, text: str) -> float:
        """Something that is done from outside. Returns the moment, to measure from."""
        self._print(f"   →            {text}")
        return monotonic()

    def seen(self, text: str, began: float | None = None, at: float | None = None) -> None:
        """Something that the platform did; `began` and `at` are monotonic seconds."""
        took = "" if began is None else f"{(monotonic() if at is None else at) - began:6.3f} s"
        self._print(f"     {took:<10} {text}")

    def _print(self, text: str) -> None:
        if not self.quiet:
            print(text, flush=True)
