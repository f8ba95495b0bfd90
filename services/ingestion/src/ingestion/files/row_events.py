"""Makes an event from a row, with the checks of every pushed event. The faults of cells and event are reported
together, so the sender corrects a row once.

A row without an id gets a keyed hash of its content as id. So the same row in another file is the same event.
A time in the file or in its mapping is part of the content; the time of the upload is not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
from common.codes.id_number import IdNumber, check
from common.events.kinds import WITHOUT_VALUE
from common.events.population import population_type
from shell.privacy import vault

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Rejected
from ingestion.files.domain import cells as conversions
from ingestion.files.domain import dates
from ingestion.files.domain.cells import CellWrong, Convert
from ingestion.files.domain.table import HEADER_CHARS_KEPT, REJECT_BYTES_MAX, Calculated, Cell, Row, shortened, text_of
from ingestion.files.mapping import Mapping
from ingestion.reading.checks import OPEN_END
from ingestion.reading.events import read_event

_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode
_CONVERTERS: Final[dict[str, Convert]] = {
    "text": conversions.to_text,
    "code": conversions.to_code,
    "whole": conversions.to_whole,
    "number": conversions.to_number,
    "list": conversions.to_list,
    "division": conversions.to_division,
}


class Sender(NamedTuple):
    """The sender of a file. `source`: the source of all rows; None if every event names its own. `only`: the only
    source for which the caller may send; None: any source. `received_at`: the time of an event whose row has none.
    It is when the file was received, or when the row of a front-end table was written."""

    source: str | None
    only: str | None
    received_at: datetime


class Shaped(NamedTuple):
    """A row and its event. `table`: number of its header in the file; `columns`: pointer into the event → name of its
    column; `formula`: a used cell has a formula."""

    row: Row
    table: int
    read: Pushed | Rejected
    columns: dict[str, str]
    formula: bool = False


class _Column(NamedTuple):
    """A column of a table that holds a field. `section`: the part of the event (`person`, `value`, or empty for the
    top); `name`: the field in it; `at`: position in the row; `pointer`: the place of the field in the event."""

    section: str
    name: str
    at: int
    convert: Convert
    pointer: str


@dataclass(frozen=True)
class Plan:
    """How the rows below one header become events. `names`: pointer into the event → name of its column;
    `sections`: the parts of an event that have columns."""

    mapping: Mapping
    table: int
    columns: tuple[_Column, ...]
    names: dict[str, str]
    sections: tuple[str, ...] = ("", "person", "value")


def pointer_of(name: str) -> str:
    """The place of a field in the event."""
    if name in ("id", "time"):
        return f"/{name}"
    return "/data/" + ("valid_to" if name == "valid_until" else name.replace(".", "/"))


def make_plan(mapping: Mapping, found: dict[str, int], header: Sequence[str], table: int, zero: date) -> Plan:
    """Plan how the rows below a header become events. `found`: field → position of its column; `header`: the names of
    the columns; `table`: number of the header in the file; `zero`: day 0 of serial day numbers."""
    columns = tuple(_column(mapping, name, at, zero) for name, at in found.items())
    names = {pointer_of(name): header[at][:HEADER_CHARS_KEPT] for name, at in found.items()}
    sections = dict.fromkeys((*Plan.sections, *(column.section for column in columns)))
    return Plan(mapping, table, columns, names, tuple(sections))


def _column(mapping: Mapping, name: str, at: int, zero: date) -> _Column:
    section, _, last = name.rpartition(".")
    field = "valid_to" if name == "valid_until" else last
    return _Column(section, field, at, _converter(mapping, name, zero), pointer_of(name))


def _converter(mapping: Mapping, name: str, zero: date) -> Convert:
    type_name = mapping.fields[name]
    convert = _CONVERTERS.get(type_name) or _date_converter(type_name, mapping.given.dates, zero)
    table = {conversions.plain(word): code for word, code in mapping.codes.get(name, {}).items()}
    if not table:
        return convert
    if type_name == "list":
        return conversions.translated_list(convert, table)
    return conversions.translated(convert, table)


def _date_converter(type_name: str, formats: Sequence[str], zero: date) -> Convert:
    to_date = dates.date_reader(formats, zero)
    if type_name == "last_day":
        return dates.inclusive(to_date)
    return dates.instant_reader(to_date, formats) if type_name == "instant" else to_date


class _Converted(NamedTuple):
    """The converted cells of a row. `parts`: section of the event → field → value. `faults`: of its cells."""

    parts: dict[str, dict[str, Any]]
    faults: list[Fault]
    has_formula: bool


def shape(row: Row, plan: Plan, sender: Sender, now: datetime) -> Shaped:
    """Make the event of a row. Faulty content gives a rejection, never an exception."""
    if row.broken is not None:
        return Shaped(row, plan.table, rejection(row, sender, [fault("", row.broken)]), plan.names)
    parts, faults, has_formula = _convert(row.cells, plan)
    _complete(parts, plan.mapping, {f.pointer for f in faults})
    if parts[""].get("action") in WITHOUT_VALUE:
        faults = [f for f in faults if not f.pointer.startswith("/data/value/")]
    read = _read(parts, plan.mapping, sender, now)
    if faults:
        read = rejection(row, sender, _with_faults_of_event(faults, read))
    return Shaped(row, plan.table, read, plan.names, has_formula)


def _read(parts: dict[str, dict[str, Any]], mapping: Mapping, sender: Sender, now: datetime) -> Pushed | Rejected:
    has_own_id = parts[""].get("id") is not None
    read = read_event(_encode(_event(parts, mapping, sender)), now, only_source=sender.only)
    if has_own_id or isinstance(read, Rejected):
        return read
    digest = vault().blind_index(f"row\0{read.source.urn}\0{read.id}")  # the id stands for the content
    return msgspec.structs.replace(read, digest=digest)


def _convert(cells: Sequence[Cell], plan: Plan) -> _Converted:
    parts: dict[str, dict[str, Any]] = {section: {} for section in plan.sections}
    faults: list[Fault] = []
    has_formula = False
    for section, name, at, convert, pointer in plan.columns:
        cell = cells[at] if at < len(cells) else None
        if cell is None or cell == "":
            continue
        has_formula = has_formula or type(cell) is Calculated
        try:
            value = _value_of(cell, convert)
        except CellWrong as wrong:
            faults.append(fault(pointer, wrong.code))
            continue
        if value is not None:
            parts[section].setdefault(name, value)
    return _Converted(parts, faults, has_formula)


def _value_of(cell: Cell, convert: Convert) -> Any:
    """The converted value; None for a blank cell. Raises CellWrong."""
    prepared = conversions.prepared(cell)
    return convert(prepared) if prepared is not None else None


def _with_faults_of_event(faults: Sequence[Fault], read: Pushed | Rejected) -> list[Fault]:
    """The faults of the cells and of the event, without faults of the event in a field whose cell is faulty."""
    if isinstance(read, Pushed):
        return list(faults)
    pointers = tuple(f.pointer for f in faults)
    return [*faults, *(f for f in read.faults if not f.pointer.startswith(pointers))]


def end_of(row: Row, plan: Plan) -> date | None:
    """The end (`valid_to`) of the period in a row, even if its other cells are wrong. None: open or unreadable."""
    for column in plan.columns:
        if column.pointer != "/data/valid_to" or column.at >= len(row.cells):
            continue
        try:
            text = _value_of(row.cells[column.at], column.convert)
            end = date.fromisoformat(text) if text is not None else None
        except (CellWrong, ValueError):
            continue
        if end is not None:
            return None if end == OPEN_END else end
    return None


def _complete(parts: dict[str, dict[str, Any]], mapping: Mapping, faulty: set[str]) -> None:
    """Add the values that no cell gives. `faulty`: pointers of the cells that cannot be read."""
    _add_defaults(parts, mapping, faulty)
    _add_derived(parts, mapping, faulty)
    _add_list_entries(parts)


def _add_defaults(parts: dict[str, dict[str, Any]], mapping: Mapping, faulty: set[str]) -> None:
    """Add the defaults of the mapping to fields without a value. A field with a faulty cell gets no default."""
    for name, value in mapping.defaults.items():
        section, _, last = name.rpartition(".")
        if pointer_of(name) not in faulty:
            parts.setdefault(section, {}).setdefault(last, value)


def _add_derived(parts: dict[str, dict[str, Any]], mapping: Mapping, faulty: set[str]) -> None:
    """Add values that follow from the digits of an ID number or a certificate number."""
    for name in mapping.derived:
        last = name.rpartition(".")[2]
        if last in parts["value"] or pointer_of(name) in faulty:
            continue
        value = conversions.derived(last, parts["person"], parts["value"])
        if value is not None:
            parts["value"][last] = value


def _add_list_entries(parts: dict[str, dict[str, Any]]) -> None:
    """Add the entries of lists to the value. Each section `value.<list>.<n>` is one entry; empty ones are left out."""
    for section in sorted(parts.keys() - {"", "person", "value"}):
        if parts[section]:
            parts["value"].setdefault(section.split(".")[1], []).append(parts[section])


def _event(parts: dict[str, dict[str, Any]], mapping: Mapping, sender: Sender) -> dict[str, Any]:
    """The CloudEvent of a row, with an id from its content unless the row has one."""
    top = parts[""]
    own_id, time = top.pop("id", None), top.pop("time", None) or _time_of_file(mapping)
    data = _data(parts)
    source = sender.source or ""
    return {
        "specversion": "1.0",
        "id": own_id or _id_of_content(source, mapping.kind, data, time),
        "source": source,
        "type": population_type(mapping.kind),
        "time": time or sender.received_at.isoformat(),
        "data": data,
    }


def _time_of_file(mapping: Mapping) -> str | None:
    return mapping.given.time.isoformat() if mapping.given.time is not None else None


def _data(parts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    data: dict[str, Any] = {"action": "created", **parts[""], "person": parts["person"]}
    if data["action"] not in WITHOUT_VALUE:
        data["value"] = parts["value"]
    return data


def _id_of_content(source: str, kind: str, data: dict[str, Any], time: str | None) -> str:
    content = _sorted([source, kind, time, {**data, "person": _with_plain_number(data["person"])}])
    return "row-" + vault().blind_index("row\0" + content.decode()).hex()[:40]


def _with_plain_number(person: dict[str, Any]) -> dict[str, Any]:
    """The person with the ID number in its 18-digit form, because an old number of 15 digits means the same person."""
    raw = str(person.get("id_number", ""))
    number = check(raw, None)
    return {**person, "id_number": number.number if isinstance(number, IdNumber) else raw}


def rejection(row: Row, sender: Sender, faults: Sequence[Fault]) -> Rejected:
    body = _encode(_body(row))
    return Rejected(id=None, event_id=None, source=sender.source, day=None, faults=tuple(faults), body=body)


def _body(row: Row) -> list[str]:
    """The cells of a rejected row. If they are shortened, a digest of the full cells makes the body unique."""
    texts = [text_of(cell) for cell in row.cells]
    kept = shortened(texts, REJECT_BYTES_MAX)
    if kept != texts:
        kept.append(blake2b("\x1f".join(texts).encode("utf-8", "replace"), digest_size=16).hexdigest())
    return kept
