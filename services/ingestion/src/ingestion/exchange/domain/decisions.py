"""Decides which events a row of a front-end table causes, from the row and the stored state of its key.

A row states one thing about one person at a time. The statement of a key has one or more periods over time. The events
of one period form a chain. A row that is read again gives no event. An updated row gives events for the difference.
"""

from datetime import date, datetime

from common.calendar import civil_date

from ingestion.exchange.domain.periods import (
    add_former,
    annulment,
    correct_period,
    cut_period,
    end_period,
    present_period,
    remove_overlaps,
    start_period,
)
from ingestion.exchange.domain.states import (
    FORMER_PERIODS_MAX,
    Change,
    Content,
    Draft,
    EndMeaning,
    KeyState,
    Outcome,
    Period,
    RowRules,
)


def decide_row(state: KeyState | None, change: Change, rules: RowRules) -> Outcome:
    """Return the events of a row that was read, and the new state of its key.

    `state`: the stored state; None for a key that was never read."""
    if change.is_deleted:
        return _decide_deletion(state, change, rules)
    content = change.content
    assert content is not None
    if state is None:
        return start_period(0, change, content)
    if is_older(state, change):
        return _decide_older(state, change, content, rules)
    if state.content is None:
        return start_period(state.version, change, content)
    if state.life == "annulled":
        return _decide_after_annulment(state, state.content, change, content, rules)
    if state.life == "ended":
        return _decide_after_end(state, state.content, change, content, rules)
    return _decide_update(state, state.content, change, content, rules)


def decide_missing(state: KeyState, now: datetime, rules: RowRules) -> Outcome:
    """Return the events of a row that is missing from a full load, and the new state of its key."""
    if state.life != "alive" or state.content is None:
        return [], state
    if rules.is_one_day and rules.missing == "ended":
        return [], state._replace(life="ended")  # a day has no end, and sources delete old rows from such lists
    return end_period(state, state.content, now, civil_date(now), rules.missing)


# ── a row that is older than the state ──────────────────────────────────────────────────────────────────────


def is_older(state: KeyState, change: Change) -> bool:
    """Whether a newer row of the key was read before."""
    if change.watermark is None or state.watermark is None:
        return False
    try:
        return change.watermark < state.watermark
    except TypeError:  # the column has another type now: the row that was read last counts
        return False


def _decide_older(state: KeyState, change: Change, content: Content, rules: RowRules) -> Outcome:
    """Decide a row that is older than a row that was read before. It gives events in two cases only.

    (1) Only a deletion was read before. (2) The row has a period that begins before the present period of the subject,
    on a first day that no former period has."""
    if state.content is None:
        return _decide_before_deletion(state, change, content, rules)
    first_day, known_from = content.valid_from, state.content.valid_from
    if first_day is None or known_from is None or first_day >= known_from:
        return [], state
    if content.subject != state.content.subject or any(p.valid_from == first_day for p in state.former):
        return [], state
    if state.life == "annulled" and state.content.valid_to is not None:
        known_from = min(known_from, state.content.valid_to)  # the deletion ended the period before the annulled one
    return _insert_former(state, first_day, min(content.valid_to or known_from, known_from), content.valid_to)


def _insert_former(state: KeyState, first_day: date, end: date, stated_to: date | None) -> Outcome:
    """Record a former period, from `first_day` until before `end`. `stated_to`: the end in its row."""
    if first_day >= end:
        return [], state
    version = state.version + 1
    inserted = Period(version, first_day, end, end if state.life == "annulled" else stated_to)
    former = sorted((*state.former, inserted), key=lambda period: period.valid_from or date.min)
    draft = Draft("created", version, None, first_day, end)
    return [draft], state._replace(version=version, former=tuple(former[-FORMER_PERIODS_MAX:]))


def _decide_before_deletion(state: KeyState, change: Change, content: Content, rules: RowRules) -> Outcome:
    """Decide a row that was written before a deletion that is known: record its period, and end or annul it."""
    drafts, begun = start_period(state.version, change, content)
    more, ended = end_period(begun, content, state.at, civil_date(state.at), _meaning_of_deletion(rules))
    return [*drafts, *more], ended._replace(watermark=state.watermark)


# ── a row that is present ───────────────────────────────────────────────────────────────────────────────────


def _decide_update(state: KeyState, old: Content, change: Change, content: Content, rules: RowRules) -> Outcome:
    """Decide a row whose key is alive. `old`: the content that was read before."""
    if content.digest == old.digest:
        content = content._replace(valid_from=old.valid_from)
    if not _is_same(old, content):
        return _decide_other_content(state, old, change, content, rules)
    if content.valid_to == old.valid_to:
        return [], state._replace(watermark=change.watermark)
    if content.valid_to is not None:
        return _end_by_row(state, change, content, content.valid_to)
    return correct_period(state, change, content)  # the row has no end any more


def _is_same(old: Content, content: Content) -> bool:
    """Whether the rows differ at most in the end of the period."""
    return (content.subject, content.digest) == (old.subject, old.digest)


def _decide_other_content(state: KeyState, old: Content, change: Change, content: Content, rules: RowRules) -> Outcome:
    """Decide a row with other content: it begins a new period, changes its subject, or corrects the present period."""
    own = content._replace(valid_from=_own_first_day(state, change, content, rules))
    first_day = _new_first_day(old, change, own, rules)
    if first_day is not None:
        return _begin_next(state, old, change, own._replace(valid_from=first_day), first_day)
    if content.subject != old.subject:
        drafts, after = start_period(state.version + 1, _not_before(state, change), content)
        return [annulment(state.version + 1, state.head), *drafts], after
    if own.valid_from is None and old.valid_from is not None:
        first_day = min(old.valid_from, civil_date(change.at))
        own = own._replace(valid_from=first_day)
    return correct_period(state, change, own)


