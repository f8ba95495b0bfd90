"""Assess ability by GB/T 42195: 26 items give a total, the total gives a level, some findings give a worse level.

The scale is data (`contracts/scales/…yaml`). A higher total is better. A higher level is worse: 0 is intact, 4 is
complete loss. "To raise the level" in the standard means more disabled. Only the loader does I/O.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec


class ScaleItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An item of the scale. Its points are whole numbers from 0 to `max`."""

    code: str
    name: str
    max: int


class Dimension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str
    name: str
    max: int
    items: tuple[ScaleItem, ...]


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    level: int
    name: str
    min: int
    max: int


class LevelChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The findings that make a level worse. `diagnosis`: a pattern of ICD-10 codes. `worse_by`: a number of levels.

    `risk_events_min`: the number of events within `risk_window_days` before the assessment.
    """

    coma_level: int
    diagnosis: str
    risk_events_min: int
    risk_window_days: int
    worse_by: int


class ScaleSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    title: str
    issuer: str
    number: str
    date: date
    locator: str
    note: str = ""


class Parameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    value: int
    status: Literal["documented", "example"]
    note: str


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    validity_months: Parameter
    renewal_days: Parameter
    request_days: Parameter


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    scale: str
    version: str
    standard: str
    title: str
    source: ScaleSource
    status: Literal["documented", "example"]
    dimensions: tuple[Dimension, ...]
    levels: tuple[Level, ...]
    level_changes: LevelChanges
    risk_event_kinds: tuple[str, ...]
    reasons: tuple[str, ...]
    parameters: Parameters

    @property
    def items(self) -> dict[str, ScaleItem]:
        return {item.code: item for dimension in self.dimensions for item in dimension.items}

    @property
    def total_max(self) -> int:
        return sum(dimension.max for dimension in self.dimensions)


class RiskEvent(NamedTuple):
    kind: str
    on: date


class Findings(NamedTuple):
    """The findings of annex A beyond the items. `diagnoses`: ICD-10 codes of chapter F."""

    assessed_on: date
    coma: bool = False
    diagnoses: tuple[str, ...] = ()
    risk_events: tuple[RiskEvent, ...] = ()


class Scored(NamedTuple):
    """The result of an assessment. `total`: points; None, with `by_dimension` empty, if items are missing in a coma.

    `preliminary`: the level by the total alone; None without a total. `changed_by`: the findings that make a level
    worse (coma, diagnosis, risk_events), also if the preliminary level is already the worst.
    """

    total: int | None
    by_dimension: dict[str, int]
    preliminary: int | None
    level: int
    changed_by: tuple[str, ...]


class Fault(NamedTuple):
    """A fault in a form: RFC 6901 pointer, code and text. The text has none of the person's answers."""

    pointer: str
    code: str
    detail: str


def load_scale(path: Path) -> Scale:
    """Read a scale from its file. Raises ValueError if points do not add up, or if the levels leave out or repeat a
    total.

    Raises msgspec.DecodeError for a malformed file.
    """
    scale = msgspec.yaml.decode(path.read_bytes(), type=Scale)
    for dimension in scale.dimensions:
        if sum(item.max for item in dimension.items) != dimension.max:
            raise ValueError(f"the items of {dimension.code} do not add up to {dimension.max}")
    covered = sorted(points for level in scale.levels for points in range(level.min, level.max + 1))
    if covered != list(range(scale.total_max + 1)):
        raise ValueError("the levels do not cover every total exactly once")
    return scale


def assess(items: Mapping[str, int], findings: Findings, scale: Scale) -> Scored | list[Fault]:
    """Return the result of a form, or every fault in it. In a coma no items are needed; given items must be valid.

    `items`: points by item code.
    """
    faults = [*_item_faults(items, scale, needed=not findings.coma), *_finding_faults(findings, scale)]
    if faults:
        return faults
    complete = items.keys() == scale.items.keys()
    by_dimension = {d.code: sum(items.get(item.code, 0) for item in d.items) for d in scale.dimensions}
    total = sum(by_dimension.values()) if complete else None
    preliminary = preliminary_level(total, scale) if total is not None else None
    level, changed_by = final_level(preliminary, findings, scale)
    return Scored(total, by_dimension if complete else {}, preliminary, level, changed_by)


def preliminary_level(total: int, scale: Scale) -> int:
    """Return the level of a total. Raises ValueError for an impossible total."""
    for level in scale.levels:
        if level.min <= total <= level.max:
            return level.level
    raise ValueError(f"a total of {total} is not possible")


def final_level(preliminary: int | None, findings: Findings, scale: Scale) -> tuple[int, tuple[str, ...]]:
    """Return the level after all findings, and `Scored.changed_by` (clauses C.4 and C.5).

    A coma is complete loss. A diagnosis, repeated risk events, or both, make the level worse once.
    """
    changes = scale.level_changes
    if findings.coma or preliminary is None:
        return changes.coma_level, ("coma",)
    since = findings.assessed_on - timedelta(days=changes.risk_window_days)
    recent = [event for event in findings.risk_events if since <= event.on <= findings.assessed_on]
    why = []
    if findings.diagnoses:
        why.append("diagnosis")
    if len(recent) >= changes.risk_events_min:
        why.append("risk_events")
    worst = max(level.level for level in scale.levels)
    return min(preliminary + (changes.worse_by if why else 0), worst), tuple(why)


def _item_faults(items: Mapping[str, int], scale: Scale, *, needed: bool) -> list[Fault]:
    known = scale.items
    unknown = [code for code in items if code not in known]
    faults = [Fault(f"/items/{_escaped(code)}", "unknown_item", "not an item of the scale") for code in unknown]
    for code, item in known.items():
        if code in items:
            faults += _point_faults(item, items[code])
        elif needed:
            faults.append(Fault(f"/items/{code}", "missing", f"{item.name} has no points"))
    return faults


def _point_faults(item: ScaleItem, points: object) -> Iterator[Fault]:
    if isinstance(points, bool) or not isinstance(points, int):
        yield Fault(f"/items/{item.code}", "not_whole", "points are whole numbers")
    elif not 0 <= points <= item.max:
        yield Fault(f"/items/{item.code}", "out_of_range", f"{item.name}: 0 to {item.max} points")


def _finding_faults(findings: Findings, scale: Scale) -> list[Fault]:
    faults = []
    for i, diagnosis in enumerate(findings.diagnoses):
        if not re.fullmatch(scale.level_changes.diagnosis, diagnosis):
            faults.append(Fault(f"/diagnoses/{i}", "not_a_diagnosis", "F00 to F99 of ICD-10 change a level"))
    faults += _event_faults(findings.risk_events, findings.assessed_on, scale)
    return faults


def _event_faults(events: Sequence[RiskEvent], assessed_on: date, scale: Scale) -> list[Fault]:
    faults = []
    for i, event in enumerate(events):
        if event.kind not in scale.risk_event_kinds:
            faults.append(Fault(f"/risk_events/{i}/kind", "unknown_kind", ", ".join(scale.risk_event_kinds)))
        if event.on > assessed_on:
            faults.append(Fault(f"/risk_events/{i}/on", "after_assessment", "after the day of the assessment"))
    return faults


def _escaped(code: str) -> str:
    """Return an item code as a part of a JSON pointer, at most 40 characters of it."""
    return code[:40].replace("~", "~0").replace("/", "~1")
