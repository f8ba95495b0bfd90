"""Makes the events that begin, correct, end or annul a period of a key, and the state of the key after them.

A key identifies a row of a front-end table permanently. A period is a time in which one statement of the row holds."""

from datetime import date, datetime

from ingestion.exchange.domain.states import (
    FORMER_PERIODS_MAX,
    Change,
    Content,
    Draft,
    EndMeaning,
    FormerPeriods,
    KeyState,
    Outcome,
    Period,
)


def start_period(version: int, change: Change, content: Content, former: FormerPeriods = ()) -> Outcome:
    """Begin a period with one event. `version`: number of the last event of the key; `former`: its earlier periods."""
    version += 1
    draft = Draft("created", version, None, content.valid_from, content.valid_to)
    return [draft], KeyState(version, "alive", change.at, change.watermark, content, version, former)


def correct_period(state: KeyState, change: Change, content: Content) -> Outcome:
    """Correct the present period, and remove overlaps with former periods. The key is alive afterwards."""
    version = state.version + 1
    draft = Draft("corrected", version, state.head, content.valid_from, content.valid_to)
    at = max(change.at, state.at)
    after = KeyState(version, "alive", at, change.watermark, content, version, state.former)
    return remove_overlaps([draft], after)


def present_period(state: KeyState, content: Content) -> Period:
    """The present period of a key, as a former one. `content`: the statement of the period."""
    return Period(state.head, content.valid_from, content.valid_to, content.valid_to)


def add_former(former: FormerPeriods, period: Period) -> FormerPeriods:
    """Add a period to the former ones. Only the newest FORMER_PERIODS_MAX are kept."""
    return (*former, period)[-FORMER_PERIODS_MAX:]


def cut_period(period: Period, day: date, version: int) -> tuple[list[Draft], Period]:
    """End a period on `day`, unless its row or its deletion stated an earlier end. `version`: number of the last event
    of the key. Returns at most one event, and the period after it."""
    end = min(day, period.stated_to or day)
    if end == period.valid_to:
        return [], period
    return [ending(version + 1, period.head, end)], period._replace(head=version + 1, valid_to=end)


def remove_overlaps(drafts: list[Draft], after: KeyState) -> Outcome:
    """Append events to `drafts`, so that no former period overlaps the present period.

    `after`: the state with the present period."""
    assert after.content is not None
    return _clear_from(after.content.valid_from, drafts, after)


def _clear_from(day: date | None, drafts: list[Draft], after: KeyState) -> Outcome:
    """Append the events that remove the former periods from `day` on.

    A former period that begins on `day` or later is annulled. The last earlier period ends on `day` or before."""
    version, former = after.version, list(after.former)
    while former and _begins_from(former[-1], day):
        version += 1
        drafts.append(annulment(version, former.pop().head))
    if former and day is not None and former[-1].valid_to is not None:
        cut, former[-1] = cut_period(former[-1], day, version)
        drafts, version = [*drafts, *cut], version + len(cut)
    return drafts, after._replace(version=version, former=tuple(former))


def _begins_from(period: Period, day: date | None) -> bool:
    """Whether the period begins on `day` or later. Without a day, every period does."""
    return day is None or (period.valid_from is not None and period.valid_from >= day)


def ending(version: int, previous: int, day: date) -> Draft:
    """The event that ends a period on `day`. `version`: its number; `previous`: number of the period's last event."""
    return Draft("ended", version, previous, None, day, about_former=True)


def annulment(version: int, previous: int) -> Draft:
    """The event that annuls a period. `version`: its number; `previous`: number of the period's last event."""
    return Draft("annulled", version, previous, None, None, about_former=True)


def end_period(state: KeyState, content: Content, at: datetime, day: date, meaning: EndMeaning) -> Outcome:
    """End or annul the present period, as `meaning` says; `nothing` gives no event.

    A period that ends by its own row on `day` or before keeps that end. A period that begins on `day` or later is
    annulled instead, and the last former period that begins before `day` ends on `day`."""
    if meaning == "nothing":
        return [], state
    if meaning == "annulled":
        return _with_stated_end(*_annul(state, content, at))
    if content.valid_to is not None and content.valid_to <= day:
        return [], state._replace(life="ended")  # the row itself had an earlier end
    if content.valid_from is not None and content.valid_from >= day:
        return _with_stated_end(*_clear_from(day, *_annul(state, content._replace(valid_to=day), at)))
    version = state.version + 1
    content = content._replace(valid_to=day)
    after = state._replace(version=version, head=version, life="ended", at=at, content=content)
    return [ending(version, state.head, day)], after


def _annul(state: KeyState, content: Content, at: datetime) -> Outcome:
    version = state.version + 1
    after = state._replace(version=version, head=version, life="annulled", at=at, content=content)
    return [annulment(version, state.head)], after


def _with_stated_end(drafts: list[Draft], after: KeyState) -> Outcome:
    """The outcome; the end of the last former period is now a stated one, because no later period is left.

    So it stays if the row comes back."""
    former = after.former
    if former:
        former = (*former[:-1], former[-1]._replace(stated_to=former[-1].valid_to))
    return drafts, after._replace(former=former)
