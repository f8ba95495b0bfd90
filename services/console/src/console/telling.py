"""From a record to a line in Chinese. Only what the line says is read; nothing here can fail a page."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec
from common.message import Record
from common.money import yuan

from console import names
from console.chain import Step, Tone

_ALERTING = (
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
    """The fields that any line may mention, whichever event they are of."""

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


_decode = msgspec.json.Decoder(_Detail).decode


def tell(record: Record) -> Step | None:
    """The step, None for what is no event of the chain."""
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    what = headers.get("ce_type", "").rpartition(".")[2]
    owner = record.topic.partition(".")[0]
    stage = names.BY_TOPIC.get(record.topic) or names.BY_GROUP.get(owner)
    try:
        at = datetime.fromisoformat(headers["ce_time"])
        event_id = headers["ce_id"]
    except (KeyError, ValueError):
        return None
    if stage is None or what not in names.EVENTS or at.tzinfo is None:
        return None
    try:
        detail = _decode(record.value or b"{}")
    except (msgspec.MsgspecError, RecursionError):
        detail = _Detail()
    of_person = record.topic not in names.OF_NO_PERSON and not record.topic.endswith(".parked")
    return Step(
        at=at,
        stage=stage.id,
        what=what,
        text=words(what, detail),
        tone=_tone(what, detail),
        event_id=event_id,
        correlation_id=headers.get("ce_correlationid", event_id),
        person_id=(record.key or b"").decode("utf-8", "replace") or None if of_person else None,
        division=headers.get("ce_divisioncode"),
        died=what == "EntitlementsDecided" and detail.died_on is not None,
        other_division=detail.other_division,
    )


def _tone(what: str, detail: _Detail) -> Tone:
    if detail.died_on is not None or (what.endswith("Cancelled") and detail.reason == "died"):
        return "stop"
    return "alert" if what in _ALERTING else "plain"


def words(what: str, d: _Detail) -> str:
    """`资格认定：高龄津贴、探访服务`"""
    more = _more(what, d)
    return f"{names.event(what)}{more}"


def _more(what: str, d: _Detail) -> str:
    if what == "PersonFactsRecorded":
        return _listed(_facts(d))
    if what == "EntitlementsDecided":
        return _decision(d)
    if what == "DuesDetermined":
        due = [f"{names.item(line.item)} {yuan(line.amount_fen)} 元" for line in d.lines if line.state == "due"]
        states = {line.state for line in d.lines}
        rest = [words for state, words in (("held", "暂缓"), ("barred", "标准或规则为示例，不发放")) if state in states]
        return _listed([*dict.fromkeys(due), *rest])
    if what in ("EntitlementStarted", "EntitlementEnded") and d.item:
        return _listed([names.item(d.item)])
    if what == "AssessmentSigned" and d.level is not None and 0 <= d.level < len(names.LEVELS):
        return _listed([names.LEVELS[d.level]])
    if what.startswith(("Payment", "Recovery")) and d.amount_fen is not None:
        item = f"{names.item(d.item)} " if d.item else ""
        return _listed([f"{item}{yuan(d.amount_fen)} 元"])
    if what in ("VisitDisputed", "AlertRaised"):
        found = [d.check] if d.check else list(d.checks)
        return _listed([names.CHECKS.get(check, check) for check in found])
    if what in ("PlaceClaimed", "ForeignEventsGrouped"):
        return _listed([names.KINDS[d.kind]]) if d.kind and d.kind in names.KINDS else ""
    if what == "PlaceSettled":
        return _listed([names.PLACES[d.outcome]]) if d.outcome and d.outcome in names.PLACES else ""
    if what == "AccountChanged":
        return _listed([names.HOLDERS[d.holder]]) if d.holder and d.holder in names.HOLDERS else ""
    if what == "AlertClosed":
        return _listed(["属实" if d.outcome == "confirmed" else "不属实"])
    if what.startswith(("Visit", "Assessment")) and d.reason:
        return _listed([names.REASONS[d.reason]]) if d.reason in names.REASONS else ""
    return ""


def _facts(d: _Detail) -> list[str]:
    """What the newest sources said: kind and action of the statements that caused this."""
    new = [s for s in d.statements if s.event_id in d.causes]
    told = [names.KINDS.get(s.kind, s.kind) + names.ACTIONS.get(s.action, "") for s in new]
    return list(dict.fromkeys(told))


def _decision(d: _Detail) -> str:
    if d.died_on is not None:
        return "：身故确认，即停"
    if d.death_suspected_on is not None:
        return "：疑似身故，资金暂缓"
    return _listed([names.item(code) for code in d.changed]) or "：复核无变化"


def _listed(told: Sequence[str], shown_max: int = 3) -> str:
    if not told:
        return ""
    more = " 等" if len(told) > shown_max else ""
    return "：" + "、".join(told[:shown_max]) + more
