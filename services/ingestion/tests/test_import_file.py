"""Files as departments send them: correct rows are recorded once, and wrong rows come back with their reasons."""

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime

import msgspec
import pytest
import xlsxwriter
from ingestion.domain.file_problems import FILES
from ingestion.domain.problems import PROBLEMS
from ingestion.files import spool
from ingestion.reading.events import reopen
from shell.access.auth import issue_token
from shell.privacy import vault

NAMES = ["姓名", "身份证号", "残疾证号", "残疾类别", "残疾等级", "发证日期"]
HEADER = ",".join(NAMES)


def counts(found):
    return tuple(found[name] for name in ("rows_read", "accepted", "duplicates", "quarantined", "rejected"))


def cells(people, n, *, name="张三丰", cls="肢体", level="二级", day="2026-11-01"):
    number = people.number(n)
    return [name, number, number + "42", cls, level, day]


def line(people, n, **options):
    return ",".join(cells(people, n, **options))


def table(text):
    return list(csv.DictReader(io.StringIO(text)))


def workbook(*sheets, **options):
    """XLSX of another library. A cell may be a function of (sheet, row, column)."""
    data = io.BytesIO()
    with xlsxwriter.Workbook(data, {"default_date_format": "yyyy-mm-dd", "in_memory": True, **options}) as book:
        for rows in sheets:
            sheet = book.add_worksheet()
            for at, row in enumerate(rows):
                for column, cell in enumerate(row):
                    if callable(cell):
                        cell(sheet, at, column)
                    else:
                        sheet.write(at, column, cell)
    return data.getvalue()


def formula(text, value):
    return lambda sheet, row, column: sheet.write_formula(row, column, text, None, value)


async def test_a_plain_file_needs_no_mapping(imports, people, facts_of):
    found = await imports.run("\n".join([HEADER, line(people, 1), line(people, 2)]), "disability")
    assert (found["state"], found["problems"], found["rejects"]) == ("done", [], None)
    assert counts(found) == (2, 2, 0, 0, 0)
    facts = await facts_of()
    assert len(facts) == 2
    for (fact,) in facts.values():
        assert (fact.value.class_, fact.value.level, fact.valid_from) == (4, 2, date(2026, 11, 1))


async def test_a_gb18030_csv_with_shifted_headers_is_read(imports, people, database):
    rare = "㐂𠮷"
    title = ["曲靖市持证残疾人花名册,,,,,", "填报单位：曲靖市残联,,,,,", ",,,,,"]
    lines = [*title, HEADER, line(people, 1, name=rare), line(people, 2)]
    found = await imports.run("\r\n".join(lines).encode("gb18030"), "disability")
    assert counts(found) == (2, 2, 0, 0, 0)
    rows = await database.pool.fetch("SELECT event_id, sealed FROM received")
    kept = [msgspec.json.decode(vault().open(row["sealed"], row["event_id"].encode())) for row in rows]
    assert rare in {event["data"]["person"]["name"] for event in kept}


async def test_a_file_without_a_header_fails_and_names_the_expected_columns(imports, people):
    found = await imports.run("\n".join([line(people, 1), line(people, 2)]), "disability")
    assert (found["state"], counts(found)) == ("failed", (0, 0, 0, 0, 0))
    (problem,) = found["problems"]
    assert problem["code"] == "header_not_found"
    assert "身份证号" in problem["more"]["looked_for"]


async def test_a_file_without_a_needed_column_fails_and_names_it(imports, people):
    found = await imports.run(f"姓名,身份证号,残疾类别\n张三丰,{people.number(1)},肢体\n", "disability")
    (problem,) = found["problems"]
    assert (found["state"], problem["code"]) == ("failed", "column_missing")
    assert [c["field"] for c in problem["more"]["columns"]] == ["value.certificate_no"]
    assert "残疾证号" in problem["more"]["columns"][0]["names"]


