"""Decides which column of a file holds which field of an event. The names of columns come from the usual names per kind
(`contracts/imports`) and from the mapping that a sender gives.
"""

import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
import yaml
from common.errors import Malformed, Problem
from common.events.facts import Kind
from common.events.kinds import FROM_REQUIRED, KINDS
from msgspec import Meta
from shell.settings import repository_root

from ingestion.files.domain.dates import reads_dates
from ingestion.files.domain.fields import fields_of, required_fields
from ingestion.files.domain.header import HeaderRow, read_name
from ingestion.files.domain.table import HEADER_CHARS_KEPT

MAPPING_BYTES_MAX: Final = 16 * 1024
Header = Annotated[str, Meta(min_length=1, max_length=100)]
FieldName = Annotated[str, Meta(min_length=1, max_length=64)]
_CODES_MAX: Final = 500


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The mapping that the sender gives with a file. Every field is optional. `columns`: field of the event → names of
    its column; `codes`: field → word in the file → code; `dates`: further formats (strptime), tried first; `time`: when
    the source recorded the file; `extend`: false to ignore all usual settings of the kind: names, defaults, codes
    and derived fields."""

    columns: dict[FieldName, Header | Annotated[list[Header], Meta(min_length=1, max_length=40)]] = {}
    defaults: dict[FieldName, Any] = {}
    codes: dict[FieldName, Annotated[dict[str, Any], Meta(max_length=_CODES_MAX)]] = {}
    dates: Annotated[list[Annotated[str, Meta(min_length=2, max_length=40)]], Meta(max_length=8)] = []
    time: Annotated[datetime, Meta(tz=True)] | None = None
    sheet: Annotated[str, Meta(min_length=1, max_length=31)] | None = None
    encoding: Literal["utf-8", "gb18030"] | None = None
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    extend: bool = True


@dataclass(frozen=True)
class Mapping:
    """The complete mapping for files of one kind. `columns`: field → names that its column may have; `codes`: field →
    word in the file → code; `derived`: fields that are read from the ID number or the certificate number if the row has
    no value for them; `fields`: field → its type; `others`: words in the remark of a column that mean another
    person."""

    kind: Kind
    given: Given
    columns: dict[str, tuple[str, ...]]
    defaults: dict[str, Any]
    codes: dict[str, dict[str, Any]]
    derived: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def found_in(self, cells: Sequence[Any]) -> dict[str, int]:
        """Field → position of its column, if this row is the header. A header has a column of ID numbers; for any
        other row the result is empty."""
        found = self._columns_in(HeaderRow(cells))
        return {name: places[0] for name, places in found.items()} if "person.id_number" in found else {}

    def ambiguous(self, cells: Sequence[Any]) -> list[dict[str, Any]]:
        """Each field that several columns of a header could hold (`field`), with the names of the columns (`names`)."""
        return [
            {"field": name, "names": [cells[at][:HEADER_CHARS_KEPT] for at in places]}
            for name, places in self._columns_in(HeaderRow(cells)).items()
            if len(places) > 1
        ]

    def _columns_in(self, header: HeaderRow) -> dict[str, list[int]]:
        """Field → positions of its columns. The first name of the field that the header has decides.

        Remarks in the header do not matter, with two exceptions. A name that the sender gives may contain a remark;
        then it selects the column with this remark. A column whose remark names another person holds a field of that
        person only."""
        found = {}
        for field_name, names in self.columns.items():
            is_given = field_name in self.given.columns
            for name in names:
                places = header.exactly(name) if is_given else []
                places = places or [at for at, remarks in header.called(name) if self._is_own(field_name, remarks)]
                if places:
                    found[field_name] = places
                    break
        return found

    def _is_own(self, field_name: str, remarks: str) -> bool:
        """Whether each word for another person in the remarks of a column is also in a name of the field."""
        names = self.columns[field_name]
        return all(any(word in name for name in names) for word in self.others if word in remarks)

    def missing(self, found: Dict[str, int]) -> list[str]:
        """The required fields that no column, default or derived value gives. `found`: the result of `found_in`."""
        needed = ["person.id_number", *required_fields(self.kind)]
        if self.kind in FROM_REQUIRED:
            needed.append("valid_from")
        return [n for n in needed if n not in found and n not in self.defaults and n not in self.derived]

    def wanted(self, fields: Sequence[str]) -> list[dict[str, Any]]:
        """For each of these fields, its name (`field`) and the names that its column may have (`names`)."""
        return [{"field": name, "names": list(self.columns.get(name, ()))} for name in fields]


# ── the given mapping and the usual one ─────────────────────────────────────────────────────────────────────


def read_given(text: str) -> Given:
    """Read the mapping that a sender gives, as JSON. Raises Malformed with a pointer into the mapping."""
    try:
        content = text.encode()
        if len(content) > MAPPING_BYTES_MAX:
            raise Malformed(f"a mapping holds at most {MAPPING_BYTES_MAX} bytes", code="mapping_too_large")
        return msgspec.json.decode(content, type=Given)
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as wrong:
        pointer = pointer_in(str(wrong))
        raise _invalid([Problem(pointer=pointer, code="mapping_invalid", detail=_reason(wrong))]) from None


def pointer_in(message: str) -> str:
    """The JSON pointer to the place that an error message of msgspec names."""
    found = re.search(r"at `\$([^`]*)`", message)
    return "".join(f"/{part}" for part in re.findall(r"\w+", found[1])) if found else ""


def _reason(wrong: Exception) -> str:
    return "nested too deep" if isinstance(wrong, RecursionError) else str(wrong).partition(" - at ")[0][:200]


def resolve(kind: str, given: Given) -> Mapping:
    """Combine a given mapping with the usual columns of the kind. Raises Malformed with a pointer to each fault."""
    if kind not in KINDS:
        raise _invalid([Problem(pointer="/kind", code="kind_unknown", detail=f"one of {', '.join(KINDS)}")])
    known = fields_of(kind)
    problems = [*_unknown_fields(kind, given, known), *_wrong_formats(given), *_wrong_id_numbers(given)]
    if problems:
        raise _invalid(problems)
    usual = usual_columns(kind) if given.extend else Usual()
    return Mapping(
        kind=kind,
        given=given,
        columns=_columns(usual, given, known),
        defaults=usual.defaults | given.defaults,
        codes=_merged(usual.codes, given.codes),
        derived=usual.derived,
        fields=known,
        others=usual_columns(kind).others,
    )


def _merged(usual: Dict[str, dict[str, Any]], given: Dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Merge two tables of field → word → code. A given word replaces a usual one."""
    return {name: usual.get(name, {}) | given.get(name, {}) for name in (*usual, *given)}


