"""A person moves between two lists that leave a gap: the officers of both areas get a case, and learn of its end."""

from typing import Any

from shouwang.stories import people
from shouwang.stories.people import CITY, QILIN
from shouwang.stories.platform import Platform, in_month, month_text

HEBEI = "130000"  # no list of this area has an amount


async def test_a_gap_is_a_case_of_both_areas_until_the_move_is_annulled(platform: Platform) -> None:
    today = platform.today()
    elder = platform.cast.aged(86, today)
    await platform.push(*people.register_entries(elder, platform.now()))
    person_id = await platform.find(elder)
    moved_on = in_month(today, -1, 20)
    move = people.registration(elder.in_town(HEBEI), platform.now(), since=moved_on)
    await platform.push(move)

    async def case(division: str, state: str) -> dict[str, Any] | None:
        params = {"check": "move_gap", "state": state, "limit": 500}
        page = await platform.call("GET", "supervision", "/v1/alerts", role="officer", division=division, params=params)
        return next((alert for alert in page["alerts"] if alert["person_id"] == person_id), None)

    found = await platform.until("the case", lambda: case(QILIN, "raised"))
    gap = found["gap"]
    assert (gap["item"], gap["left"], gap["moved_to"], gap["why"]) == ("longevity_allowance", QILIN, HEBEI, "no_amount")
    assert (gap["moved_on"], gap["first_month"]) == (moved_on.isoformat(), month_text(moved_on, 1))
    assert gap["old_clause"]["jurisdiction"] == QILIN
    assert gap["new_clause"]["jurisdiction"] == "000000"
    assert await case(HEBEI, "raised") == found
    assert await case("530303", "raised") is None
    await platform.push(people.annulled(move, elder, platform.now()))
    closed = await platform.until("the end of the case", lambda: case(CITY, "closed"))
    assert closed["decision"] == "空档已不存在"