async def test_a_truncated_xlsx_is_rejected_at_the_upload(imports, people):
    whole = workbook([NAMES, cells(people, 1)])
    for part in (whole[: len(whole) // 2], whole[:-10], whole[:40]):
        answer = await imports.send(part, "disability")
        assert (answer.status_code, answer.json()["code"]) == (400, "file_broken")
    assert not list(spool.spool_folder().glob("*"))


async def test_an_xlsx_damaged_inside_fails_with_a_code(imports, people):
    whole = bytearray(workbook([NAMES, *(cells(people, n) for n in range(1, 60))]))
    with zipfile.ZipFile(io.BytesIO(bytes(whole))) as archive:
        at = archive.getinfo("xl/worksheets/sheet1.xml").header_offset
    for place in range(at + 200, at + 260):
        whole[place] ^= 0x55
    found = await imports.run(bytes(whole), "disability")
    assert (found["state"], found["problems"][0]["code"]) == ("failed", "file_broken")


def _archive(**parts):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return data.getvalue()


async def test_a_zip_bomb_is_rejected_before_it_is_unpacked(imports):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as part:
            for _ in range(64):
                part.write(bytes(1024 * 1024))
    assert len(data.getvalue()) < 100_000
    answer = await imports.send(data.getvalue(), "disability")
    assert (answer.status_code, answer.json()["code"]) == (400, "zip_bomb")


async def test_a_workbook_over_the_limit_of_unpacked_bytes_is_rejected(imports, people, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_UNPACKED_BYTES_MAX", "2000")
    answer = await imports.send(workbook([NAMES, cells(people, 1)]), "disability")
    assert (answer.status_code, answer.json()["code"]) == (400, "zip_bomb")


async def test_an_entity_bomb_in_a_workbook_is_not_expanded(imports):
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><workbook>&b;</workbook>'
    parts = {"[Content_Types].xml": "<Types/>", "_rels/.rels": "<R/>", "xl/_rels/workbook.xml.rels": "<R/>"}
    found = await imports.run(_archive(**parts, **{"xl/workbook.xml": bomb}), "disability")
    assert (found["state"], found["problems"][0]["code"]) == ("failed", "file_broken")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b" \n ", "file_empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1old", "format_xls"),
        (b"%PDF-1.7", "format_unknown"),
        (_archive(readme="no workbook"), "format_unknown"),
    ],
)
async def test_a_file_that_is_no_table_is_rejected_with_its_code(imports, content, code):
    answer = await imports.send(content, "disability")
    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_formula_counts_by_its_saved_value_and_is_rejected_without_one(imports, people, facts_of):
    book = workbook(
        [
            NAMES,
            [*cells(people, 1)[:4], formula("=1+1", 2), "2026-11-01"],
            [*cells(people, 2)[:4], formula("=VLOOKUP(A1,B:C,2,0)", ""), "2026-11-01"],
            [*cells(people, 3)[:4], formula("=1/0", "#DIV/0!"), "2026-11-01"],
        ]
    )
    found = await imports.run(book, "disability")
    assert counts(found) == (3, 1, 0, 0, 2)
    assert found["formula_rows"] == 1
    ((fact,),) = (await facts_of()).values()
    assert fact.value.level == 2
    first, second = table(await imports.rejects(found["import_id"]))
    assert first["原因代码"] == "cell_formula /data/value/level"
    assert first["原因"].startswith("残疾等级：公式")
    assert second["原因代码"] == "cell_error /data/value/level"


async def test_an_id_number_stored_as_a_number_is_rejected_because_its_digits_are_lost(imports, people):
    exact = people.number(1)[:17] + "0"
    book = workbook([NAMES, ["张三丰", int(exact), exact + "42", "肢体", "二级", "2026-11-01"]])
    text = f"{HEADER}\n张三丰,5.30302E+17,{exact}42,肢体,二级,2026-11-01\n"
    for content in (book, text):
        found = await imports.run(content, "disability")
        (reject,) = table(await imports.rejects(found["import_id"]))
        assert "digits_lost /data/person/id_number" in reject["原因代码"]


async def test_mixed_date_formats_mean_the_same_day(imports, people, facts_of):
    days = ["2026-11-01", "2026/11/1", "2026.11.01", "20261101", "2026年11月1日", "２０２６年１１月０１日", "46327"]
    days += ["2026-11-01 00:00:00"]
    lines = [line(people, n, day=day) for n, day in enumerate(days, 1)]
    found = await imports.run("\n".join([HEADER, *lines]), "disability")
    assert counts(found) == (8, 8, 0, 0, 0)
    native = [date(2026, 11, 1), datetime(2026, 11, 1), 46327, 20261101]  # noqa: DTZ001 - as a cell holds it
    book = workbook([NAMES, *([*cells(people, 20 + n)[:5], day] for n, day in enumerate(native))])
    assert counts(await imports.run(book, "disability")) == (4, 4, 0, 0, 0)
    assert {fact.valid_from for (fact,) in (await facts_of()).values()} == {date(2026, 11, 1)}


