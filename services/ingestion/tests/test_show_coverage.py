"""A missing fact means "no" only while a source declares to report every change there."""

from datetime import date

import pytest
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register

MCA = "urn:cn:exchange:530300:mca"


@pytest.fixture
async def absence(database, admin):
    """Feeds of low income for two counties, each with its days, and of residence for the city."""
    await seed_register(database)
    feeds = [
        {"kind": "low_income", "division": "530302", "since": "2026-01-01", "until": "2027-07-01"},
        {"kind": "low_income", "division": "530303", "since": "2026-03-01"},
        {"kind": "residence", "division": "530300", "since": "2026-01-01"},
    ]

    async def _enter(version=1, **changes):
        entry = seed()[MCA].model_dump(mode="json") | {"feeds": feeds} | changes
        answer = await admin.put(f"/v1/sources/{MCA}", json={"entry": entry, "reason": "x", "replaces": version})
        assert answer.status_code == 200, answer.text

    async def _absence(kind, division, on):
        answer = await admin.get("/v1/coverage", params={"division": division, "on": str(on)})
        assert answer.status_code == 200, answer.text
        return answer.json()["kinds"][kind]["absence"]

    await _enter()
    _absence.enter = _enter
    return _absence


@pytest.mark.parametrize(
    ("kind", "division", "on", "means"),
    [
        ("low_income", "530302", date(2025, 12, 31), "unknown"),
        ("low_income", "530302", date(2026, 1, 1), "false"),
        ("low_income", "530302001", date(2027, 6, 30), "false"),
        ("low_income", "530302", date(2027, 7, 1), "unknown"),
        ("low_income", "530303", date(2026, 2, 28), "unknown"),
        ("low_income", "530303", date(2026, 3, 1), "false"),
        ("low_income", "530300", date(2026, 6, 1), "unknown"),  # two of its counties are not the city
        ("disability", "530302", date(2026, 6, 1), "unknown"),  # nobody declared it
        ("residence", "530302", date(2026, 6, 1), "unknown"),  # a person without an address lives somewhere
    ],
)
async def test_a_missing_fact_means_no_only_where_and_while_a_feed_is_declared(absence, kind, division, on, means):
    assert await absence(kind, division, on) == means


async def test_a_suspended_source_covers_nothing(absence):
    await absence.enter(2, active=False)
    assert await absence("low_income", "530302", date(2026, 6, 1)) == "unknown"


async def test_an_unknown_place_is_not_found(admin, absence):
    assert (await admin.get("/v1/coverage?division=999999&on=2026-01-01")).status_code == 404
