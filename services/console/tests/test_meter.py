"""Counts, rates and queues from offsets alone."""

import pytest
from console.domain.meter import HISTORY_SECONDS, Meter


def test_totals_are_the_ends_of_a_stations_topics() -> None:
    meter = Meter()
    meter.read_ends({("identification.entitlement", 0): 5, ("identification.edge", 1): 2, ("dispatch.visit", 0): 9}, 1)
    assert {id: s.total for id, s in meter.stations.items() if s.total} == {"decide": 7, "dispatch": 9}


def test_the_rate_is_the_difference_between_two_measurements() -> None:
    meter = Meter()
    meter.read_ends({("dispatch.visit", 0): 100}, 10.0)
    assert meter.stations["dispatch"].per_second == 0
    meter.read_ends({("dispatch.visit", 0): 130}, 12.0)
    assert meter.stations["dispatch"].per_second == 15
    meter.read_ends({("dispatch.visit", 0): 0}, 13.0)  # the topic was made anew
    assert meter.stations["dispatch"].per_second == 0
    assert list(meter.stations["dispatch"].history)[-2:] == [15, 0]
    assert len(meter.stations["dispatch"].history) == HISTORY_SECONDS


@pytest.mark.parametrize(
    ("committed", "waiting"),
    [
        ({}, None),
        ({("ingestion.person", 0): 10}, 0),
        ({("ingestion.person", 0): 4, ("assessment.ability", 1): 1}, 8),
        ({("ingestion.person", 0): -1}, None),  # never read
        ({("ingestion.person", 0): 12}, 0),  # the end was measured a moment before
        ({("gone", 0): 1}, None),
    ],
)
def test_the_backlog_is_the_records_that_a_service_has_not_read(
    committed: dict[tuple[str, int], int], waiting: int | None
) -> None:
    meter = Meter()
    meter.read_group("identification", committed, {("ingestion.person", 0): 10, ("assessment.ability", 1): 3})
    assert meter.stations["decide"].waiting == waiting
