"""Tests of periods [`valid_from`, `valid_to`) of dated values. If `valid_to` is None, the period has no end."""

from collections.abc import Iterable
from datetime import date
from typing import Protocol


class Dated(Protocol):
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


def is_within(day: date, start: date, end: date | None) -> bool:
    return start <= day and (end is None or day < end)


def in_force(dated: Dated, day: date) -> bool:
    return is_within(day, dated.valid_from, dated.valid_to)


def edges(dated: Iterable[Dated]) -> set[date]:
    """Return the days on which any of the values begins or ends."""
    return {day for x in dated for day in (x.valid_from, x.valid_to) if day}
