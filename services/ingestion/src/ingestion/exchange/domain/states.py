"""The values of a decision: a row of a front-end table, the stored state of its key, and the resulting events.

The key columns of a table identify a row permanently. The events of a key have numbers (`version`), beginning with 1.
A period is the time in which a statement of the row holds. Its events form a chain; the last of them is its `head`.
"""

from datetime import date, datetime
from typing import Final, Literal, NamedTuple

from common.events.facts import Action

# The state of the present period; `silent`: only a deletion was read.
Life = Literal["silent", "alive", "ended", "annulled"]
# An updated row corrects the present period (`corrected`), begins a new period even with the same first day
# (`created`), or begins a new period only with a later first day (`by_period`).
UpdateMeaning = Literal["by_period", "corrected", "created"]
EndMeaning = Literal["ended", "annulled", "nothing"]
FORMER_PERIODS_MAX: Final = 12


class Content(NamedTuple):
    """The statement of a row. `subject`: keyed hash of the person and of the household or item; `digest`: keyed hash of
    the whole statement without the end of its period."""

    subject: bytes
    digest: bytes
    valid_from: date | None
    valid_to: date | None


class Change(NamedTuple):
    """A row as it was read. `at`: when it was written. `watermark`: its position in the order of changes, if known.

    `content`: None if a deleted row shows only its key. `valid_to`: the end of the period in a row without content."""

    at: datetime
    watermark: tuple[object, ...] | None
    is_deleted: bool
    content: Content | None
    valid_to: date | None = None


class Period(NamedTuple):
    """A former period of a key. `head`: version of its last event.

    `valid_to`: its end in the events. `stated_to`: the end that the row or its deletion stated; None if the period ends
    because the next one begins. Older stored states have neither: an end that is not known is never moved."""

    head: int
    valid_from: date | None
    valid_to: date | None = None
    stated_to: date | None = None


FormerPeriods = tuple[Period, ...]


class KeyState(NamedTuple):
    """The stored state of a key. `version`: number of its last event; `head`: number of the last event of the present
    period, 0 without one; `at`: time of the last event; `former`: the earlier periods, oldest first."""

    version: int
    life: Life
    at: datetime
    watermark: tuple[object, ...] | None
    content: Content | None
    head: int = 0
    former: FormerPeriods = ()


class Draft(NamedTuple):
    """An event to record. `previous`: version of the event before it in its chain; `about_former`: the event is about
    the person of that earlier event, not about the person in the row."""

    action: Action
    version: int
    previous: int | None
    valid_from: date | None
    valid_to: date | None
    about_former: bool = False


class RowRules(NamedTuple):
    """The meaning of an updated, a deleted and (in a full load) a missing row. `is_one_day`: the kind of fact has one
    day and no period."""

    updated: UpdateMeaning
    deleted: EndMeaning
    missing: EndMeaning
    is_one_day: bool


Outcome = tuple[list[Draft], KeyState]  # the events in their order, and the state after them
