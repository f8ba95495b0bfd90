"""Divide persons by how one of their sums changes, so that the sum of each part can be shown or hidden by itself.

A sum over all persons would show how much a single one of them gains or loses.
"""

from typing import Literal

import msgspec

Direction = Literal["begins", "ends", "rises", "falls", "stays"]


class Part(msgspec.Struct, gc=False):
    """Persons whose sum moves in one direction. `before`, `after`: their sums, in fen or in visits."""

    people: int = 0
    before: int = 0
    after: int = 0

    def count(self, before: int, after: int) -> None:
        """Add one person."""
        self.people += 1
        self.before += before
        self.after += after


def direction_of(before: int, after: int) -> Direction | None:
    """Return how the sum of a person changes; None if it is 0 on both sides, so that the person is in no part."""
    if before == after:
        return "stays" if before else None
    if not before or not after:
        return "ends" if before else "begins"
    return "rises" if before < after else "falls"
