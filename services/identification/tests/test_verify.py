"""The check finds what the platform must never do."""

from datetime import date
from typing import Any

import msgspec
from common.events import EntitlementsDecided
from identification import verify
from identification.redeciding.redecide_people import redecide_people
from shell.testing import Driver


async def test_what_the_handlers_store_is_what_the_rules_say(driver: Driver, elder: Any) -> None:
    people = [elder(born=date(1930 + i, 3, 5)) for i in range(30)]
    people[3].say("death", date(2026, 11, 2), evidence="reported")
    await driver.deliver(*(p.facts() for p in people), *(p.assessed(2, date(2026, 11, 1)) for p in people[:9]))
    while await redecide_people(driver.database):
        pass
    assert await verify.check(driver.database) == []


async def test_a_decision_that_was_tampered_with_is_found(driver: Driver, elder: Any) -> None:
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
    (fault,) = await verify.check(driver.database)
    assert person.person_id in fault
