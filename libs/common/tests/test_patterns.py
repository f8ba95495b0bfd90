"""The patterns of codes and ids: each takes its own form only."""

import re

import pytest
from common import patterns
from common.patterns import whole


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
