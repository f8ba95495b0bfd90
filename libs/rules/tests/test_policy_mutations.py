"""A case covers every number, word and rule of the lists: a change of any of them changes the result of a case."""

import copy
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import msgspec
import pytest
from common.codes import divisions
from common.events.facts import Registration, Residence
from mutations import WORDS, Change, of_item, of_rules
from rules.deciding.lists import Lists
from rules.deciding.outcome import Applicable
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.policy import Condition, PolicyList
from rules.form.situation import ABILITY, AGE, HUKOU, NOTHING_KNOWN, RESIDENCE, REST, SEVERAL, SLOTS, Situation
from slow_oracle import NATION, read_law
from stories import POLICY, Story, all_stories

LAW = read_law(POLICY)
STORIES = all_stories()


# --- stories ----------------------------------------------------------------------------------------


def places(story: Story) -> set[str]:
    found = {NATION}
    for s in story.statements:
        if isinstance(s.value, Registration) and s.value.hukou_division is not None:
            found |= {s.value.hukou_division, *divisions.ancestors(s.value.hukou_division)}
        elif isinstance(s.value, Residence):
            found |= {s.value.division, *divisions.ancestors(s.value.division)}
    return found


@lru_cache(maxsize=1000)
def readers(area: str, items: frozenset[str]) -> list[Story]:
    """The cases about an item and an area, those with few places first."""
    found = [story for story in STORIES if story.items & items and area in places(story)]
    return sorted(found, key=lambda story: len(places(story)))


def flips(area: str, items: frozenset[str], law: dict[str, Any]) -> bool:
    """Whether a changed list changes the result of a case. An invalid list needs no case."""
    try:
        changed = Lists([convert(area, law[area]), *(one for a, one in AS_IS.items() if a != area)])
    except msgspec.ValidationError:
        return True
    return any(next(story.differences(changed), None) is not None for story in readers(area, items))


# --- changes that change nothing --------------------------------------------------------------------


def worlds(applicables: Sequence[Applicable]) -> Iterator[Situation]:
    """Every kind of person that these conditions can distinguish, as far as the registers allow.

    An unknown birth date is not part of the law."""
    leaves = [leaf for a in applicables for c in conditions_of(a) for leaf in c.leaves()]
    tests = [(leaf.test, getattr(leaf, leaf.test)) for leaf in leaves]
    slots = {slot for a in applicables for slot in a.slots}
    ages = {n for name, age in tests if name.startswith("age_years") for n in (age - 1, age, age + 1)}
    levels = {n for name, level in tests if name == "ability_level_min" for n in (level - 1, level)}
    classes = {c for name, test in tests if name == "disability" for c in test.classes}
    of_one_kind = len(classes) == 7 and all(len(t.classes) == 7 for name, t in tests if name == "disability")
    values: dict[int, list[Any]] = {slot: [None, *CIRCUMSTANCES[slot].known] for slot in REST if slot not in SEVERAL}
    values |= {  # fewer, because there are too many of them
        AGE: [*sorted(ages | band_edges(applicables, "age_years_min"))],
        ABILITY: [None, *sorted(levels | band_edges(applicables, "ability_level_min"))],
        SLOTS["disability"]: [
            None,
            *((c, level) for c in ((1,) if of_one_kind else range(1, 8)) for level in range(1, 5)),
        ],
        SLOTS["living"]: [None, *((tag,) for tag in WORDS["living_tag"])],
    }
    for slot in SEVERAL:  # nothing, or one of the names that the conditions state
        row = CIRCUMSTANCES[slot]
        named = {name for test, names in tests if test in row.tests for name in names}
        values[slot] = [None, *(frozenset({row.element(name)}) for name in sorted(named) if row.element)]
    unvaried = [CIRCUMSTANCES[slot].name for slot in slots - values.keys() - {HUKOU, RESIDENCE}]
    assert not unvaried, f"test_policy_mutations.worlds gives no values of {', '.join(unvaried)}"
    read = sorted(slots & values.keys())
    for known in product(*(values[slot] for slot in read)):
        nowhere = ((NATION,), (NATION,), *NOTHING_KNOWN[AGE:])
        yield tuple(known[read.index(slot)] if slot in read else part for slot, part in enumerate(nowhere))


def conditions_of(applicable: Applicable) -> Iterator[Condition]:
    version = applicable.version
    yield version.conditions
    yield from (tier.conditions for tier in version.tiers if tier.conditions)
    yield from (case.conditions for case in (version.amount.cases if version.amount else ()))


def band_edges(applicables: Sequence[Applicable], by: str) -> set[int]:
    bands = [b for a in applicables if a.version.amount for b in a.version.amount.bands]
    return {n for b in bands if getattr(b, by) is not None for n in (getattr(b, by) - 1, getattr(b, by))}


def changes_nobody(area: str, item: str, other: Any) -> bool:
    """Whether a change has no effect: for everybody another condition or case counts before it."""
    now = AS_IS[area].items[item]
    then = convert(area, {"items": {item: other}, "exclusions": []}).items[item]
    for version, changed in zip(now.versions, then.versions, strict=True):
        both = Applicable(now, version, area, False), Applicable(then, changed, area, False)
        for world in worlds(both):
            one, two = (a.outcome(world) for a in both)
            same = one is two is None or (one and two and msgspec.structs.replace(two, slots=one.slots) == one)
            if not same:
                return False
    return now.follows == then.follows


def convert(area: str, one: dict[str, Any]) -> PolicyList:
    return msgspec.convert({"jurisdiction": area, **one}, PolicyList)


AS_IS = {area: convert(area, one) for area, one in LAW.items()}
FILES = [(area, item) for area, one in LAW.items() for item in one["items"]]


def untold(area: str, key: str, changes: Iterator[Change], said: Any, items: frozenset[str]) -> list[str]:
    """The changes that no case notices."""
    found = []
    for what, change in changes:
        other = copy.deepcopy(said)
        change(other)
        one = LAW[area]
        law = one | ({"items": one["items"] | {key: other}} if key else {"exclusions": other})
        if not flips(area, items, LAW | {area: law}) and not (key and changes_nobody(area, key, other)):
            found.append(what)
    return found


@pytest.mark.parametrize(("area", "item"), FILES)
def test_a_case_covers_every_word_of_an_item(area: str, item: str) -> None:
    said = LAW[area]["items"][item]
    assert untold(area, item, of_item(said), said, frozenset({item})) == []


@pytest.mark.parametrize("area", [area for area, one in LAW.items() if one["exclusions"]])
def test_a_case_covers_every_rule_between_items(area: str) -> None:
    said = LAW[area]["exclusions"]
    items = frozenset(item for rule in said for key in ("items", "by") for item in rule.get(key, ()))
    assert untold(area, "", of_rules(said), said, items) == []
