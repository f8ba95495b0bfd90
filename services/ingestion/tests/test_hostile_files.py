"""Damaged and hostile files: reading gives rows or a code, never an exception of a library and never a hang."""

import io
import zipfile
from datetime import UTC, date, datetime, time
from random import Random

import pytest
import xlsxwriter
import yaml
from common.codes.id_number import make
from common.errors import Malformed
from common.events.kinds import KINDS
from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion.domain.file_problems import FILES
from ingestion.domain.receipts import Rejected
from ingestion.files import spool
from ingestion.files.delimited import records
from ingestion.files.domain.cells import CellWrong, plain, to_code, to_division, to_list
from ingestion.files.domain.dates import date_reader, day_of, instant_reader
from ingestion.files.domain.fields import fields_of
from ingestion.files.domain.table import DAY_ZERO, FileBroken
from ingestion.files.mapping import Given, read_given, resolve
from ingestion.files.row_events import Sender
from ingestion.files.streams import RowStream
from shell import clock
from shell.settings import repository_root

SOURCE = "urn:cn:exchange:530300:grid"
SENDER = Sender(SOURCE, SOURCE, datetime(2026, 11, 20, tzinfo=UTC))
NAMES = ["姓名", "身份证号", "认证日期", "认证方式"]
FORMATS = ("csv", "xlsx", "ndjson", "parquet")


def cells(n):
    return ["张三丰", make("530302", date(1940, 2, 29), n), date(2026, 11, 1), "上门"]


def workbook():
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"default_date_format": "yyyy-mm-dd", "in_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate([NAMES, *map(cells, range(20))]):
            for column, cell in enumerate(row):
                sheet.write(at, column, cell)
        sheet.write_formula(5, 2, "=TODAY()", None, 46327)
    return data.getvalue()


def parquet():
    import pyarrow
    from pyarrow import parquet as files

    data = io.BytesIO()
    columns = dict(zip(NAMES, map(list, zip(*map(cells, range(20)), strict=True)), strict=True))
    files.write_table(pyarrow.table(columns), data)
    return data.getvalue()


WHOLE = {
    "csv": ("\n".join([",".join(NAMES), *(",".join(map(str, cells(n))) for n in range(20))])).encode(),
    "xlsx": workbook(),
    "ndjson": ("\n".join(f'{{"身份证号": "{cells(n)[1]}", "认证日期": "20261101"}}' for n in range(20))).encode(),
    "parquet": parquet(),
}


def read(content, form):
    """The number of good rows, and the code of the fault that ended the file, or None."""
    good = 0
    try:
        for shaped in RowStream(io.BytesIO(content), form, "alive", Given(), SENDER).rows(clock.now):
            good += not isinstance(shaped.read, Rejected)
    except FileBroken as broken:
        return good, broken.code
    return good, None


@pytest.mark.parametrize("form", FORMATS)
def test_a_complete_file_is_read_completely(form):
    assert read(WHOLE[form], form) == ((20, None) if form != "ndjson" else (0, None))


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_file_gives_rows_or_a_code(form):
    random, outcomes = Random(form), set()
    for _ in range(150):
        content = bytearray(WHOLE[form])
        for _ in range(random.choice((1, 3, 20))):
            content[random.randrange(len(content))] = random.randrange(256)
        outcomes.add(read(bytes(content[: random.choice((None, random.randrange(len(content))))]), form)[1])
    assert outcomes <= {None, *FILES}
    assert len(outcomes) > 1 or form == "ndjson"
    assert not list(spool.spool_folder().glob("*"))


