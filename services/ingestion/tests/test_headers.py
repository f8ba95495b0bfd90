"""Headers of files: a column of another person is never taken for the person, and an ambiguous header is reported."""

import io
import json

import pytest
from common.codes.id_number import make
from ingestion.files.mapping import Given, resolve
from ingestion.files.row_events import Sender
from ingestion.files.streams import RowStream
from shell import clock

NUMBER = "person.id_number"


def found(header, kind="disability", given=None):
    """Field → name of its column, and the fields that several columns could hold."""
    mapping, cells = resolve(kind, given or Given()), header.split(",")
    columns = {field: cells[at] for field, at in mapping.found_in(cells).items()}
    return columns, [each["field"] for each in mapping.ambiguous(cells)]


@pytest.mark.parametrize("other", ["监护人", "代理人", "联系人", "户主", "配偶", "监护人填写", "法定代理人"])
@pytest.mark.parametrize("brackets", ["（{}）", "({})", "【{}】", "[ {} ]"])
def test_a_column_of_another_person_is_not_the_column_of_the_person(other, brackets):
    mark = brackets.format(other)
    header = f"监护人姓名,身份证号{mark},姓名{mark},姓名,身份证号,残疾证号"
    columns, ambiguous = found(header)
    assert (columns[NUMBER], columns["person.name"], ambiguous) == ("身份证号", "姓名", [])


def test_a_file_with_the_id_numbers_of_other_persons_only_has_no_header():
    assert found("姓名,身份证号（监护人）,残疾证号") == ({}, [])


def test_a_remark_that_names_no_other_person_does_not_matter():
    columns, ambiguous = found("*姓名,身份证号（必填）,残疾证号：,残疾类别【代码】")
    assert (columns[NUMBER], columns["person.name"], ambiguous) == ("身份证号（必填）", "*姓名", [])
    assert columns["value.class"] == "残疾类别【代码】"


def test_the_head_of_a_household_is_the_person_of_a_household_list():
    columns, ambiguous = found("身份证号（户主）,身份证号（监护人）,家庭成员身份证号,户号", "household")
    assert (columns[NUMBER], ambiguous) == ("身份证号（户主）", [])


def test_the_phone_of_a_guardian_is_not_the_phone_of_the_person():
    columns, ambiguous = found("身份证号,联系电话（监护人）,紧急联系人（监护人）,关系", "contact")
    assert "value.phone" not in columns
    assert (columns["value.contacts.0.name"], ambiguous) == ("紧急联系人（监护人）", [])


@pytest.mark.parametrize(
    "header",
    [
        "姓名,身份证号,残疾证号,身份证号",
        "姓名,身份证号（必填）,残疾证号,身份证号",
        "姓名,身份证号(18位),残疾证号,身份证号(15位)",
    ],
)
def test_two_columns_that_could_hold_the_id_number_are_reported(header):
    assert found(header)[1] == [NUMBER]


def test_two_columns_with_different_usual_names_are_not_ambiguous():
    columns, ambiguous = found("姓名,证件号码,身份证号（必填）,残疾证号")
    assert (columns[NUMBER], ambiguous) == ("身份证号（必填）", [])


def test_a_mapping_decides_between_two_columns_by_the_exact_name():
    for name in ("身份证号", "身份证号（必填）", "身份证号（监护人）"):
        header = "身份证号（必填）,身份证号,身份证号（监护人）,残疾证号"
        columns, ambiguous = found(header, given=Given(columns={NUMBER: name}))
        assert (columns[NUMBER], ambiguous) == (name, [])


def test_without_the_usual_names_a_column_of_another_person_is_not_taken_either():
    given = Given(columns={NUMBER: "身份证号"}, extend=False)
    assert found("身份证号（监护人）,残疾证号", given=given) == ({}, [])


async def test_a_file_with_an_ambiguous_header_fails_and_names_the_columns(imports, people):
    number = people.number(1)
    text = f"姓名,身份证号,残疾证号,身份证号（备用）\n张三丰,{number},{number}42,{people.number(2)}\n"
    (problem,) = (await imports.run(text, "disability"))["problems"]
    assert problem["code"] == "column_ambiguous"
    assert problem["more"]["columns"] == [{"field": NUMBER, "names": ["身份证号", "身份证号（备用）"]}]


def test_an_object_with_ambiguous_names_is_rejected():
    number = make("530302", clock.today().replace(year=1940, day=1), 1)
    line = json.dumps({"身份证号": number, "身份证号（备用）": number, "认证日期": "20261101"})
    sender = Sender(None, None, clock.now())
    (shaped,) = RowStream(io.BytesIO(line.encode()), "ndjson", "alive", Given(), sender).rows(clock.now)
    assert [f.code for f in shaped.read.faults] == ["column_ambiguous"]
