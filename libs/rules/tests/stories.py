"""The cases of `contracts/policy/cases`: the life of a person and the result that an official expects."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import yaml
from common.calendar import add_months
from common.events.ability import Ability
from common.events.entitlement import MoveGap
from common.events.facts import Kind, Statement, Value
from rules.deciding.choices import Choice
from rules.deciding.decide import Decision, decide
from rules.deciding.gaps import gaps_of_moves
from rules.deciding.lists import Lists
from rules.facts.timeline import Fact, abilities_known_at, facts_known_at
from rules.money.due import due

POLICY = Path(__file__).parents[3] / "contracts" / "policy"
KINDS: tuple[str, ...] = get_args(Kind)
DEFAULTS: dict[str, dict[str, Any]] = {
    "registration": {"sex": "1", "hukou_kind": "rural"},
    "application": {"channel": "counter"},
}
VERB = {"corrects": "corrected", "annuls": "annulled", "ends": "ended"}
BESIDE = ("id", "said", "from", "to", "rank", "via")  # of a fact, beside its kind and its verb


class Story:
    """One case, with its statements in the form that the rules read."""

    def __init__(self, name: str, told: dict[str, Any]) -> None:
        self.name, self.moments = name, told["then"]
        self.statements = _statements(name, told["facts"])
        self.abilities = [_ability(row) for row in told.get("abilities", [])]
        self.choices = [_choice(row) for row in told.get("choices", [])]
        keys = ("expect", "none", "pays")
        self.items = {item for then in self.moments for key in keys for item in then.get(key, ())}

    def facts(self, known_at: date | None = None, statements: list[Statement] | None = None) -> tuple[Fact, ...]:
        said = self.statements if statements is None else statements
        return facts_known_at(said, _until(known_at))

    def decide(self, lists: Lists, known_at: date | None = None, statements: list[Statement] | None = None) -> Decision:
        until = _until(known_at)
        choices = [c for c in self.choices if until is None or c.recorded_at <= until]
        abilities = abilities_known_at(self.abilities, until)
        return decide("person", self.facts(known_at, statements), abilities, lists, choices=choices)

    def differences(self, lists: Lists) -> Iterator[tuple[str, Any, Any]]:
        """The differences: (subject, as decided, as the case expects)."""
        for moment in self.moments:
            decision = self.decide(lists, moment.get("known_at"))
            for what, decided in (("died_on", decision.died_on), ("suspected_on", decision.death_suspected_on)):
                if decided != moment.get(what):
                    yield what, decided, moment.get(what)
            for item, rows in moment.get("expect", {}).items():
                if (got := shown(decision, item, rows)) != (told := _told(rows)):
                    yield item, got, told
            for item in moment.get("none", []):
                if got := shown(decision, item, []):
                    yield item, got, []
            if "pays" in moment and (got := paid(decision, moment["through"])) != moment["pays"]:
                yield "pays", got, moment["pays"]
            if "pays" in moment:
                gaps = gaps_of_moves(self.facts(moment.get("known_at")), decision.entitlements, decision.died_on)
                if (lost := [_gap(g) for g in gaps]) != moment.get("gaps", []):
                    yield "gaps", lost, moment.get("gaps", [])


def all_stories() -> list[Story]:
    return [
        Story(f"{path.stem}: {told['title']}", told)
        for path in sorted((POLICY / "cases").glob("*.yaml"))
        for told in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]


def _until(known_at: date | None) -> datetime | None:
    return _instant(known_at) + timedelta(hours=1) if known_at else None


def _instant(day: date) -> datetime:
    return datetime.combine(day, time(1), UTC)


def _statements(story: str, rows: list[dict[str, Any]]) -> list[Statement]:
    """Household values reach a person as copies, which `via` marks."""
    chains: dict[str, tuple[str, str]] = {}
    made = []
    for row in rows:
        verb = next((v for v in VERB if v in row), None)
        named = next((k for k in KINDS if k in row), None)
        if strange := sorted(row.keys() - {verb, named, *BESIDE}):
            raise ValueError(f"{story}: fact {row['id']}: {', '.join(strange)} is no kind of fact, or a second one")
        if verb is None and named is None:
            raise ValueError(f"{story}: fact {row['id']} has no kind")
        kind, chain = chains[row[verb]] if verb else (str(named), row["id"])
        chains[row["id"]] = kind, chain
        value = {"of": kind, **DEFAULTS.get(kind, {}), **row[named]} if named else None
        made.append(
            Statement(
                event_id=row["id"],
                chain=chain,
                action=VERB[verb] if verb else "created",  # type: ignore[arg-type]
                kind=kind,  # type: ignore[arg-type]
                source="urn:cn:exchange:story",
                rank=row.get("rank", 1),
                time=_instant(row["said"]),
                recorded_at=_instant(row["said"]),
                valid_from=row.get("from"),
                valid_to=row.get("to"),
                value=msgspec.convert(value, Value) if value else None,
                via=row.get("via"),
            )
        )
    return made


def _ability(row: dict[str, Any]) -> Ability:
    return Ability(
        assessment_id=row["id"],
        scale="GB/T 42195",
        scale_version="2022",
        level=row["level"],
        valid_from=row["from"],
        valid_to=row.get("to"),
        recorded_at=_instant(row["from"]),
    )


def _choice(row: dict[str, Any]) -> Choice:
    said = _instant(row.get("said", row["from"]))
    return Choice(choice_id=row["id"], item=row["item"], chosen_on=row["from"], recorded_at=said)


def shown(decision: Decision, item: str, like: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The intervals of an item with the fields that the case gives."""
    found = []
    for e in (e for e in decision.entitlements if e.item == item):
        full = {
            "from": e.from_,
            "to": e.to,
            "state": e.state,
            "yuan": None if e.amount_fen_per_month is None else e.amount_fen_per_month / 100,
            "tier": e.tier,
            "days": e.interval_days,
            "reverify_months": e.reverify_months,
            "list": e.jurisdiction,
            "division": e.division,
            "by": e.suppressed_by,
            "missing": list(e.missing_facts),
            "status": e.policy_status,
            "when": e.pay.when if e.pay else None,
        }
        asked = {key for row in like for key in row} | {"from", "to", "state"}
        found.append({key: full[key] for key in sorted(asked)})
    return found


def paid(decision: Decision, through: str) -> dict[str, list[dict[str, Any]]]:
    """By item the periods of months with one amount from one area; `to` is the first month after them."""
    lines = due(decision.entitlements, through_month=_month(through), died_on=decision.died_on, demo=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        rows = found.setdefault(line.item, [])
        row = {"yuan": line.amount_fen / 100, "list": line.jurisdiction}
        this, after = f"{line.service_month:%Y-%m}", f"{add_months(line.service_month, 1):%Y-%m}"
        if rows and rows[-1]["to"] == this and row.items() <= rows[-1].items():
            rows[-1]["to"] = after
        else:
            rows.append({"from": this, "to": after, **row})
    return found


def _gap(gap: MoveGap) -> dict[str, Any]:
    said = {"item": gap.item, "from": gap.first_month, "to": gap.until_month, "why": gap.why}
    return {key: value for key, value in said.items() if value is not None}


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _told(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    base: dict[str, Any] = {key: None for row in rows for key in row}
    base |= {"to": None, "state": "granted"} | ({"missing": []} if "missing" in base else {})
    return [dict(sorted((base | row).items())) for row in rows]
