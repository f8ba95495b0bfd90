"""What a row of an exchanged table means, given what its key said before: pure, one row at a time.

A row says one thing about one person at a time. Each thing it says is a chain of events; what it said last is kept,
so that the same row read again says nothing, and a change says only what changed.
"""

from datetime import date, datetime
from typing import Final, Literal, NamedTuple

from common.calendar import civil_date
from common.events.facts import Action

Life = Literal["silent", "alive", "ended", "annulled"]
Updates = Literal["by_period", "corrected", "created"]
Goodbye = Literal["ended", "annulled", "nothing"]


class Told(NamedTuple):
    """What a row says: `line` whom (and which household) it is about, `said` everything but the end of its period."""

    line: bytes
    said: bytes
    valid_from: date | None
    valid_to: date | None


class Change(NamedTuple):
    """A row as it was read. `at`: when it was written; `mark`: its place in the order of changes, where there is one;
    `told`: None where a deleted row shows no more than its key; `until`: the end that such a row tells."""

    at: datetime
    mark: tuple[object, ...] | None
    gone: bool
    told: Told | None
    until: date | None = None


Earlier = tuple[tuple[int, date | None], ...]
EARLIER_MAX: Final = 12


class Seen(NamedTuple):
    """What is known of a key. `version`: number of its last event; `head`: of the last one of the present period;
    `at`: its time; `life`: whether what it said holds; `silent`: only its deletion was ever seen. `earlier`: the
    periods before, oldest first: the last event of each and its first day, should the row come to say something else
    of that time."""

    version: int
    life: Life
    at: datetime
    mark: tuple[object, ...] | None
    told: Told | None
    head: int = 0
    earlier: Earlier = ()


class Deed(NamedTuple):
    """An event to be said. `follows`: the version of the event before it; `of_old`: about the person as of before."""

    action: Action
    version: int
    follows: int | None
    valid_from: date | None
    valid_to: date | None
    of_old: bool = False


class Ways(NamedTuple):
    """How the table is meant: what an update, a deletion and (in a full load) a missing row say."""

    updated: Updates
    deleted: Goodbye
    missing: Goodbye
    one_day: bool


Outcome = tuple[list[Deed], Seen]


def decide_row(seen: Seen | None, change: Change, ways: Ways) -> Outcome:
    """The events that follow, in their order, and what is known of the key afterwards."""
    if change.gone:
        return _gone(seen, change, ways)
    told = change.told
    assert told is not None
    if seen is None:
        return _begin(0, change, told)
    if is_late(seen, change):
        return _late(seen, change, told, ways)
    if seen.told is None:
        return _begin(seen.version, change, told)
    if seen.life == "annulled":
        earlier = seen.earlier if told.line == seen.told.line else ()
        if told.valid_from is None and earlier:
            told = told._replace(valid_from=civil_date(change.at))
        return _make_room(*_begin(seen.version, _not_before(seen, change), told, earlier))
    if seen.life == "ended":
        return _again(seen, seen.told, change, told)
    return _update(seen, seen.told, change, told, ways)


def decide_missing(seen: Seen, now: datetime, ways: Ways) -> Outcome:
    """For a row that a full load no longer has."""
    if seen.life != "alive" or seen.told is None:
        return [], seen
    if ways.one_day and ways.missing == "ended":
        return [], seen._replace(life="ended")  # a day cannot end; lists of the past are simply cut
    return _end(seen, seen.told, now, civil_date(now), ways.missing)


# ── a row that is there ─────────────────────────────────────────────────────────────────────────────────────


def _begin(version: int, change: Change, told: Told, earlier: Earlier = ()) -> Outcome:
    deed = Deed("created", version + 1, None, told.valid_from, told.valid_to)
    return [deed], Seen(version + 1, "alive", change.at, change.mark, told, version + 1, earlier)


