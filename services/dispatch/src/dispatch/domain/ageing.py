"""Living tags grow old: whoever was said to live alone may long have company, or be gone. Old tags end nothing; they
send somebody to see. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import msgspec
from common.calendar import add_months


class Tags(msgspec.Struct, frozen=True, array_like=True):
    """That a person has living tags over [`from_`, `to`) (None: since long, or still), last verified on a day."""

    verified_on: date
    from_: date | None
    to: date | None

    def hold_on(self, day: date) -> bool:
        return (self.from_ is None or self.from_ <= day) and (self.to is None or day < self.to)


class Ageing(NamedTuple):
    """`old_since`: the day on which the tags became due to be verified again, None while they are fresh or there are
    none; tags that nobody renews become due again after each further term. `turns_on`: the next day on which time alone
    changes any of this."""

    old_since: date | None
    turns_on: date | None


NEVER_OLD = Ageing(None, None)


def ageing(tags: Sequence[Tags], months: int | None, today: date) -> Ageing:
    """How old the tags of today are when they are believed for `months` (None: for ever)."""
    if months is None:
        return NEVER_OLD
    turns = [day for t in tags for day in (t.from_, t.to) if day is not None and day > today]
    held = next((t for t in tags if t.hold_on(today)), None)
    if held is None:
        return Ageing(None, min(turns, default=None))
    terms = _months_between(held.verified_on, today) // months
    turns.append(add_months(held.verified_on, (terms + 1) * months))
    return Ageing(add_months(held.verified_on, terms * months) if terms else None, min(turns))


def _months_between(since: date, today: date) -> int:
    """Whole months that have passed, 0 for a day to come."""
    months = (today.year - since.year) * 12 + today.month - since.month
    return max(0, months if add_months(since, months) <= today else months - 1)
