"""Convert a Kafka record to a step with a line in Chinese. Only the fields of the line are decoded. No record raises
an error."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Final

import msgspec
from common.message import Record
from common.money import yuan
from common.words_zh import ABILITY_LEVELS, FACT_KINDS

from console.domain import names
from console.domain.chain import Step, Tone
from console.domain.item_titles import ItemTitles

PUBLISHED_LISTS: Final = "policy.release"
_UNPAID_STATES: Final = (("held", "暂缓"), ("barred", "标准或规则为示例，不发放"))
_UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_ALERTING: Final = (
    "VisitMissed",
    "VisitUnplaced",
    "VisitDisputed",
    "AlertRaised",
    "RecoveryOpened",
    "RecordParked",
    "SourceGapFound",
    "SourceSilent",
    "ForeignEventsGrouped",
    "AccountChanged",
    "PolicyVersionHalted",
    "ReadBudgetUsed",
)


class _Statement(msgspec.Struct):
    event_id: str
    kind: str
    action: str


class _Line(msgspec.Struct):
    item: str
    amount_fen: int
    state: str


class _Detail(msgspec.Struct):
    """The fields of all events that lines mention."""

    item: str | None = None
    reason: str | None = None
    level: int | None = None
    amount_fen: int | None = None
    check: str | None = None
    checks: Sequence[str] = ()
    outcome: str | None = None
    changed: Sequence[str] = ()
    died_on: date | None = None
    death_suspected_on: date | None = None
    statements: Sequence[_Statement] = ()
    causes: Sequence[str] = ()
    lines: Sequence[_Line] = ()
    other_division: str | None = None
    kind: str | None = None
    holder: str | None = None


class _ListItem(msgspec.Struct):
    title: str


class _List(msgspec.Struct):
    items: dict[str, _ListItem] = {}


class _Published(msgspec.Struct):
    """The part of PolicyVersionPublished that names items."""

    jurisdiction: str
    list: _List


_decode = msgspec.json.Decoder(_Detail).decode
_decode_published = msgspec.json.Decoder(_Published).decode


def learn_titles(record: Record, titles: ItemTitles) -> None:
    """Learn the titles of items from a published list. Other records change nothing."""
    if record.topic != PUBLISHED_LISTS:
        return
    try:
        published = _decode_published(record.value or b"")
    except _UNREADABLE:
        return
    titles.learn(published.jurisdiction, {code: item.title for code, item in published.list.items.items()})


def step_of(record: Record, titles: ItemTitles) -> Step | None:
    """Return the step of a record; None for a record that is no event of the chain. An unreadable body still gives a
    step."""
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
    event = headers.get("ce_type", "").rpartition(".")[2]
    stage = names.BY_TOPIC.get(record.topic) or names.BY_GROUP.get(record.topic.partition(".")[0])
    at = _instant(headers.get("ce_time", ""))
    event_id = headers.get("ce_id")
    if stage is None or event not in names.EVENTS or at is None or event_id is None:
        return None
    detail = _detail(record)
    return Step(
        at=at,
        stage=stage.id,
        what=event,
        text=names.event(event) + _listed(_details(event, detail, titles)),
        tone=_tone(event, detail),
        event_id=event_id,
        correlation_id=headers.get("ce_correlationid", event_id),
        person_id=_person_id(record),
        division=headers.get("ce_divisioncode"),
        died=event == "EntitlementsDecided" and detail.died_on is not None,
        other_division=detail.other_division,
    )


def _instant(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _detail(record: Record) -> _Detail:
    try:
        return _decode(record.value or b"{}")
    except _UNREADABLE:
        return _Detail()


def _person_id(record: Record) -> str | None:
    """Return the key of a record about a person; None for another record."""
    if record.topic in names.OF_NO_PERSON or record.topic.endswith(".parked"):
        return None
    return (record.key or b"").decode("utf-8", "replace") or None


def _tone(event: str, detail: _Detail) -> Tone:
    if detail.died_on is not None or (event.endswith("Cancelled") and detail.reason == "died"):
        return "stop"
    return "alert" if event in _ALERTING else "plain"


def _details(event: str, d: _Detail, titles: ItemTitles) -> list[str]:
    """Return the parts of the line after the name of the event."""
    if event in _WORDS:
        return _WORDS[event](d, titles)
    if event.startswith(("Payment", "Recovery")):
        return _amount(d, titles)
    if event.startswith(("Visit", "Assessment")):
        return _named(names.REASONS, d.reason)
    return []


def _facts(d: _Detail, titles: ItemTitles) -> list[str]:
    """Return kind and action of the statements that caused the event."""
    new = [statement for statement in d.statements if statement.event_id in d.causes]
    changes = [FACT_KINDS.get(s.kind, s.kind) + names.ACTIONS.get(s.action, "") for s in new]
    return list(dict.fromkeys(changes))


def _decision(d: _Detail, titles: ItemTitles) -> list[str]:
    if d.died_on is not None:
        return ["身故确认，即停"]
    if d.death_suspected_on is not None:
        return ["疑似身故，资金暂缓"]
    return [titles.title(code) for code in d.changed] or ["复核无变化"]


def _dues(d: _Detail, titles: ItemTitles) -> list[str]:
    due = [f"{titles.title(line.item)} {yuan(line.amount_fen)} 元" for line in d.lines if line.state == "due"]
    states = {line.state for line in d.lines}
    return [*dict.fromkeys(due), *(text for state, text in _UNPAID_STATES if state in states)]


def _item(d: _Detail, titles: ItemTitles) -> list[str]:
    return [titles.title(d.item)] if d.item else []


def _amount(d: _Detail, titles: ItemTitles) -> list[str]:
    if d.amount_fen is None:
        return []
    return [" ".join([*_item(d, titles), f"{yuan(d.amount_fen)} 元"])]


def _level(d: _Detail, titles: ItemTitles) -> list[str]:
    known = d.level is not None and 0 <= d.level < len(ABILITY_LEVELS)
    return [ABILITY_LEVELS[d.level]] if d.level is not None and known else []


def _checks(d: _Detail, titles: ItemTitles) -> list[str]:
    return [names.CHECKS.get(check, check) for check in ([d.check] if d.check else d.checks)]


def _kind(d: _Detail, titles: ItemTitles) -> list[str]:
    return _named(FACT_KINDS, d.kind)


def _place(d: _Detail, titles: ItemTitles) -> list[str]:
    return _named(names.PLACES, d.outcome)


def _holder(d: _Detail, titles: ItemTitles) -> list[str]:
    return _named(names.HOLDERS, d.holder)


def _alert_outcome(d: _Detail, titles: ItemTitles) -> list[str]:
    return ["属实" if d.outcome == "confirmed" else "不属实"]


def _named(table: Mapping[str, str], code: str | None) -> list[str]:
    return [table[code]] if code is not None and code in table else []


_Words = Callable[[_Detail, ItemTitles], list[str]]
_WORDS: Final[Mapping[str, _Words]] = {
    "PersonFactsRecorded": _facts,
    "EntitlementsDecided": _decision,
    "EntitlementStarted": _item,
    "EntitlementEnded": _item,
    "DuesDetermined": _dues,
    "AssessmentSigned": _level,
    "VisitDisputed": _checks,
    "AlertRaised": _checks,
    "AlertClosed": _alert_outcome,
    "PlaceClaimed": _kind,
    "ForeignEventsGrouped": _kind,
    "PlaceSettled": _place,
    "AccountChanged": _holder,
}


def _listed(parts: Sequence[str], shown_max: int = 3) -> str:
    """Join parts to a text such as `：高龄津贴、探访服务`; empty without parts."""
    if not parts:
        return ""
    more = " 等" if len(parts) > shown_max else ""
    return "：" + "、".join(parts[:shown_max]) + more