def test_a_sheet_that_is_called_visible_is_read():
    """Some programs write the state of every sheet."""
    data = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE["xlsx"])) as whole, zipfile.ZipFile(data, "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name).replace(b"<sheet ", b'<sheet state="visible" '))
    assert read(data.getvalue(), "xlsx") == (20, None)


def test_a_workbook_with_a_damaged_part_gives_rows_or_a_code():
    random = Random(2)
    with zipfile.ZipFile(io.BytesIO(WHOLE["xlsx"])) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(250):
        name = random.choice([n for n in parts if n.startswith(("xl/w", "xl/s", "_rels"))])
        content = bytearray(parts[name])
        at = random.randrange(len(content))
        content[at : at + random.choice((0, 1, 8))] = random.choice(
            (b"", b"9" * 30, b"<", b'"', b"\xff", b"-1", b"&#0;", b"</c>", b'<c t="s">', b'r="ZZZ1"', b"E400", b"NaN")
        )
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for each, body in parts.items():
                archive.writestr(each, bytes(content) if each == name else body)
        assert read(data.getvalue(), "xlsx")[1] in (None, *FILES)
    assert not list(spool.spool_folder().glob("*"))


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from('a,"\n\r;张\ufffd '), max_size=60))
def test_no_line_of_a_csv_is_lost_by_wrong_quotes(text):
    rows = list(records(io.StringIO(text, newline=""), ","))
    assert [row.place for row in rows] == list(range(1, len(rows) + 1))
    kept = "".join("".join(map(str, row.cells)) for row in rows)
    for mark in "a张":
        assert kept.count(mark) == text.count(mark)


# NDJSON has lists and objects, Parquet and databases have times of day and durations.
OTHER = st.one_of(st.lists(st.text()), st.dictionaries(st.text(), st.text()), st.times(), st.timedeltas())


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=30), st.integers(), st.floats(), st.booleans(), st.dates(), st.datetimes(), OTHER))
def test_a_cell_becomes_a_value_or_a_code(value):
    to_date = date_reader(["%d/%m/%Y"], DAY_ZERO)
    for convert in (to_date, instant_reader(to_date, ["%d/%m/%Y"]), to_code, to_division, to_list):
        try:
            convert(value)
        except CellWrong:
            continue


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("2026-11-01", "2026-11-01"),
        ("2026年1月2日", "2026-01-02"),
        ("２０２６／１／２", "2026-01-02"),
        ("20261101", "2026-11-01"),
        (20261101, "2026-11-01"),
        ("46327", "2026-11-01"),
        (46327.75, "2026-11-01"),
        ("2026-11-01 08:30:00", "2026-11-01"),
        ("1/2/2026", None),
        ("2026-13-01", None),
        ("2026-11-01 99:99", None),
        ("2026-11-01 24:00", None),
        ("2026-11-01 08:30:61", None),
        ("2026-11-01T08:30:00+08:00", None),
        ("2026", None),
        (True, None),
        (-3, None),
        (0.5, None),
        (float("nan"), None),
        (float("inf"), None),
        (["2026-11-01"], None),
        (time(8, 30), None),
    ],
)
def test_dates_are_read_or_rejected(raw, expected):
    to_date = date_reader([], DAY_ZERO)
    if expected is None:
        with pytest.raises(CellWrong) as wrong:
            to_date(raw)
        assert wrong.value.code in ("date", "digits_lost")
    else:
        assert to_date(raw) == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("530302", "530302"),
        ("530302000000", "530302"),
        ("530302001000", "530302001"),
        ("５３０３０２", "530302"),
        (530302, "530302"),
        ("麒麟区", "530302"),
        ("云南省 曲靖市 麒麟区", "530302"),
        ("曲靖市麒麟区", "530302"),
    ],
)
def test_a_division_is_found_by_code_or_by_name(raw, expected):
    assert to_division(raw) == expected


def test_a_time_without_an_offset_is_in_asia_shanghai():
    to_instant = instant_reader(date_reader([], DAY_ZERO), [])
    assert to_instant("2026-11-01 08:30") == "2026-11-01T08:30:00+08:00"
    assert to_instant("2026年11月1日") == "2026-11-01T00:00:00+08:00"
    assert to_instant("2026-11-01T00:30:00Z") == "2026-11-01T00:30:00+00:00"
    assert to_instant(date(2026, 11, 1)) == "2026-11-01T00:00:00+08:00"


