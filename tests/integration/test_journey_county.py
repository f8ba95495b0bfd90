"""A county with a year of changes, pushed with doubles, late ones and corrections, ends as its generator knows it."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Any

import synth
from common.calendar import add_months, age_on
from common.codes import divisions
from shouwang.commands.verify import check_all
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.people import QILIN, XUANWEI
from shouwang.stories.platform import Platform
from synth.truth import Truth

PEOPLE, MONTHS, PUSHED_AT_ONCE = 200, 12, 50


async def test_a_year_of_faulty_deliveries_ends_with_the_truth(platform: Platform, running: Any) -> None:
    made = synth.county(11, PEOPLE, [QILIN, XUANWEI], add_months(platform.today(), -MONTHS - 6))
    await platform.push(*made.initial_load())
    pushes = [push.event for push in synth.stream(made, MONTHS, 11)]
    statuses: Counter[str] = Counter()
    for first in range(0, len(pushes), PUSHED_AT_ONCE):
        statuses.update(result["status"] for result in await platform.send(pushes[first : first + PUSHED_AT_ONCE]))
    assert statuses["rejected"] == 0
    assert statuses["duplicate"] > 0, statuses
    assert [line.text() for line in (await check_all(running)).wrong()] == []
    truth = made.truth(made.today)
    found = {number: await _told(platform, number, made.today) for number in truth}
    assert found == {number: _expected(known, made.today) for number, known in truth.items()}


async def _told(platform: Platform, number: str, on: date) -> Mapping[str, Any]:
    """What the platform concludes of somebody for a day."""
    whose = await platform.call(
        "POST", "ingestion", "/v1/persons/lookup", role="auditor", division=divisions.NATION, json={"id_number": number}
    )
    path = f"/v1/persons/{whose['person_id']}/entitlements"
    seen = await platform.call(
        "GET", "identification", path, role="auditor", division=divisions.NATION, params={"on": on.isoformat()}
    )
    return {
        "died_on": seen["died_on"],
        "suspected": seen["death_suspected_on"] is not None,
        "allowance": [(e["jurisdiction"], e["state"]) for e in seen["entitlements"] if e["item"] == LONGEVITY],
    }


def _expected(known: Truth, on: date) -> Mapping[str, Any]:
    entitled = known.died_on is None and age_on(known.birth_date, on) >= 80
    state = "suspended" if known.suspected else "granted"
    return {
        "died_on": known.died_on.isoformat() if known.died_on else None,
        "suspected": known.suspected,
        "allowance": [(known.hukou_division[:6], state)] if entitled else [],
    }
