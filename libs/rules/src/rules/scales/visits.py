"""Compute the dates of visits: a sequence of windows [from, to), made from the interval of a tier.

The first window of a run has `first_visit_days`. After it, for an interval up to 14 days, each window has exactly that
many days, so every calendar month has a whole window. For a longer interval a window is a slot, or the rest of a slot.
A slot is an equal part of a month, or the whole month. So no month is without a visit. A tier with an interval of three
months is visited monthly, as the ten departments' opinion demands from 2026 on. Only the loader does I/O."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from common.calendar import add_months, month_of

from rules.form.period import is_within

VISIT_ITEMS: Final = frozenset({"visiting_care"})
TILE_DAYS_MAX: Final = 14  # 2 × 14 − 1 days fit into the shortest month from any first day


class VisitRules(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters of `contracts/visits/parameters.yaml`, by name. Days are civil days."""

    first_visit_days: Annotated[int, msgspec.Meta(ge=1, le=TILE_DAYS_MAX)]
    interval_days_default: Annotated[int, msgspec.Meta(ge=1, le=366)]
    redispatch_days: Annotated[int, msgspec.Meta(ge=1, le=31)]
    redispatches_max: Annotated[int, msgspec.Meta(ge=0, le=10)]
    offer_hours: Annotated[int, msgspec.Meta(ge=1, le=240)]
    offer_hours_urgent: Annotated[int, msgspec.Meta(ge=1, le=24)]
    offers_max: Annotated[int, msgspec.Meta(ge=1, le=10)]
    offer_ahead_days: Annotated[int, msgspec.Meta(ge=0, le=31)]
    visit_hours_max: Annotated[int, msgspec.Meta(ge=1, le=72)]
    incident_visit_days: Annotated[int, msgspec.Meta(ge=1, le=31)]
    discharge_visit_days: Annotated[int, msgspec.Meta(ge=1, le=TILE_DAYS_MAX)]
    news_days_max: Annotated[int, msgspec.Meta(ge=1, le=366)]
    reverify_visit_days: Annotated[int, msgspec.Meta(ge=1, le=92)]
    open_stay_days: Annotated[int, msgspec.Meta(ge=1, le=92)]
    open_stay_check_days: Annotated[int, msgspec.Meta(ge=1, le=31)]


class _Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    issuer: str
    number: str
    locator: str


class _Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: int
    status: Literal["documented", "example"]
    note: str
    source: _Source | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    parameters: dict[str, _Parameter]


def load_visit_rules(path: Path) -> VisitRules:
    """Read the rules from their file. Raises msgspec.ValidationError for an unknown, missing, unsourced or invalid
    value."""
    found = msgspec.yaml.decode(path.read_bytes(), type=_File).parameters
    unsourced = [name for name, p in found.items() if p.status == "documented" and p.source is None]
    if unsourced or found.keys() - set(VisitRules.__struct_fields__):
        raise msgspec.ValidationError(f"unsourced or unknown parameters: {unsourced or sorted(found)}")
    return msgspec.convert({name: p.value for name, p in found.items()}, VisitRules)


class Stretch(msgspec.Struct, frozen=True, array_like=True):
    """A granted entitlement to visits over [`from_`, `to`). `reverify_months`: the age at which living tags must be
    verified again."""

    entitlement_id: str
    from_: date
    to: date | None
    division: str
    tier: str | None = None
    interval_days: int | None = None
    reverify_months: int | None = None

    @property
    def care(self) -> tuple[str, str | None, int | None]:
        """The values that decide the place and the frequency of visits."""
        return self.division, self.tier, self.interval_days


class Run(NamedTuple):
    """Adjoining stretches with equal `care`, planned as one."""

    stretches: tuple[Stretch, ...]

    @property
    def from_(self) -> date:
        return self.stretches[0].from_

    @property
    def to(self) -> date | None:
        return self.stretches[-1].to

    @property
    def first(self) -> Stretch:
        return self.stretches[0]

    def covers(self, day: date) -> bool:
        return is_within(day, self.from_, self.to)

    def stretch_on(self, day: date) -> Stretch:
        """Return the stretch of a day; the nearest one if the day lies outside."""
        before = [s for s in self.stretches if s.from_ <= day]
        return before[-1] if before else self.stretches[0]

    def entitlement_on(self, day: date) -> str:
        """Return the id of the entitlement for a visit on a day."""
        return self.stretch_on(day).entitlement_id


def runs(stretches: Sequence[Stretch]) -> list[Run]:
    """Join adjoining stretches with equal `care`. Return the runs in the order of days."""
    found: list[list[Stretch]] = []
    for stretch in sorted(stretches, key=lambda s: s.from_):
        last = found[-1][-1] if found else None
        if last is not None and last.to == stretch.from_ and last.care == stretch.care:
            found[-1].append(stretch)
        else:
            found.append([stretch])
    return [Run(tuple(group)) for group in found]


class Window(NamedTuple):
    from_: date
    to: date


def first_window(start: date, rules: VisitRules) -> Window:
    """Return the window of the first visit of a run that starts on a day."""
    return Window(start, start + timedelta(days=rules.first_visit_days))


def next_window(start: date, interval_days: int, previous_from: date | None = None) -> Window:
    """Return the window that begins on `start`, or the next slot if `start` leaves too little of the present slot.

    `previous_from`: the first day of the window before it; None: no such window. A window is at most one day longer
    than the interval. Less than half a slot is too little, unless the month would then have no window of its own.
    """
    if interval_days <= TILE_DAYS_MAX:
        return Window(start, start + timedelta(days=interval_days))
    slot = _slot(start, interval_days)
    if start == slot.from_:
        return slot
    following = _slot(slot.to, interval_days)
    month = month_of(start)
    covered = (previous_from is not None and previous_from >= month) or month_of(following.from_) == month
    if covered and (slot.to - start) * 2 < slot.to - slot.from_:
        return following
    return Window(start, slot.to)


def _slot(day: date, interval_days: int) -> Window:
    """Return the slot that contains a day. A month has as few equal slots as the interval allows."""
    first = month_of(day)
    following = add_months(first, 1)
    days = (following - first).days
    parts = -(-days // (interval_days + 1))  # a fortnight is also the half of a month that has 16 days
    bounds = [first + timedelta(days=days * i // parts) for i in range(parts)] + [following]
    return next(Window(a, b) for a, b in pairwise(bounds) if a <= day < b)