def _end_by_row(state: KeyState, change: Change, content: Content, day: date) -> Outcome:
    """End the present period on `day`, because the row differs only in the end of its period."""
    version, at = state.version + 1, max(change.at, state.at)
    draft = Draft("ended", version, state.head, None, day)
    after = state._replace(version=version, head=version, at=at, watermark=change.watermark, content=content)
    return [draft], after


def _begin_next(state: KeyState, old: Content, change: Change, content: Content, first_day: date) -> Outcome:
    """Start another period on `first_day`. The present period ends on that day, or on an earlier end of its own."""
    close, period = cut_period(present_period(state, old), first_day, state.version)
    former = add_former(state.former, period) if content.subject == old.subject else ()
    drafts, after = start_period(state.version + len(close), _not_before(state, change), content, former)
    return [*close, *drafts], after


def _own_first_day(state: KeyState, change: Change, content: Content, rules: RowRules) -> date | None:
    """The first day that the row states for its content; None if it states none.

    With `updated: created`, a row may keep the day of its first registration. So a day does not count if a period has
    begun on it or after it."""
    day = content.valid_from
    if day is None or rules.updated != "created" or rules.is_one_day:
        return day
    first_days = [period.valid_from or date.min for period in state.former]
    if state.content is not None and state.life != "annulled":
        first_days.append(state.content.valid_from or date.min)
    begun = [first_day for first_day in first_days if first_day <= civil_date(change.at)]
    return None if begun and day <= begun[-1] else day


def _new_first_day(old: Content, change: Change, content: Content, rules: RowRules) -> date | None:
    """The first day of a new period. None if the row corrects the present one.

    A row without a first day is new from the day of its change. A period in the future is always corrected, so a key
    has at most one period in the future.
    """
    changed_on = civil_date(change.at)
    is_future = old.valid_from is not None and old.valid_from > changed_on
    if rules.updated == "corrected" or is_future:
        return None
    if content.valid_from is None:
        return changed_on if old.valid_from is None or changed_on > old.valid_from else None
    return content.valid_from if old.valid_from is not None and content.valid_from > old.valid_from else None


def _decide_after_annulment(
    state: KeyState, old: Content, change: Change, content: Content, rules: RowRules
) -> Outcome:
    """Decide a row whose last period was annulled: it begins a new period."""
    former = state.former if content.subject == old.subject else ()
    first_day = _own_first_day(state, change, content, rules)
    if first_day is None and former:
        first_day = civil_date(change.at)
    content = content._replace(valid_from=first_day)
    return remove_overlaps(*start_period(state.version, _not_before(state, change), content, former))


def _decide_after_end(state: KeyState, old: Content, change: Change, content: Content, rules: RowRules) -> Outcome:
    """Decide a row whose last period has ended: the row continues or corrects that period, or begins a new one."""
    change = _not_before(state, change)
    first_day = _own_first_day(state, change, content, rules) or civil_date(change.at)
    if content.subject != old.subject:
        return start_period(state.version, change, content._replace(valid_from=first_day))
    if _goes_on(old, change, content):
        return _decide_update(state._replace(life="alive"), old, change, content, rules)
    if old.valid_to is not None and first_day >= old.valid_to:
        former = add_former(state.former, present_period(state, old))
        return start_period(state.version, change, content._replace(valid_from=first_day), former)
    return _decide_other_content(state, old, change, content, rules)


def _goes_on(old: Content, change: Change, content: Content) -> bool:
    """Whether a row that is back goes on with its last period: the period is not over, or the row states the same.

    A row without a first day states the same only with the same end; otherwise it begins again on the day of its
    change."""
    if old.valid_to is None or old.valid_to > civil_date(change.at):
        return True
    return _is_same(old, content) and (content.valid_from is not None or content.valid_to == old.valid_to)


def _not_before(state: KeyState, change: Change) -> Change:
    """Return the change with a time not before the last event, so the events of a key stay in order of time."""
    return change._replace(at=max(change.at, state.at))


# ── a row that is deleted ───────────────────────────────────────────────────────────────────────────────────


def _decide_deletion(state: KeyState | None, change: Change, rules: RowRules) -> Outcome:
    day = _day_of_deletion(change)
    if state is None:
        return _decide_first_deletion(change, day, rules)
    if is_older(state, change):
        return [], state
    if state.content is None:
        return [], state._replace(at=max(change.at, state.at), watermark=change.watermark)
    if state.life != "alive":
        return [], state._replace(watermark=change.watermark)  # a row that was written before it stays deleted
    drafts, after = end_period(state, state.content, max(change.at, state.at), day, _meaning_of_deletion(rules))
    return drafts, after._replace(watermark=change.watermark)


def _meaning_of_deletion(rules: RowRules) -> EndMeaning:
    """A deleted row of a one-day kind is always annulled, because a day has no end."""
    return "annulled" if rules.is_one_day else rules.deleted


def _day_of_deletion(change: Change) -> date:
    """The end of the period in the deleted row; without an end, the day of the deletion."""
    end = change.content.valid_to if change.content else change.valid_to
    return end or civil_date(change.at)


def _decide_first_deletion(change: Change, day: date, rules: RowRules) -> Outcome:
    """Decide a deleted row of an unknown key. If it still has its content and a deletion ends a period, the period is
    recorded with its end."""
    silent = KeyState(0, "silent", change.at, change.watermark, None)
    if change.content is None or rules.deleted != "ended" or rules.is_one_day:
        return [], silent
    content = change.content._replace(valid_to=None)
    drafts, begun = start_period(0, change, content)
    more, after = end_period(begun, content, change.at, day, "ended")
    if after.life == "annulled":  # it did not begin before its end
        return [], silent
    return [*drafts, *more], after
