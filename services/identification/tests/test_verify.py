"""`verify` accepts correct decisions and finds a forged one."""

from datetime import date
from typing import Any

import msgspec
import pytest
from common.events import EntitlementsDecided
from identification import verify
from identification.deciding.store import people
from identification.redeciding.redecide_people import redecide_people
from shell import clock
from shell.testing import Driver


async def test_the_handlers_store_the_decisions_of_the_rules(driver: Driver, elder: Any) -> None:
    elders = [elder(born=date(1930 + i, 3, 5)) for i in range(30)]
    elders[3].say("death", date(2026, 11, 2), evidence="reported")
    await driver.deliver(*(p.facts() for p in elders), *(p.assessed(2, date(2026, 11, 1)) for p in elders[:9]))
    while await redecide_people(driver.database):
        pass
    assert await verify.check(driver.database, clock.today()) == []


async def test_a_forged_decision_is_found(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts(), elder().facts())
    while await redecide_people(driver.database):
        pass
    stored = await driver.database.pool.fetchval("SELECT decision FROM persons WHERE person_id = $1", person.person_id)
    event = msgspec.json.decode(stored, type=EntitlementsDecided)
    forged = msgspec.json.encode(msgspec.structs.replace(event, entitlements=event.entitlements[1:]))
    await driver.database.pool.execute(
        "UPDATE persons SET decision = $2 WHERE person_id = $1", person.person_id, forged
    )
    (fault,) = await verify.check(driver.database, clock.today())
    assert person.person_id in fault


async def test_a_list_published_during_the_check_is_no_fault(
    driver: Driver, elder: Any, publish: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.deliver(*(elder(born=date(1940, 3, 5)).facts() for _ in range(3)))
    while await redecide_people(driver.database):
        pass
    list_people_after, pages = people.list_people_after, 0

    async def publish_after_one_page(*arguments: Any) -> Any:
        nonlocal pages
        pages += 1
        if pages == 2:
            await publish(raised)
            while await redecide_people(driver.database):
                pass
        return await list_people_after(*arguments)

    monkeypatch.setattr(people, "list_people_after", publish_after_one_page)
    monkeypatch.setattr(verify, "PAGE", 1)
    assert await verify.check(driver.database, clock.today()) == []
    assert pages == 4
    assert await verify.check(driver.database, clock.today()) == []