async def test_a_workbook_of_the_1904_calendar_keeps_its_days(imports, people, facts_of):
    book = workbook([NAMES, [*cells(people, 1)[:5], date(2026, 11, 1)]], date_1904=True)
    assert counts(await imports.run(book, "disability")) == (1, 1, 0, 0, 0)
    ((fact,),) = (await facts_of()).values()
    assert fact.valid_from == date(2026, 11, 1)


@pytest.mark.parametrize("day", ["2026-02-30", "11/1/2026", "二〇二六年", "2026-11", "昨天"])
async def test_a_day_that_is_not_certain_is_not_guessed(imports, people, day):
    found = await imports.run(f"{HEADER}\n{line(people, 1, day=day)}\n", "disability")
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert reject["原因代码"] == "date /data/valid_from"


async def test_full_width_digits_spaces_and_a_small_x_are_the_same_number(imports, people):
    number = next(n for n in map(people.number, range(1, 200)) if n.endswith("X"))
    wide = "".join(chr(ord(c) + 0xFEE0) for c in number)
    rows = [number, wide, number.lower(), f" {number[:6]} {number[6:14]} {number[14:]}　"]
    lines = [f"张三丰,{each},{number}42,肢体,２,2026-11-01" for each in rows]
    found = await imports.run("\n".join([HEADER, *lines]), "disability")
    assert counts(found) == (4, 1, 3, 0, 0)


async def test_a_row_of_a_megabyte_is_rejected_and_affects_no_other_row(imports, people):
    for huge in ("x" * 1_000_000, '"' + ("y" * 1_000 + ",\n") * 1_000 + '"'):
        lines = [HEADER, line(people, 1), line(people, 2, name=huge), line(people, 3)]
        found = await imports.run("\n".join(lines), "disability")
        assert found["state"] == "done"
        assert found["accepted"] + found["duplicates"] == 2
        codes = [r["原因代码"] for r in table(await imports.rejects(found["import_id"]))]
        assert codes[0] == ("row_quote" if "\n" in huge else "row_too_long")
        assert len(codes) == huge.count("\n") + 1  # the quote hides no later line


async def test_a_name_with_the_longest_text_of_a_cell_is_rejected(imports, people):
    book = workbook([NAMES, cells(people, 1), cells(people, 2, name="长" * 32_767), cells(people, 3)])
    found = await imports.run(book, "disability")
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert (counts(found), reject["原因代码"]) == ((3, 2, 0, 0, 1), "length /data/person/name")


async def test_a_quote_that_never_closes_rejects_only_its_row(imports, people):
    lines = [HEADER, line(people, 1), f'"张三丰,{people.number(2)}', line(people, 3), line(people, 4)]
    found = await imports.run("\n".join(lines), "disability")
    assert counts(found) == (4, 3, 0, 0, 1)
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert (reject["行号"], reject["原因代码"]) == ("3", "row_quote")


async def test_a_quoted_line_break_belongs_to_its_cell(imports, people, admin, vault_user):
    header = "姓名,身份证号,居住地区划代码,居住地址,入住日期"
    text = f'{header}\n张三丰,{people.number(1)},530302001,"曲靖市麒麟区\n合成村""五""号",2026-11-01\n'
    found = await imports.run(text, "residence", office="psb")
    assert counts(found) == (1, 1, 0, 0, 0)
    person = (await admin.post("/v1/persons/lookup", json={"id_number": people.number(1)})).json()["person_id"]
    asked = {"purpose": "task", "cause": "t", "fields": ["address"], "person_ids": [person]}
    shown = (await vault_user.post("/v1/vault/reveal", json=asked)).json()["persons"][0]["address"]
    assert shown == '曲靖市麒麟区 合成村"五"号'


async def test_bytes_that_are_no_characters_reject_only_their_row(imports, people):
    lines = [HEADER.encode(), line(people, 1).encode(), line(people, 2).encode(), line(people, 3).encode()]
    lines[2] = lines[2].replace("丰".encode(), b"\xe4\xb8\xff")
    found = await imports.run(b"\n".join(lines), "disability")
    assert counts(found) == (3, 2, 0, 0, 1)
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert reject["原因代码"] == "row_encoding"


