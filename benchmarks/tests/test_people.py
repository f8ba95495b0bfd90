"""Tests of the people and changes of a measurement."""

import msgspec

from benchmarks.people import SourceEvent, batch_body, batches_by_source, make_population


def test_batches_keep_the_order_of_each_source() -> None:
    events = [SourceEvent("psb" if n % 3 else "mca", str(n), "residence", b"{}") for n in range(7)]
    batches = batches_by_source(events, 2)
    assert [[event.id for event in batch] for batch in batches["psb"]] == [["1", "2"], ["4", "5"]]
    assert [[event.id for event in batch] for batch in batches["mca"]] == [["0", "3"], ["6"]]
    assert msgspec.json.decode(batch_body(events[:3])) == [{}, {}, {}]


def test_one_change_in_twenty_is_a_death_and_no_change_comes_twice() -> None:
    population = make_population(200, 100, deaths_every=20)
    assert sum(change.kind == "death" for change in population.changes) == 5
    assert len({(change.source, change.id) for change in population.changes}) == 100
