from datetime import date

from common.events import TaskOffered, VisitOffered, VisitPlanned

from .conftest import COUNTY, TODAY, A, visiting


async def test_a_person_newly_entitled_is_offered_to_the_provider_of_the_area(driver, add_provider, tasks):
    await add_provider(A, COUNTY)
    await driver.deliver(visiting(), times=2)
    first, following = await tasks()
    assert (first["state"], first["reason"], first["provider"]) == ("offered", "first", A)
    assert (first["window_from"], first["window_to"]) == (TODAY, date(2026, 11, 29))
    assert (following["reason"], following["window_from"]) == ("plan", date(2026, 11, 29))
    emitted = await driver.emitted_messages()
    assert [type(m.data) for m in emitted].count(VisitPlanned) == 2
    offers = [m for m in emitted if type(m.data) is TaskOffered]
    assert [m.record.topic for m in offers] == [f"dispatch.provider.{A}"] * len(offers)
    assert len(offers) == len([m for m in emitted if type(m.data) is VisitOffered])
    assert len({m.correlation_id for m in emitted}) == 1