async def test_every_sheet_with_a_header_is_read_and_the_others_are_counted(imports, people):
    moved = [NAMES[::-1], cells(people, 2)[::-1]]
    book = workbook([["说明"], ["本表由残联填报"]], [NAMES, cells(people, 1)], moved, [])
    found = await imports.run(book, "disability")
    assert (counts(found), found["tables_skipped"]) == ((2, 2, 0, 0, 0), 1)


async def test_the_same_file_again_is_the_same_import_and_changes_nothing(imports, people, database, heads):
    content = "\n".join([HEADER, line(people, 1), line(people, 2), "坏,1,2,3,4,5"])
    first = await imports.run(content, "disability")
    before, rows = await heads(), await database.pool.fetch("SELECT * FROM received ORDER BY event_id")
    again = await imports.run(content, "disability")
    assert again == first
    assert await heads() == before
    assert await database.pool.fetch("SELECT * FROM received ORDER BY event_id") == rows
    assert await database.pool.fetchval("SELECT count(*) FROM imports") == 1
    assert not list(spool.spool_folder().glob("*"))


async def test_the_same_rows_in_another_file_are_duplicates(imports, people, heads):
    first = await imports.run("\n".join([HEADER, line(people, 1), line(people, 2)]), "disability")
    before = await heads()
    assert counts(first) == (2, 2, 0, 0, 0)
    other = [
        ["填报日期"],
        NAMES[::-1],
        cells(people, 2, day=date(2026, 11, 1))[::-1],
        cells(people, 1, level="2")[::-1],
    ]
    assert counts(await imports.run(workbook(other), "disability")) == (2, 0, 2, 0, 0)
    assert await heads() == before


async def test_the_same_row_with_another_time_is_a_new_statement(imports, people, heads):
    header, rest = "姓名,身份证号,救助类别,记录时间", f"张三丰,{people.number(1)}"
    for day, category, expected in (
        ("2026-09-01", "低保", (1, 1, 0, 0, 0)),
        ("2026-10-01", "低保边缘", (1, 1, 0, 0, 0)),
        ("2026-11-01", "低保", (1, 1, 0, 0, 0)),
        ("2026-11-01 00:00", "城市低保", (1, 0, 1, 0, 0)),
    ):
        found = await imports.run(f"{header}\n{rest},{category},{day}\n", "low_income", office="mca")
        assert counts(found) == expected
    (head,) = (await heads()).values()
    assert [s.value.category for s in head.statements] == ["dibao", "bianyuan", "dibao"]


async def test_an_id_of_the_source_cannot_be_used_for_other_content(imports, people):
    header = f"业务编号,{HEADER}"
    assert counts(await imports.run(f"{header}\nA1,{line(people, 1)}\n", "disability")) == (1, 1, 0, 0, 0)
    text = f"{header}\nA1,{line(people, 1, day='2026-11-02')}\nA2,{line(people, 2)}\n"
    found = await imports.run(text, "disability")
    assert counts(found) == (2, 1, 0, 0, 1)
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert (reject["业务编号"], reject["原因代码"]) == ("A1", "id_reused /id")


async def test_corrections_follow_the_ids_of_the_source(imports, people, facts_of):
    header = f"业务编号,前一业务编号,操作,{HEADER}"
    rows = [
        f"A1,,新增,{line(people, 1)}",
        f"A2,A1,更正,{line(people, 1, day='2026-10-01')}",
        f"A4,A3,撤销,{line(people, 2)}",
    ]
    times = {"time": "2026-11-20T00:00:00+08:00"}
    found = await imports.run("\n".join([header, *rows]), "disability", mapping=times)
    assert counts(found) == (3, 2, 0, 1, 0)
    ((fact,),) = [f for f in (await facts_of()).values() if f]
    assert fact.valid_from == date(2026, 10, 1)


