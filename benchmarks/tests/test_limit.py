"""Tests of the hops of the raw limit."""

from benchmarks.limit.hops import due_count, hops


def test_a_hop_has_the_topics_that_its_service_reads_and_writes() -> None:
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
    assert found["ingestion"].outputs == {"population.inbound": ["ingestion.person"]}
    assert found["ingestion"].count_of("population.inbound") == found["ingestion"].count == 10
    assert found["identification"].inputs == {"ingestion.person": 9}
    assert found["dispatch"].outputs == {"identification.entitlement": ["dispatch.visit", "dispatch.provider.X"]}
    assert found["supervision"].count == 13
    assert not found["supervision"].outputs


def test_output_is_sent_in_proportion_to_input_and_is_complete_at_the_end() -> None:
    assert [due_count(taken, 4, 10) for taken in range(5)] == [0, 2, 5, 7, 10]
    assert due_count(3, 3, 100) == 100
