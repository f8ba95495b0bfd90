"""The hops of the raw limit."""

from benchmarks.limit.hops import due, hops


def test_every_hop_takes_what_its_service_reads_and_puts_what_it_writes() -> None:
    counts = {
        "population.inbound.530300.psb": 7,
        "population.inbound.530300.mca": 3,
        "ingestion.person": 9,
        "identification.entitlement": 8,
        "dispatch.visit": 4,
    }
    counts["dispatch.provider.X"] = 2
    readers = {
        "ingestion": ["population.inbound", *[topic for topic in counts if topic.startswith("population")]],
        "identification": ["ingestion.person", "assessment.ability"],
        "dispatch": ["identification.entitlement"],
        "supervision": ["ingestion.person", "dispatch.visit"],
    }
    found = {hop.service: hop for hop in hops(counts, readers)}
    assert found["ingestion"].puts == {"population.inbound": ["ingestion.person"]}
    assert found["ingestion"].count_of("population.inbound") == found["ingestion"].count == 10
    assert found["identification"].takes == {"ingestion.person": 9}
    assert found["dispatch"].puts == {"identification.entitlement": ["dispatch.visit", "dispatch.provider.X"]}
    assert found["supervision"].count == 13
    assert not found["supervision"].puts


def test_what_is_put_out_keeps_step_and_ends_complete() -> None:
    assert [due(taken, 4, 10) for taken in range(5)] == [0, 2, 5, 7, 10]
    assert due(3, 3, 100) == 100