async def test_a_row_that_annuls_or_ends_counts_even_with_wrong_value_columns(imports, people, facts_of):
    header = f"业务编号,前一业务编号,操作,{HEADER}"
    number = people.number(2)
    rows = [
        f"A1,,新增,{line(people, 1)}",
        f"A2,A1,撤销,{line(people, 1, cls='不明', level='五级')}",
        f"B1,,新增,{line(people, 2)}",
        f"B2,B1,注销,张三丰,{number},5.30302E+17,肢体,二级,2026-11-01",
    ]
    times = {"time": "2026-11-20T00:00:00+08:00"}
    until = ["失效日期", "", "", "", "2026-11-10"]
    text = "\n".join(f"{row},{end}" for row, end in zip([header, *rows], until, strict=True))
    found = await imports.run(text, "disability", mapping=times)
    assert counts(found) == (4, 4, 0, 0, 0)
    ((fact,),) = [f for f in (await facts_of()).values() if f]
    assert fact.valid_to == date(2026, 11, 10)


async def test_an_annulment_with_a_wrong_value_counts_in_a_file_of_events(imports, people, facts_of):
    death = people.event("death", people.number(1), {"evidence": "register_cancelled"}, id="d")
    row = {"evidence": 7, "remark": ["x"]}
    back = people.event("death", people.number(1), row, id="o", action="annulled", previous="d")
    found = await imports.run("\n".join(map(json.dumps, (death, back))), None, office="psb")
    assert counts(found) == (2, 2, 0, 0, 0)
    assert list((await facts_of()).values()) == [()]


async def test_a_last_day_becomes_the_day_after_it(imports, people, facts_of):
    text = f"{HEADER},有效期至\n{line(people, 1)},2026-12-31\n{line(people, 2)},长期\n"
    assert counts(await imports.run(text, "disability")) == (2, 2, 0, 0, 0)
    assert {fact.valid_to for (fact,) in (await facts_of()).values()} == {date(2027, 1, 1), None}


async def test_a_registration_needs_no_column_for_values_of_the_id_number(imports, people, facts_of):
    lines = [f"张三丰,{people.number(1)},云南省曲靖市麒麟区,农村", f"张三丰,{people.number(2)},某某区,农村"]
    text = "\n".join(["姓名,公民身份号码,户籍地,户口性质", *lines])
    found = await imports.run(text, "registration", office="psb")
    assert counts(found) == (2, 1, 0, 0, 1)
    ((fact,),) = (await facts_of()).values()
    assert (fact.value.hukou_division, fact.value.birth_date) == ("530302", date(1940, 2, 29))
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert reject["原因代码"] == "division_name /data/value/hukou_division"


async def test_a_rejected_row_has_all_its_faults(imports, people):
    text = f"{HEADER}\n张三丰,{people.number(1)[:17]}?,{people.number(1)}42,肢体,五级,昨天\n"
    found = await imports.run(text, "disability")
    (reject,) = table(await imports.rejects(found["import_id"]))
    codes = set(reject["原因代码"].split("; "))
    assert {"date /data/valid_from", "number /data/value/level"} <= codes
    assert reject["残疾等级"] == "五级"


async def test_a_mapping_names_columns_codes_and_formats(imports, people, facts_of):
    mapping = {
        "columns": {"person.id_number": "编码", "value.certificate_no": ["没有", "证"], "valid_from": "起"},
        "codes": {"value.class": {"腿": 4}},
        "defaults": {"value.level": 2},
        "dates": ["%d/%m/%Y"],
        "delimiter": "|",
        "encoding": "gb18030",
    }
    text = f"编码|证|残疾类别|起\n{people.number(1)}|{people.number(1)}42|腿|01/11/2026\n"
    found = await imports.run(text.encode("gb18030"), "disability", mapping=mapping)
    assert counts(found) == (1, 1, 0, 0, 0), found
    ((fact,),) = (await facts_of()).values()
    assert (fact.value.level, fact.valid_from) == (2, date(2026, 11, 1))


@pytest.mark.parametrize(
    ("mapping", "pointer", "code"),
    [
        ("{", "", "mapping_invalid"),
        ('{"colums": {}}', "", "mapping_invalid"),
        ('{"columns": {"value.clas": "类别"}}', "/columns/value.clas", "field_unknown"),
        ('{"columns": {"valid_from": 3}}', "", "mapping_invalid"),
        ('{"dates": ["%d/%m"]}', "/dates/0", "date_format"),
        ('{"defaults": {"person.id_number": "1"}}', "/defaults/person.id_number", "not_per_file"),
        ('{"time": "2026-11-01"}', "/time", "mapping_invalid"),
        ('{"delimiter": "x"}', "/delimiter", "mapping_invalid"),
    ],
)
async def test_a_wrong_mapping_is_rejected_with_a_pointer(imports, mapping, pointer, code):
    answer = await imports.send("x", "disability", mapping=mapping)
    assert answer.status_code == 422
    problem = answer.json()["problems"][0]
    assert problem["code"] == code
    if pointer:
        assert problem["pointer"] == pointer