@pytest.mark.parametrize(
    ("format", "text"),
    [
        ("%Y%m%d%H%M%S", "20261101083000"),
        ("%Y年%m月%d日%H时%M分", "2026年11月1日8时30分"),
        ("%d/%m/%YT%H:%M", "01/11/2026T08:30"),
        ("%H:%M %d.%m.%Y", "08:30 01.11.2026"),
    ],
)
def test_a_format_with_a_time_of_day_gives_the_time_of_day(format, text):
    formats = resolve("alive", Given(dates=[format])).given.dates
    to_date = date_reader(formats, DAY_ZERO)
    assert to_date(text) == "2026-11-01"
    assert instant_reader(to_date, formats)(text) == "2026-11-01T08:30:00+08:00"


def test_a_serial_day_number_after_the_year_9999_is_no_day():
    assert day_of(2_958_465, DAY_ZERO) == date(9999, 12, 31)
    assert day_of(2_958_465, date(1904, 1, 1)) is None


@pytest.mark.parametrize("format", ["%Y%Y-%m-%d", "%Y-%m-%d %H:%H", "%%Y-%m-%d", "%Y-%m-%d %", "%Y %m %%d"])
def test_a_date_format_that_cannot_be_used_is_rejected_with_its_place(format):
    with pytest.raises(Malformed) as found:
        resolve("alive", Given(dates=["%d/%m/%Y", format]))
    assert [(p.pointer, p.code) for p in found.value.problems] == [("/dates/1", "date_format")]


def test_a_date_format_may_contain_any_character():
    assert date_reader(resolve("alive", Given(dates=["(%d)*[%m].%Y%%"])).given.dates, DAY_ZERO)("(2)*[11].2026%")


def test_a_mapping_with_half_a_character_is_rejected():
    with pytest.raises(Malformed) as found:
        read_given('{"sheet": "\ud800"}')
    assert [p.code for p in found.value.problems] == ["mapping_invalid"]


def test_the_usual_names_of_columns_belong_to_existing_fields():
    folder = repository_root() / "contracts" / "imports"
    found = {path.stem for path in folder.glob("*.yaml")} - {"common"}
    assert found <= set(KINDS)
    for kind in found:
        usual = yaml.safe_load((folder / f"{kind}.yaml").read_text())
        named = {*usual.get("columns", ()), *usual.get("codes", ()), *usual.get("derived", ())}
        assert named <= set(fields_of(kind)), kind
        mapping = resolve(kind, Given())
        every = [name for names in mapping.columns.values() for name in names]
        assert mapping.missing(mapping.found_in(every)) == []
        for field, words in usual.get("codes", {}).items():
            assert all(plain(str(word)) for word in words), field


@pytest.mark.parametrize(
    "header",
    [
        bytes([0x15, 2, 0x15, 2, 0x15, 2, 0x05, 0, 2, 0]),  # an index page with an integer as field 0
        bytes([0x15, 0, 0x15, 2, 0x15, 2, 0x25, 2, 0]),  # a data page with an integer as its description
        bytes([0x15, 0, 0x15, 2, 0x15, 2, 0]),  # a data page without a description
    ],
)
def test_a_false_page_header_breaks_the_file_and_not_its_reader(header):
    first = WHOLE["parquet"].index(b"PAR1") + 4
    content = bytearray(WHOLE["parquet"])
    content[first : first + len(header)] = header
    assert read(bytes(content), "parquet") == (0, "file_broken")


def test_one_day_out_of_range_rejects_only_its_row():
    import pyarrow
    from pyarrow import parquet as files

    days = pyarrow.array([20_000 * 86_400, 10**13, 20_001 * 86_400], pyarrow.timestamp("s"))
    numbers = [cells(n)[1] for n in range(3)]
    table = pyarrow.table({"身份证号": numbers, "认证日期": days, "认证方式": ["上门"] * 3})
    data = io.BytesIO()
    files.write_table(table, data, coerce_timestamps="ms", allow_truncated_timestamps=True)
    assert read(data.getvalue(), "parquet") == (2, None)


def test_a_list_in_a_cell_may_use_any_usual_separator() -> None:
    for separator in "、,，;；/|":
        assert to_list(f"独居{separator}空巢") == ["独居", "空巢"]
