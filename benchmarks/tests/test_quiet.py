"""Tests of the moment from which the platform is quiet."""

from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from shell.testing import migrated_database

from benchmarks.quiet import QuietDetector, Snapshot, lag_of, wait_until_explained


def snapshot(lag: int = 0, pending: bool = False, position: int = 0) -> Snapshot:
    return Snapshot({"dispatch": lag}, {"dispatch": pending}, (position,))


def test_the_platform_is_quiet_from_the_first_of_the_equal_drained_snapshots() -> None:
    detector = QuietDetector(hold_seconds=2.0)
    assert detector.quiet_since(0.0, snapshot(lag=5)) is None
    assert detector.quiet_since(1.0, snapshot(position=5)) is None
    assert detector.quiet_since(2.0, snapshot(position=5)) is None
    assert detector.quiet_since(3.0, snapshot(position=5)) == 1.0


def test_the_platform_is_not_quiet_while_an_outbox_has_a_row() -> None:
    detector = QuietDetector(hold_seconds=0.0)
    assert detector.quiet_since(0.0, snapshot(pending=True)) is None
    assert detector.quiet_since(1.0, snapshot(pending=True)) is None


def test_a_movement_between_two_drained_snapshots_restarts_the_wait() -> None:
    detector = QuietDetector(hold_seconds=2.0)
    detector.quiet_since(0.0, snapshot(position=5))
    assert detector.quiet_since(1.5, snapshot(position=6)) is None
    assert detector.quiet_since(2.5, snapshot(position=6)) is None
    assert detector.quiet_since(3.5, snapshot(position=6)) == 1.5


def test_a_partition_without_an_offset_lags_by_all_its_records() -> None:
    assert lag_of({("t", 0): None, ("t", 1): 4}, {("t", 0): 3, ("t", 1): 6}) == 5
    assert lag_of({("t", 0): 7}, {("t", 0): 7}) == 0


async def test_a_run_with_unwritten_reasons_at_its_time_limit_is_no_complete_run() -> None:
    async with migrated_database("identification") as database:
        runtime: Any = SimpleNamespace(database_url=lambda service: database.url)
        assert (await wait_until_explained(runtime, seconds_max=0))[0] == 0
        await database.pool.execute(
            "INSERT INTO unexplained (person_id, version, adverse) VALUES ($1, 1, '{}')", str(uuid4())
        )
        with pytest.raises(TimeoutError, match="1 decisions without reasons"):
            await wait_until_explained(runtime, seconds_max=0)
