"""Tests of the moment from which the platform is quiet."""

from benchmarks.quiet import QuietDetector, Snapshot, lag_of


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
