"""When the platform is quiet."""

from benchmarks.quiet import Look, Quiet, behind


def look(behind: int = 0, waiting: bool = False, moved: int = 0) -> Look:
    return Look({"dispatch": behind}, {"dispatch": waiting}, (moved,))


def test_it_is_quiet_since_the_first_of_an_unbroken_row_of_still_looks() -> None:
    quiet = Quiet(hold_seconds=2.0)
    assert quiet.since(0.0, look(behind=5)) is None
    assert quiet.since(1.0, look(moved=5)) is None
    assert quiet.since(2.0, look(moved=5)) is None
    assert quiet.since(3.0, look(moved=5)) == 1.0


def test_a_filled_outbox_is_not_quiet() -> None:
    quiet = Quiet(hold_seconds=0.0)
    assert quiet.since(0.0, look(waiting=True)) is None
    assert quiet.since(1.0, look(waiting=True)) is None


def test_what_moved_between_two_still_looks_begins_the_wait_anew() -> None:
    quiet = Quiet(hold_seconds=2.0)
    quiet.since(0.0, look(moved=5))
    assert quiet.since(1.5, look(moved=6)) is None
    assert quiet.since(2.5, look(moved=6)) is None
    assert quiet.since(3.5, look(moved=6)) == 1.5


def test_a_partition_never_settled_is_behind_by_all_it_holds() -> None:
    assert behind({("t", 0): None, ("t", 1): 4}, {("t", 0): 3, ("t", 1): 6}) == 5
    assert behind({("t", 0): 7}, {("t", 0): 7}) == 0