def _columns(usual: "Usual", given: Given, known: Dict[str, str]) -> dict[str, tuple[str, ...]]:
    """Field → names of its column. Given names replace the usual ones."""
    columns = dict(usual.columns)
    for name, names in given.columns.items():
        columns[name] = (names,) if isinstance(names, str) else tuple(names)
    return {name: _headers(name, columns.get(name, ())) for name in known}


def _unknown_fields(kind: str, given: Given, known: Dict[str, str]) -> list[Problem]:
    detail = f"{kind} has the fields {', '.join(known)}"
    problems = []
    for part, names in (("columns", given.columns), ("defaults", given.defaults), ("codes", given.codes)):
        problems += [
            Problem(pointer=f"/{part}/{name}", code="field_unknown", detail=detail)
            for name in names
            if name not in known
        ]
    return problems


def _wrong_formats(given: Given) -> list[Problem]:
    detail = "a format of strptime with %Y, %m and %d, each once"
    return [
        Problem(pointer=f"/dates/{at}", code="date_format", detail=detail)
        for at, each in enumerate(given.dates)
        if re.search("%[^YmdHMS%]", each) or not reads_dates(each)
    ]


def _wrong_id_numbers(given: Given) -> list[Problem]:
    """The problems of a mapping that gives one ID number to several rows, by a default or as the code of a word."""
    return [
        Problem(pointer=f"/{part}/person.id_number", code="not_per_file", detail="every row has its own ID number")
        for part, names in (("defaults", given.defaults), ("codes", given.codes))
        if "person.id_number" in names
    ]


def _headers(name: str, names: Sequence[str]) -> tuple[str, ...]:
    """The names of a column. The name of the field is one of them, except for `id`: most files use it for a running
    number."""
    listed = dict.fromkeys(read_name(h).exact for h in names)
    return tuple(listed) if name == "id" else (*listed, *(() if name in listed else (name,)))


def _invalid(problems: Sequence[Problem]) -> Malformed:
    return Malformed("the mapping cannot be used", code="mapping_invalid", problems=problems)


class Usual(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of one file of `contracts/imports`. The fields are those of `Mapping`."""

    columns: dict[str, tuple[str, ...]] = {}
    defaults: dict[str, Any] = {}
    codes: dict[str, dict[str, Any]] = {}
    derived: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@cache
def usual_columns(kind: str) -> Usual:
    """The usual columns of a kind: the file `common`, overridden by the file of this kind."""
    common, own = _read("common"), _read(kind)
    return Usual(
        columns=common.columns | own.columns,
        defaults=common.defaults | own.defaults,
        codes=common.codes | own.codes,
        derived=own.derived,
        others=common.others,
    )


def _read(name: str) -> Usual:
    path = repository_root() / "contracts" / "imports" / f"{name}.yaml"
    if not path.exists():
        return Usual()
    return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Usual)
