"""From a row to an event, which is then read like every other event. The faults of cells and of the event are told
together, so that a row needs correcting once.

A row without an id of its own gets one from its content (keyed, so that it tells nothing): the same row in another
file is the same event. A time that the file tells belongs to the content; the time of the upload does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec
from common.codes.id_number import IdNumber, check
from common.events.kinds import WITHOUT_VALUE
from common.events.population import population_type
from shell.privacy import vault

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Rejected
from ingestion.files import cells as conversions
from ingestion.files.cells import CellWrong, Convert
from ingestion.files.mapping import Mapping
from ingestion.files.table import HEADER_CHARS_KEPT, REJECT_BYTES_MAX, Calculated, Row, shortened, text_of
from ingestion.reading.checks import OPEN_END
from ingestion.reading.events import read_event

_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode


class Sender(NamedTuple):
    """Who says what the file says. `only`: the caller speaks for this source alone."""

    source: str | None
    only: str | None
    received_at: datetime


class Shaped(NamedTuple):
    """A row and what became of it. `table`: which of the headers is its own; `columns`: pointer → its column."""

    row: Row
    table: int
    read: Pushed | Rejected
    columns: dict[str, str]
    formula: bool = False


class _Column(NamedTuple):
    section: str
    name: str
    at: int
    convert: Convert
    pointer: str


@dataclass(frozen=True)
class Plan:
    """How the rows below one header become events."""

    mapping: Mapping
    table: int
    columns: tuple[_Column, ...]
    names: dict[str, str]  # pointer → name of the column
    sections: tuple[str, ...] = ("", "person", "value")


def pointer_of(name: str) -> str:
    """The place in the event that a field of a mapping fills."""
    if name in ("id", "time"):
        return f"/{name}"
    return "/data/" + ("valid_to" if name == "valid_until" else name.replace(".", "/"))


def plan(mapping: Mapping, found: dict[str, int], header: Sequence[str], table: int, zero: date) -> Plan:
    columns = []
    for name, at in found.items():
        section, _, last = name.rpartition(".")
        last = "valid_to" if name == "valid_until" else last
        columns.append(_Column(section, last, at, _converter(mapping, name, zero), pointer_of(name)))
    names = {pointer_of(name): header[at][:HEADER_CHARS_KEPT] for name, at in found.items()}
    sections = dict.fromkeys((*Plan.sections, *(column.section for column in columns)))
    return Plan(mapping, table, tuple(columns), names, tuple(sections))


def _converter(mapping: Mapping, name: str, zero: date) -> Convert:
    to_date = conversions.date_reader(mapping.given.dates, zero)
    kind = mapping.fields[name]
    convert: Convert = {
        "text": conversions.to_text,
        "code": conversions.to_code,
        "whole": conversions.to_whole,
        "number": conversions.to_number,
        "list": conversions.to_list,
        "division": conversions.to_division,
        "date": to_date,
        "last_day": conversions.inclusive(to_date),
        "instant": conversions.instant_reader(to_date),
    }[kind]
    table = {conversions.plain(word): code for word, code in mapping.codes.get(name, {}).items()}
    if not table:
        return convert
    return conversions.translated_list(convert, table) if kind == "list" else conversions.translated(convert, table)


def shape(row: Row, plan: Plan, sender: Sender, now: datetime) -> Shaped:
    """Never raises for content."""
    if row.broken is not None:
        return Shaped(row, plan.table, refused(row, sender, [fault("", row.broken)]), plan.names)
    parts: dict[str, dict[str, Any]] = {section: {} for section in plan.sections}
    faults: list[Fault] = []
    formula, cells = False, row.cells
    for section, name, at, convert, pointer in plan.columns:
        cell = cells[at] if at < len(cells) else None
        if cell is None or cell == "":
            continue
        formula = formula or type(cell) is Calculated
        try:
            prepared = conversions.prepared(cell)
            value = convert(prepared) if prepared is not None else None
        except CellWrong as wrong:
            faults.append(fault(pointer, wrong.code))
            continue
        if value is not None:
            parts[section].setdefault(name, value)
    _complete(parts, plan.mapping, {f.pointer for f in faults})
    if parts[""].get("action") in WITHOUT_VALUE:
        faults = [f for f in faults if not f.pointer.startswith("/data/value/")]
    told, event = _event(parts, plan.mapping, sender)
    read = read_event(_encode(event), now, only_source=sender.only)
    if faults:
        pointers = tuple(f.pointer for f in faults)
        more = [f for f in read.faults if not f.pointer.startswith(pointers)] if isinstance(read, Rejected) else []
        read = refused(row, sender, [*faults, *more])
    elif isinstance(read, Pushed) and not told:
        read = msgspec.structs.replace(read, digest=vault().blind_index(f"row\0{read.source.urn}\0{read.id}"))
    return Shaped(row, plan.table, read, plan.names, formula)


def end_of(row: Row, plan: Plan) -> date | None:
    """The end of its period that a row tells, whatever its other columns hold."""
    for column in plan.columns:
        if column.pointer != "/data/valid_to" or column.at >= len(row.cells):
            continue
        try:
            prepared = conversions.prepared(row.cells[column.at])
            told = column.convert(prepared) if prepared is not None else None
            end = date.fromisoformat(told) if told is not None else None
        except (CellWrong, ValueError):
            continue
        if end is not None:
            return None if end == OPEN_END else end
    return None


def _complete(parts: dict[str, dict[str, Any]], mapping: Mapping, faulty: set[str]) -> None:
    """Defaults, and what the numbers of the row tell, for fields that no cell gave."""
    for name, value in mapping.defaults.items():
        section, _, last = name.rpartition(".")
        if pointer_of(name) not in faulty:
            parts.setdefault(section, {}).setdefault(last, value)
    for name in mapping.derived:
        last = name.rpartition(".")[2]
        if last not in parts["value"] and pointer_of(name) not in faulty:
            told = conversions.derived(last, parts["person"], parts["value"])
            if told is not None:
                parts["value"][last] = told
    for section in sorted(parts.keys() - {"", "person", "value"}):  # value.<list>.<n>: entries of a list, in order
        if parts[section]:
            parts["value"].setdefault(section.split(".")[1], []).append(parts[section])


def _event(parts: dict[str, dict[str, Any]], mapping: Mapping, sender: Sender) -> tuple[bool, dict[str, Any]]:
    """Whether the row brought an id of its own, and the structured event."""
    top = parts[""]
    given, time = top.pop("id", None), top.pop("time", None)
    if time is None and mapping.given.time is not None:
        time = mapping.given.time.isoformat()
    data: dict[str, Any] = {"action": "created", **top, "person": parts["person"]}
    if data["action"] not in WITHOUT_VALUE:
        data["value"] = parts["value"]
    source = sender.source or ""
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": given or _row_id(source, mapping.kind, data, time),
        "source": source,
        "type": population_type(mapping.kind),
        "time": time or sender.received_at.isoformat(),
        "data": data,
    }
    return given is not None, event


def _row_id(source: str, kind: str, data: dict[str, Any], time: str | None) -> str:
    raw = str(data["person"].get("id_number", ""))
    number = check(raw, None)
    person = {**data["person"], "id_number": number.number if isinstance(number, IdNumber) else raw}
    content = _sorted([source, kind, time, {**data, "person": person}])
    return "row-" + vault().blind_index("row\0" + content.decode()).hex()[:40]


def refused(row: Row, sender: Sender, faults: Sequence[Fault]) -> Rejected:
    """The refusal of a row. Its body has the cells, shortened; a digest then tells rows with one beginning apart."""
    texts = [text_of(cell) for cell in row.cells]
    kept = shortened(texts, REJECT_BYTES_MAX)
    if kept != texts:
        kept.append(blake2b("\x1f".join(texts).encode("utf-8", "replace"), digest_size=16).hexdigest())
    body = _encode(kept)
    return Rejected(id=None, event_id=None, source=sender.source, day=None, faults=tuple(faults), body=body)
