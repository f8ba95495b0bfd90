"""The cases in `contracts/policy/cases` have the results that an official expects."""

import random
from datetime import date, timedelta
from typing import Any

import pytest
from rules.deciding.lists import Lists
from rules.form.policy import load_lists
from rules.words.explain import explain
from stories import POLICY, Story, all_stories

LISTS = Lists(load_lists(POLICY).values())
STORIES = [pytest.param(story, id=story.name) for story in all_stories()]


@pytest.mark.parametrize("story", STORIES)
def test_the_case_has_the_expected_result(story: Story) -> None:
    assert list(story.differences(LISTS)) == []


@pytest.mark.parametrize(
    ("fact", "fault"),
    [
        ({"hospital": {"ward": "1"}}, "长者: fact a: hospital is no kind of fact"),
        ({}, "长者: fact a has no kind"),
        ({"alive": {"method": "visit"}, "death": {"evidence": "reported"}}, "alive is no kind of fact, or a second"),
        ({"alive": {"method": "visit"}, "form": "2023-01-01"}, "长者: fact a: form is no kind"),
    ],
)
def test_a_case_with_a_misspelt_fact_is_rejected_with_its_place(fact: dict[str, Any], fault: str) -> None:
    row = {"id": "a", "said": date(2023, 1, 1), **fact}
    with pytest.raises(ValueError, match=fault):
        Story("长者", {"facts": [row], "then": []})


@pytest.mark.parametrize("story", STORIES)
def test_shuffled_and_repeated_three_times_the_story_is_the_same(story: Story) -> None:
    straight, shuffle = story.decide(LISTS), random.Random(story.name)
    chains = sorted({s.chain for s in story.statements})
    for _ in range(5):
        queues = [[s for s in story.statements if s.chain == chain for _ in range(3)] for chain in chains]
        mixed = []
        while queues:
            queue = shuffle.choice(queues)
            mixed.append(queue.pop(0))
            queues = [q for q in queues if q]
        assert story.decide(LISTS, statements=mixed) == straight


@pytest.mark.parametrize("story", STORIES)
def test_the_explanation_agrees_with_the_decision_at_every_edge(story: Story) -> None:
    facts, decision = story.facts(), story.decide(LISTS)
    items = {e.item for e in decision.entitlements} | {"longevity_allowance", "dibao"}
    edges = {d for e in decision.entitlements for d in (e.from_, e.to) if d}
    for day in {edge + timedelta(days=offset) for edge in edges for offset in (-1, 0)}:
        for item in items:
            states: list[str] = [
                e.state
                for e in decision.entitlements
                if e.item == item and e.from_ <= day and (e.to is None or day < e.to)
            ]
            said = explain(facts, story.abilities, LISTS, item, day, choices=story.choices)
            assert [said.outcome] == (states or ["refused"]), (item, day, said)
            assert said.sentence.endswith("。")
            if said.outcome == "granted":
                assert all(c.holds for c in said.conditions)
                assert said.policy is not None
