"""Makes the events that begin, correct, end or annul a period of a key, and the state of the key after them."""

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


def add_former(former: FormerPeriods, head: int, valid_from: date | None) -> FormerPeriods:
    """Add a period to the former ones, and keep the newest. `head`: number of the last event of the period."""
    return (*former, Period(head, valid_from))[-FORMER_PERIODS_MAX:]


def remove_overlaps(drafts: list[Draft], after: KeyState) -> Outcome:
    """Append events to `drafts`, so that no former period overlaps the present period.

    A former period that begins on the first day of the present period or later is annulled. The last earlier period
    ends on that day. `after`: the state with the present period."""
    assert after.content is not None
    first_day, version, former = after.content.valid_from, after.version, list(after.former)
    while former and _begins_from(former[-1], first_day):
        version += 1
        drafts.append(annulment(version, former.pop().head))
    if former and first_day is not None:
        version += 1
        last = former.pop()
        drafts.append(ending(version, last.head, first_day))
        former.append(Period(version, last.valid_from))
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
    """End the present period on `day`, or annul it, as the rules of the table require."""
    if meaning == "nothing":
        return [], state
    if meaning == "annulled":
        return _annul(state, content, at)
    if content.valid_to is not None and content.valid_to <= day:
        return [], state._replace(life="ended")  # the row itself had an earlier end
    if content.valid_from is not None and content.valid_from >= day:
        return _annul_and_end_former(state, content, at, day)
    version = state.version + 1
    content = content._replace(valid_to=day)
    after = state._replace(version=version, head=version, life="ended", at=at, content=content)
    return [ending(version, state.head, day)], after


def _annul(state: KeyState, content: Content, at: datetime) -> Outcome:
    version = state.version + 1
    after = state._replace(version=version, head=version, life="annulled", at=at, content=content)
    return [annulment(version, state.head)], after


def _annul_and_end_former(state: KeyState, content: Content, at: datetime, day: date) -> Outcome:
    """Annul the present period, because it does not begin before `day`. The last former period that begins before `day`
    ends on `day` instead of on the first day of the annulled period. Later former periods are annulled."""
    drafts, after = _annul(state, content, at)
    version, former = after.version, list(after.former)
    while former:
        last = former.pop()
        version += 1
        if last.valid_from is None or last.valid_from < day:
            drafts.append(ending(version, last.head, day))
            former.append(Period(version, last.valid_from))
            break
        drafts.append(annulment(version, last.head))
    return drafts, after._replace(version=version, former=tuple(former))