def is_late(seen: Seen, change: Change) -> bool:
    """Whether the row is older than what is known of its key."""
    return change.mark is not None and seen.mark is not None and _before(change.mark, seen.mark)


def _before(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    try:
        return one < other
    except TypeError:  # the column changed its type: what came last counts
        return False


def _late(seen: Seen, change: Change, told: Told, ways: Ways) -> Outcome:
    """A row older than what is known of its key. What a newer one has replaced says nothing more, but a period before
    everything that is known, or before a deletion that came first, is news."""
    if seen.told is None:
        deeds, begun = _begin(seen.version, change, told)
        more, ended = _end(begun, told, seen.at, told.valid_to or civil_date(seen.at), ways.deleted)
        return [*deeds, *more], ended._replace(mark=seen.mark)
    known_from = seen.told.valid_from
    if known_from is None or (told.valid_from is not None and told.valid_from >= known_from):
        return [], seen
    if told.valid_from is None or told.line != seen.told.line:
        return [], seen
    if any(since == told.valid_from for _, since in seen.earlier):
        return [], seen  # read before
    until, version = min(told.valid_to or known_from, known_from), seen.version + 1
    periods = sorted((*seen.earlier, (version, told.valid_from)), key=lambda period: period[1] or date.min)
    deed = Deed("created", version, None, told.valid_from, until)
    return [deed], seen._replace(version=version, earlier=tuple(periods[-EARLIER_MAX:]))


def _update(seen: Seen, old: Told, change: Change, told: Told, ways: Ways) -> Outcome:
    told = told if told.said != old.said else told._replace(valid_from=old.valid_from)
    if (told.line, told.said, told.valid_to) == (old.line, old.said, old.valid_to):
        return [], seen._replace(mark=change.mark)
    version, at = seen.version, max(change.at, seen.at)
    after = seen._replace(version=version + 1, head=version + 1, at=at, mark=change.mark, told=told)
    if told.line == old.line and told.said == old.said and told.valid_to is not None:
        return [Deed("ended", version + 1, seen.head, None, told.valid_to)], after
    since = _new_period_from(old, change, told, ways)
    if since is None and told.line == old.line:
        if told.valid_from is None and old.valid_from is not None:  # as before, at the latest from now on
            told = told._replace(valid_from=min(old.valid_from, civil_date(change.at)))
        deed = Deed("corrected", version + 1, seen.head, told.valid_from, told.valid_to)
        return _make_room([deed], after._replace(told=told))
    close = Deed("annulled", version + 1, seen.head, None, None, of_old=True)
    if since is not None:
        told = told._replace(valid_from=since)
        close = Deed("ended", version + 1, seen.head, None, since, of_old=True)
    earlier = _with(seen.earlier, version + 1, old) if told.line == old.line else ()
    deeds, begun = _begin(version + 1, change._replace(at=at), told, earlier)
    return [close, *deeds], begun


def _with(earlier: Earlier, version: int, old: Told) -> Earlier:
    return (*earlier, (version, old.valid_from))[-EARLIER_MAX:]


def _not_before(seen: Seen, change: Change) -> Change:
    return change._replace(at=max(change.at, seen.at))


def _make_room(deeds: list[Deed], after: Seen) -> Outcome:
    """Where a period now begins sooner than periods that the row had before, those were never true; the one before
    them ends where it begins."""
    assert after.told is not None
    since, version, earlier = after.told.valid_from, after.version, list(after.earlier)
    while earlier and (since is None or (earlier[-1][1] is not None and earlier[-1][1] >= since)):
        version += 1
        deeds.append(Deed("annulled", version, earlier.pop()[0], None, None, of_old=True))
    if earlier and since is not None:
        version += 1
        deeds.append(Deed("ended", version, earlier[-1][0], None, since, of_old=True))
        earlier[-1] = (version, earlier[-1][1])
    return deeds, after._replace(version=version, earlier=tuple(earlier))


def _new_period_from(old: Told, change: Change, told: Told, ways: Ways) -> date | None:
    """The day from which the row says something new; None where it corrects what it said. A row that has no day of
    its own is new from the day on which it was changed. What had not begun yet is corrected: only one period at a
    time lies ahead."""
    if ways.updated == "corrected" or (old.valid_from is not None and old.valid_from > civil_date(change.at)):
        return None
    day = told.valid_from
    if day is None or (ways.updated == "created" and not ways.one_day and day == old.valid_from):
        day = civil_date(change.at)
        return day if old.valid_from is None or day > old.valid_from else None
    return day if old.valid_from is not None and day > old.valid_from else None


def _again(seen: Seen, old: Told, change: Change, told: Told) -> Outcome:
    """A key that was gone is back: it never ended, or it begins again."""
    ended_on, change = old.valid_to, _not_before(seen, change)
    if (told.line, told.said, told.valid_to) == (old.line, old.said, ended_on):
        return [], seen._replace(life="alive", mark=change.mark, told=told._replace(valid_from=old.valid_from))
    if told.valid_from is None:
        told = told._replace(valid_from=civil_date(change.at))
    if told.line != old.line:
        return _begin(seen.version, change, told)
    assert told.valid_from is not None
    if ended_on is not None and told.valid_from >= ended_on:
        return _begin(seen.version, change, told, _with(seen.earlier, seen.head, old))
    version = seen.version + 1
    deed = Deed("corrected", version, seen.head, told.valid_from, told.valid_to)
    after = seen._replace(version=version, head=version, life="alive", at=change.at, mark=change.mark, told=told)
    return _make_room([deed], after)


# ── a row that is gone ──────────────────────────────────────────────────────────────────────────────────────


def _gone(seen: Seen | None, change: Change, ways: Ways) -> Outcome:
    day = (change.told.valid_to if change.told else change.until) or civil_date(change.at)
    if seen is None:
        if change.told is None or ways.deleted != "ended" or ways.one_day:
            return [], Seen(0, "silent", change.at, change.mark, None)
        deeds, begun = _begin(0, change, change.told._replace(valid_to=None))
        assert begun.told is not None
        more, ended = _end(begun, begun.told, change.at, day, "ended")
        if ended.life == "annulled":  # it began no sooner than it ended
            return [], Seen(0, "silent", change.at, change.mark, None)
        return [*deeds, *more], ended
    if seen.told is None or seen.life != "alive" or is_late(seen, change):
        return [], seen
    deeds, after = _end(seen, seen.told, max(change.at, seen.at), day, ways.deleted if not ways.one_day else "annulled")
    return deeds, after._replace(mark=change.mark)


def _end(seen: Seen, told: Told, at: datetime, day: date, goodbye: Goodbye) -> Outcome:
    version = seen.version + 1
    if goodbye == "nothing":
        return [], seen
    if goodbye == "ended" and told.valid_to is not None and told.valid_to <= day:
        return [], seen._replace(life="ended")  # it was over by its own word
    if goodbye == "ended" and (told.valid_from is None or day > told.valid_from):
        deed = Deed("ended", version, seen.head, None, day, of_old=True)
        told = told._replace(valid_to=day)
        return [deed], seen._replace(version=version, head=version, life="ended", at=at, told=told)
    deeds, earlier = [Deed("annulled", version, seen.head, None, None, of_old=True)], list(seen.earlier)
    head = version
    while goodbye == "ended" and earlier:  # the period before was to end when this one would have begun
        follows, since = earlier.pop()
        version += 1
        if since is None or since < day:
            deeds.append(Deed("ended", version, follows, None, day, of_old=True))
            earlier.append((version, since))
            break
        deeds.append(Deed("annulled", version, follows, None, None, of_old=True))
    after = seen._replace(version=version, head=head, life="annulled", at=at, told=told)
    return deeds, after._replace(earlier=tuple(earlier))
