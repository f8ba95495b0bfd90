"""What the door answers."""


async def test_a_pushed_change_becomes_a_statement_of_the_person(push, people, heads):
    (receipt,) = await push(people.residence(people.number(1)), expect="accepted")
    (head,) = (await heads()).values()
    assert head.version == 1
    assert [s.event_id for s in head.statements] == [receipt["event_id"]]
    assert head.statements[0].value.division == "530302001"
    assert head.causes == (receipt["event_id"],)
    assert head.recorded_at == head.statements[0].recorded_at
