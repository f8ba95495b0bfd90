"""The patterns of codes and ids: each takes its own form only."""

import re
from typing import Any

import msgspec
import pytest
from common import patterns
from common.events.kinds import KINDS
from common.events.population import event_struct, population_schemas
from common.events.pushed_values import (
    BankAccountValue,
    DisabilityValue,
    DivisionCode,
    Identifier,
    ItemCode,
    Name,
    Phone,
)
from common.patterns import exact, published, whole


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (patterns.AREA, ["530302"], ["5303", "530302001", "５３０３０２"]),
        (
            patterns.DIVISION,
            ["530302", "530302001", "530302001007"],
            ["5303020", "5303020010", "5303020010071", "53030a"],
        ),
        (patterns.ITEM, ["longevity_allowance", "530302.meal_subsidy"], ["5303.meal", "Meal", "530302."]),
        (patterns.MONTH, ["2026-06", "2026-12"], ["2026-13", "2026-6", "1999-12", "2026-00"]),
        (patterns.SOURCE, ["urn:cn:exchange:530300:psb"], ["urn:cn:exchange:5303:psb", "urn:cn:exchange:530300:"]),
        (patterns.UUID, ["0190e3c5-7b1a-8f00-9c3d-0123456789ab"], ["0190E3C5-7B1A-8F00-9C3D-0123456789AB", "0190e3c5"]),
    ],
)
def test_a_code_has_one_form(pattern: str, good: list[str], bad: list[str]) -> None:
    assert all(re.search(whole(pattern), text) for text in good)
    assert not [text for text in bad if re.search(whole(pattern), text)]


@pytest.mark.parametrize("pattern", [patterns.AREA, patterns.DIVISION, patterns.ITEM, patterns.MONTH, patterns.UUID])
def test_a_code_with_a_line_break_behind_it_is_no_code(pattern: str) -> None:
    code = {patterns.ITEM: "530302.x", patterns.MONTH: "2026-06", patterns.UUID: "0190e3c5-7b1a-8f00-9c3d-0123456789ab"}
    text = code.get(pattern, "530302")
    assert re.search(exact(pattern), text)
    assert not re.search(exact(pattern), text + "\n")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (DivisionCode, "530302"),
        (ItemCode, "530302.x"),
        (Name, "张三"),
        (Identifier, "psb-1"),
        (Phone, "0874-3123456"),
        (BankAccountValue.__annotations__["account_no"], "6222021001116245"),
        (DisabilityValue.__annotations__["certificate_no"], "53030219450615123841"),
    ],
)
def test_no_text_of_a_source_ends_with_a_line_break(form: Any, text: str) -> None:
    assert msgspec.convert(text, form) == text
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text + "\n", form)


def test_published_patterns_are_those_of_json_schema() -> None:
    schema = {"properties": {"pattern": {"pattern": exact("[0-9]{6}")}}}
    assert published(schema) == {"properties": {"pattern": {"pattern": whole("[0-9]{6}")}}}
    found = msgspec.json.encode(population_schemas())
    assert b'Z"' not in found
    assert found.count(b'$"') > 50


def test_no_value_of_a_source_has_a_pattern_that_allows_a_final_line_break() -> None:
    _, forms = msgspec.json.schema_components([event_struct(kind) for kind in KINDS])
    assert b'$"' not in msgspec.json.encode(forms)