async def test_only_the_source_itself_may_send_its_files(imports, people, client_for):
    content = f"{HEADER}\n{line(people, 1)}\n"
    other = await imports.send(content, "disability", source="urn:cn:exchange:530300:psb")
    assert (other.status_code, other.json()["code"]) == (403, "source_not_yours")
    kind = await imports.send(content, "death")
    assert (kind.status_code, kind.json()["code"]) == (403, "kind_not_registered")
    nobody = await imports.send(content, "disability", office=None)
    assert (nobody.status_code, nobody.json()["code"]) == (422, "source_needed")
    unknown = await imports.send(content, "disability", office=None, source="urn:cn:exchange:530300:x")
    assert (unknown.status_code, unknown.json()["code"]) == (422, "source_unknown")
    async with client_for(issue_token("officer", division="530300")) as client:
        assert (await client.post("/v1/imports?kind=disability", content=content)).status_code == 403
    assert not list(spool.spool_folder().glob("*"))


async def test_a_file_over_the_limit_leaves_nothing_on_the_disk(imports, people, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_BYTES_MAX", "1000")
    answer = await imports.send("x" * 1_001, "disability")
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

    async def parts():
        for _ in range(20):
            yield b"x" * 100

    assert (await imports.send(parts(), "disability")).status_code == 413
    assert not list(spool.spool_folder().glob("*"))


async def test_a_source_with_too_many_waiting_files_must_retry_later(imports, people, monkeypatch):
    monkeypatch.setenv("SHOUWANG_IMPORT_OPEN_MAX", "1")
    assert (await imports.send(f"{HEADER}\n{line(people, 1)}\n", "disability")).status_code == 202
    answer = await imports.send(f"{HEADER}\n{line(people, 2)}\n", "disability")
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "60"


async def test_a_file_on_the_disk_is_sealed(imports, people):
    await imports.send(f"{HEADER}\n{line(people, 1)}\n", "disability")
    (file,) = spool.spool_folder().glob("*")
    content = file.read_bytes()
    assert people.number(1).encode() not in content
    assert "张三丰".encode() not in content
    await imports.work()
    assert not file.exists()


async def test_cloudevents_and_flat_rows_in_ndjson(imports, people, facts_of):
    a, b = people.number(1), people.number(2)
    event = people.event("disability", a, {"certificate_no": a + "42", "class": 4, "level": 2}, id="n-1")
    flat = {"person.id_number": b, "残疾证号": b + "42", "value.class": 4, "value.level": 2, "valid_from": "20261101"}
    wrong = ["{", '["x"]', json.dumps({"姓名": "张三丰"}), "\x00" * 10]
    text = "\n".join([json.dumps(event, ensure_ascii=False), "", json.dumps(flat), *wrong])
    found = await imports.run(text, "disability")
    assert (found["format"], counts(found)) == ("ndjson", (6, 2, 0, 0, 4))
    assert {fact.valid_from for (fact,) in (await facts_of()).values()} == {date(2026, 11, 1)}
    rejects = [json.loads(each) for each in (await imports.rejects(found["import_id"])).splitlines()]
    assert [each["problems"][0]["code"] for each in rejects] == [
        "not_json",
        "not_an_object",
        "columns_not_found",
        "not_json",
    ]
    assert rejects[2]["姓名"] == "张三丰"


async def test_ndjson_of_several_sources_is_for_the_administrator_only(imports, people):
    events = [
        people.registration(people.number(1)),
        people.event("alive", people.number(1), {"method": "visit"}, id="a"),
    ]
    text = "\n".join(json.dumps(e) for e in events)
    assert counts(await imports.run(text, None, office=None)) == (2, 2, 0, 0, 0)
    found = await imports.run(text, None, office="psb")
    assert counts(found) == (2, 0, 1, 0, 1)


async def test_parquet_is_read_by_its_names_and_types(imports, people, facts_of):
    import pyarrow
    from pyarrow import parquet

    numbers = [people.number(n) for n in range(1, 6)]
    columns = {
        "身份证号": numbers,
        "残疾证号": [n + "42" for n in numbers],
        "残疾类别": pyarrow.array([4] * 4 + [9], pyarrow.int8()),
        "残疾等级": ["二级"] * 5,
        "发证日期": pyarrow.array([date(2026, 11, 1)] * 5, pyarrow.date32()),
    }
    data = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), data, row_group_size=2)
    found = await imports.run(data.getvalue(), "disability")
    assert counts(found) == (5, 4, 0, 0, 1)
    assert {fact.valid_from for (fact,) in (await facts_of()).values()} == {date(2026, 11, 1)}
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert (reject["身份证号"], reject["行号"]) == (numbers[4], "6")
    broken = await imports.run(data.getvalue()[:-20], "disability")
    assert (broken["state"], broken["problems"][0]["code"]) == ("failed", "file_broken")


