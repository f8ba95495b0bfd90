"""A gap of a move is one case. Both areas see it, and no other area does."""

from datetime import date
from typing import Any

import pytest
from common.codes.divisions import NATION
from common.events import AlertClosed, AlertRaised, MoveGap, PolicyVersionPublished
from rules.form.policy import load_list, to_event_dict
from shell import clock
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import Driver
from supervision import verify

OLD, NEW = "530302", "140702"
WORDS = {"reason": "已按迁入地标准补发"}


def gap(**given: Any) -> MoveGap:
    fields: dict[str, Any] = {
        "item": "longevity_allowance",
        "old": OLD,
        "old_policy": f"{OLD}/longevity_allowance@2023-01-01",
        "left": OLD,
        "moved_to": NEW,
        "moved_on": date(2025, 4, 18),
        "first_month": "2025-04",
        "until_month": "2025-05",
        "new": NEW,
        "why": "pay_rules",
    }
    return MoveGap(**{**fields, **given})


@pytest.fixture
def moved(make: Any) -> Any:
    """`moved(version=…)`: a decision about one person, with the gap or without."""
    person = make.id()

    def decided(*gaps: MoveGap, version: int = 1, **given: Any) -> Any:
        return make.decided(person, version=version, residence=NEW, gaps=gaps, **given)

    return decided


async def listed(api: Any, division: str = NATION, **params: Any) -> list[Any]:
    answer = await api(division=division).get("/v1/alerts", params={"check": "move_gap", **params})
    found: list[Any] = answer.json()["alerts"]
    return found


async def test_a_gap_is_one_case_even_if_it_is_delivered_again(
    deliver: Any, moved: Any, api: Any, driver: Driver, database: Database
) -> None:
    await deliver(moved(gap()), moved(gap()))
    await deliver(moved(gap()))
    await deliver(moved(gap(), version=2))
    (raised,) = await driver.emitted()
    assert isinstance(raised, AlertRaised)
    assert (raised.check, raised.division, raised.other_division) == ("move_gap", OLD, NEW)
    (alert,) = await listed(api)
    found = alert["gap"]
    assert (found["item_title"], found["first_month"], found["until_month"]) == ("高龄津贴", "2025-04", "2025-05")
    assert found["text"].startswith("2025-04-18由麒麟区迁到榆次区：高龄津贴2025-04至2025-05（不含）无人发放")
    assert await verify.check(database, clock.today()) == []


async def test_only_officers_of_both_areas_and_of_areas_above_see_the_case(deliver: Any, moved: Any, api: Any) -> None:
    await deliver(moved(gap()))
    for division in (OLD, NEW, "530300", "140700", NATION):
        assert len(await listed(api, division)) == 1, division
        assert (await api(division=division).get("/v1/alerts/open")).json()["by_check"] == {"move_gap": 1}
    for division in ("530303", "140703", "110000"):
        assert await listed(api, division) == [], division
        assert (await api(division=division).get("/v1/alerts/open")).json()["open"] == 0
    (alert,) = await listed(api)
    url = f"/v1/alerts/{alert['alert_id']}/confirm"
    assert (await api(division="530303").post(url, json=WORDS)).status_code == 403
    assert (await api(division=None).post(url, json=WORDS)).status_code == 403


@pytest.mark.parametrize("division", [OLD, NEW])
async def test_an_officer_of_either_area_decides_with_a_reason_and_closes(
    deliver: Any, moved: Any, api: Any, driver: Driver, division: str
) -> None:
    await deliver(moved(gap()))
    (alert,) = await listed(api)
    officer, url = api(division=division), f"/v1/alerts/{alert['alert_id']}"
    assert (await officer.post(f"{url}/confirm", json={"reason": ""})).status_code == 422
    assert (await officer.post(f"{url}/confirm", json=WORDS)).json()["gap"]["moved_to"] == NEW
    assert (await officer.post(f"{url}/close")).json()["state"] == "closed"
    await deliver(moved(gap(), version=2))  # the gap and the decision about it stay unchanged
    assert [a["state"] for a in await listed(api)] == ["closed"]
    _, closed = await driver.emitted()
    assert (type(closed), closed.outcome, closed.other_division) == (AlertClosed, "confirmed", NEW)


async def test_a_case_closes_when_the_gap_is_gone_and_a_replay_does_not_open_it(
    deliver: Any, moved: Any, api: Any, driver: Driver
) -> None:
    await deliver(moved(gap()))
    await deliver(moved(version=2))
    await deliver(moved(gap()))  # the first decision is delivered again
    (alert,) = await listed(api)
    assert (alert["state"], alert["outcome"], alert["decision"]) == ("closed", "dismissed", "空档已不存在")
    _, closed = await driver.emitted()
    assert (type(closed), closed.other_division) == (AlertClosed, NEW)
    await deliver(moved(gap(), version=3))  # the correction was itself corrected
    assert [a["state"] for a in await listed(api)] == ["raised"]


async def test_within_one_batch_only_the_newest_decision_counts(
    deliver: Any, moved: Any, api: Any, driver: Driver
) -> None:
    await deliver(moved(version=2), moved(gap()))
    assert await listed(api) == []
    assert await driver.emitted() == []


async def test_a_gap_that_grows_stays_the_same_case_and_a_second_item_is_another(
    deliver: Any, moved: Any, api: Any, driver: Driver
) -> None:
    await deliver(moved(gap()))
    longer, other = gap(until_month=None, why="no_amount"), gap(item="nursing_subsidy")
    await deliver(moved(longer, other, version=2))
    found = {a["gap"]["item"]: a["gap"] for a in await listed(api)}
    assert (found["longevity_allowance"]["until_month"], found["longevity_allowance"]["why"]) == (None, "no_amount")
    assert set(found) == {"longevity_allowance", "nursing_subsidy"}
    assert len(await driver.emitted(AlertRaised)) == 2


async def test_a_case_goes_to_the_right_area_when_the_place_of_the_move_is_corrected(
    deliver: Any, moved: Any, api: Any
) -> None:
    await deliver(moved(gap()))
    await deliver(moved(gap(moved_to="110105", new="110000"), version=2))
    assert [len(await listed(api, division)) for division in (OLD, "110105", NEW)] == [1, 1, 0]
    (alert,) = await listed(api, "110105")
    assert (alert["state"], alert["other_division"], alert["gap"]["moved_to"]) == ("raised", "110105", "110105")


async def test_the_case_shows_the_clauses_of_both_lists_in_force(deliver: Any, make: Any, moved: Any, api: Any) -> None:
    for area in (OLD, "140700"):
        one = load_list(repository_root() / "contracts" / "policy" / area)
        release = PolicyVersionPublished(
            jurisdiction=area, version="v", published_on=date(2026, 11, 1), list=to_event_dict(one)
        )
        await deliver(release, release)
    allowance = one.items["longevity_allowance"].versions[0]
    old = load_list(repository_root() / "contracts" / "policy" / OLD).items["longevity_allowance"].versions[0]
    policy = f"{OLD}/longevity_allowance@{old.valid_from}"
    day = max(allowance.valid_from, date(2025, 4, 18))
    await deliver(moved(gap(old_policy=policy, moved_on=day, new=None, why="refused")))
    (found,) = [a["gap"] for a in await listed(api)]
    assert (found["old_clause"]["title"], found["old_clause"]["locator"]) == (old.citation.title, old.citation.locator)
    assert found["new_clause"]["jurisdiction"] == "140700"  # the county has no list of its own here
    assert found["new_clause"]["locator"] == allowance.citation.locator
