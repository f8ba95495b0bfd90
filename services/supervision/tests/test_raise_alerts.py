"""Changed accounts and groups of foreign events are alerts of the responsible area."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from common.events import AccountChanged, AlertRaised, Event, ForeignEventsGrouped, PlaceClaimed, PlaceSettled
from common.message import Record
from shell.testing import Driver

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
SOURCE = "urn:cn:exchange:110000:hrss"


def _with_division(
    make: Any, event: Event, division: str | None, correlation_id: str | None = None, at: datetime = NOON
) -> Record:
    """The event with an area in its envelope."""
    record: Record = make.record(event, correlation_id=correlation_id, at=at)
    more = [("ce_divisioncode", division.encode())] if division else []
    return record._replace(headers=[*record.headers, *more])


async def test_a_changed_account_is_one_blocking_alert_of_the_county_of_the_person(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    person, event_id = make.id(), make.id()
    changed = AccountChanged(
        person_id=person, event_id=event_id, before=make.id(), source=SOURCE, holder="other", changed_at=NOON
    )
    record = _with_division(make, changed, "530302001", event_id)
    await deliver(record, record)
    await deliver(record)
    (raised,) = await driver.emitted(AlertRaised)
    assert (raised.check, raised.severity, raised.subject) == ("account_changed", "block", event_id)
    assert (raised.person_id, raised.division) == (person, "530302001")
    (alert,) = (await api(division="530302").get("/v1/alerts")).json()["alerts"]
    assert (alert["alert_id"], alert["correlation_id"]) == (raised.alert_id, event_id)
    assert alert["text"].startswith("收款账户")
    assert (await api(division="140700").get("/v1/alerts")).json()["alerts"] == []


async def test_a_changed_account_of_a_person_without_an_area_is_an_alert_too(
    deliver: Any, make: Any, driver: Driver
) -> None:
    changed = AccountChanged(
        person_id=make.id(), event_id=make.id(), before=make.id(), source=SOURCE, holder="self", changed_at=NOON
    )
    await deliver(_with_division(make, changed, None))
    (raised,) = await driver.emitted(AlertRaised)
    assert (raised.check, raised.division) == ("account_changed", None)


async def test_a_group_of_foreign_events_is_one_alert_of_its_owner(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    group = ForeignEventsGrouped(
        group_id=make.id(),
        source=SOURCE,
        kind="death",
        day=date(2026, 11, 20),
        holds="events",
        owner="140000",
        opened_at=NOON,
    )
    record = _with_division(make, group, "140000")
    await deliver(record, record)
    assert await driver.emitted() == []  # no person: a case, but no event
    (alert,) = (await api(division="140000").get("/v1/alerts")).json()["alerts"]
    assert (alert["check"], alert["severity"], alert["subject"]) == ("foreign_events", "block", group.group_id)
    assert (alert["division"], alert["person_id"]) == ("140000", None)
    assert (await api(division="140700").get("/v1/alerts")).json()["alerts"] == []


async def test_a_claimed_place_and_its_end_are_steps_of_the_trace(deliver: Any, make: Any, api: Any) -> None:
    person, event_id, case_id = make.id(), make.id(), make.id()
    claimed = PlaceClaimed(
        case_id=case_id,
        person_id=person,
        event_id=event_id,
        source=SOURCE,
        kind="residence",
        division="110105",
        county_left="530302",
        owner="530302",
        opened_at=NOON,
        silent_on=date(2026, 12, 11),
    )
    settled = PlaceSettled(case_id=case_id, person_id=person, outcome="confirmed", settled_at=NOON)
    later = NOON + timedelta(hours=1)
    await deliver(
        _with_division(make, claimed, "530302", event_id), _with_division(make, settled, "530302", event_id, later)
    )
    steps = (await api("auditor").get(f"/v1/trace/{event_id}")).json()["steps"]
    assert [(s["what"], s["service"], s["person_id"]) for s in steps] == [
        ("PlaceClaimed", "ingestion", person),
        ("PlaceSettled", "ingestion", person),
    ]
