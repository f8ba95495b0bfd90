"""The changes of a measurement."""

import msgspec

from benchmarks.people import Pushed, batches, joined, make


def test_batches_keep_the_order_of_each_source() -> None:
    pushed = [Pushed("psb" if n % 3 else "mca", str(n), "residence", b"{}") for n in range(7)]
    parts = batches(pushed, 2)
    assert [[one.id for one in part] for part in parts["psb"]] == [["1", "2"], ["4", "5"]]
    assert [[one.id for one in part] for part in parts["mca"]] == [["0", "3"], ["6"]]
    assert msgspec.json.decode(joined(pushed[:3])) == [{}, {}, {}]


def test_every_so_many_changes_somebody_dies_and_nothing_lies_in_the_future() -> None:
    made = make(200, 100, deaths_every=20)
    assert sum(change.kind == "death" for change in made.changes) == 5
    assert len({(change.source, change.id) for change in made.changes}) == 100
