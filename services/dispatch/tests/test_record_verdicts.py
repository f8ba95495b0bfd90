from itertools import product

import pytest
from common.events import VisitDisputed, VisitVerified


def verdict(story, task_id, word, number):
    fields = {"person_id": story.ident("p1"), "task_id": task_id, "provider": story.A, "visited_on": story.TODAY}
    if word == "verified":
        return VisitVerified(**fields, warnings=(f"V{number}",))
    return VisitDisputed(**fields, checks=(f"V{number}",))


@pytest.mark.parametrize("words", list(product(["verified", "disputed"], repeat=3)))
async def test_the_last_verdict_about_a_visit_counts_in_every_batch(driver, add_provider, tasks, story, words):
    await add_provider(story.A, story.TOWN)
    await driver.deliver(*[story.visiting(name, interval_days=31) for name in ("p1", "p2")])
    first, other = [(await tasks(person=name))[0]["task_id"] for name in ("p1", "p2")]
    before = [verdict(story, other, word, 0) for word in ("verified", "disputed")]
    await driver.deliver(*before, *[verdict(story, first, word, n) for n, word in enumerate(words)])
    assert [(await tasks(person=name))[0]["verdict"] for name in ("p1", "p2")] == [words[-1], "disputed"]