def columnar(columns):
    import pyarrow
    from pyarrow import parquet

    data = io.BytesIO()
    parquet.write_table(pyarrow.table(columns), data)
    return data.getvalue()


def certificates(people, *, days, **columns):
    numbers = [people.number(n) for n in range(1, len(days) + 1)]
    usual = {"身份证号": numbers, "残疾证号": [n + "42" for n in numbers], "发证日期": days}
    return columnar(usual | columns)


async def test_an_instant_in_parquet_has_the_date_that_it_has_in_china(imports, people, facts_of):
    import pyarrow

    midnight = datetime(2026, 10, 31, 16, tzinfo=UTC)  # Spark stores the first instant of 1 November like this
    days = pyarrow.array([midnight], pyarrow.timestamp("us", tz="UTC"))
    assert counts(await imports.run(certificates(people, days=days), "disability"))[:2] == (1, 1)
    assert {fact.valid_from for (fact,) in (await facts_of()).values()} == {date(2026, 11, 1)}


async def test_an_instant_without_a_date_in_china_rejects_its_row_alone(imports, people):
    import pyarrow

    instants = [datetime.max.replace(tzinfo=UTC), datetime(2026, 10, 31, 16, tzinfo=UTC)]
    days = pyarrow.array(instants, pyarrow.timestamp("us", tz="UTC"))
    found = await imports.run(certificates(people, days=days), "disability")
    assert counts(found) == (2, 1, 0, 0, 1)
    assert table(await imports.rejects(found["import_id"]))[0]["原因代码"] == "date /data/valid_from"


async def test_text_that_parquet_stores_as_bytes_is_read_as_text(imports, people, database):
    content = certificates(people, days=[b"2026-11-01"])
    assert counts(await imports.run(content, "disability"))[:2] == (1, 1)
    people_as_bytes = columnar(
        {
            "身份证号": [people.number(5).encode(), people.number(6).encode()],
            "姓名": ["王五".encode(), "王五".encode("gb18030")],
            "户籍地": ["530302", "530302"],
            "户口性质": ["农业户口", "农业户口"],
        }
    )
    found = await imports.run(people_as_bytes, "registration", office="psb")
    assert counts(found) == (2, 1, 0, 0, 1)
    rows = await database.pool.fetch("SELECT event_id::text, sealed FROM received WHERE kind = 'registration'")
    assert [reopen(vault().open(sealed, event_id.encode())).name for event_id, sealed in rows] == ["王五"]
    (reject,) = table(await imports.rejects(found["import_id"]))
    assert reject["原因代码"].endswith("row_encoding /data/value/name")


def test_every_code_has_words_in_both_languages():
    for codes in (FILES, PROBLEMS):
        for english, chinese in codes.values():
            assert english.isascii()
            assert not chinese.isascii()


async def test_an_idempotency_key_stands_for_one_file(imports, people):
    key = {"Idempotency-Key": "upload-1"}
    async with imports.client("cdpf") as client:
        bodies = [f"{HEADER}\n{line(people, n)}\n".encode() for n in (1, 1, 2)]
        answers = [
            await client.post("/v1/imports", params={"kind": "disability"}, content=body, headers=key)
            for body in bodies
        ]
    assert [answer.status_code for answer in answers] == [202, 202, 409]
    assert answers[0].json()["import_id"] == answers[1].json()["import_id"]
    assert answers[2].json()["code"] == "idempotency_key_reused"
    assert len(list(spool.spool_folder().glob("*"))) == 1
