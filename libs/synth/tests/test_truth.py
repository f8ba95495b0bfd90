"""The truth of the simulation equals a simple reading of the events: every action applied to its chain."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from typing import Any

import pytest
import synth
from synth.cloud_events import OTHER_OFFICES
from synth.truth import Truth

TODAY = date(2025, 5, 1)
Event = dict[str, Any]
Period = tuple[date, date | None, Event]


def day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def chains(events: Iterable[Event]) -> list[list[Event]]:
    """Events by chain, each chain in the order of (time, id)."""
    seen = {(e["source"], e["id"]): e for e in events}
    by_root: defaultdict[tuple[str, str], list[Event]] = defaultdict(list)
    for event in seen.values():
        root = event
        while root["data"]["previous_event_id"]:
            root = seen[root["source"], root["data"]["previous_event_id"]]
        by_root[root["source"], root["id"]].append(event)
    return [sorted(chain, key=lambda e: (e["time"], e["id"])) for chain in by_root.values()]


def outcome(chain: list[Event]) -> Period | None:
    """The final content of a chain: since, until, value; None if it was never true."""
    since, until, value = date.min, None, {}
    for event in chain:
        data = event["data"]
        if data["action"] == "annulled":
            return None
        if data["action"] == "ended":
            until = day(data["valid_to"])
        else:
            since, until, value = day(data["valid_from"]) or date.min, day(data["valid_to"]), data["value"]
    return since, until, value


class Reading:
    """The content of all events, by person and kind (households by their number)."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.said: defaultdict[tuple[str, str], list[Period]] = defaultdict(list)
        self.homes_of: defaultdict[str, set[str]] = defaultdict(set)
        for chain in chains(events):
            kind = chain[0]["type"].split(".")[3]
            subject = chain[0]["data"]["person"]["id_number"]
            assert len({e["data"]["person"]["id_number"] for e in chain}) == 1
            assert len({e["type"] for e in chain}) == 1
            found = outcome(chain)
            if found is None:
                continue
            if kind == "household":
                number = found[2]["household_no"]
                self.said[number, kind].append(found)
                for member in found[2]["members"]:
                    self.homes_of[member].add(number)
            else:
                self.said[subject, kind].append(found)
                if kind == "low_income" and "household_no" in found[2]:
                    self.said[found[2]["household_no"], kind].append(found)
        for periods in self.said.values():
            periods.sort(key=lambda p: p[0])

    def on(self, subject: str, kind: str, when: date) -> Event | None:
        """The value on a day. A value that begins later replaces the one before."""
        begun = [p for p in self.said[subject, kind] if p[0] <= when]
        if not begun or (begun[-1][1] is not None and begun[-1][1] <= when):
            return None
        return begun[-1][2]

    def income(self, number: str, when: date) -> Event | None:
        own = self.on(number, "low_income", when)
        if own:
            return own
        for household in self.homes_of[number]:
            now = self.on(household, "household", when)
            if now and number in now["members"] and (shared := self.on(household, "low_income", when)):
                return shared
        return None

    def death(self, number: str, when: date) -> tuple[date | None, bool]:
        said = [(since, value["evidence"]) for since, _, value in self.said[number, "death"]]
        alive = [since for since, _, _ in self.said[number, "alive"]]
        by_evidence = {evidence: since for since, evidence in said}
        confirmed = by_evidence.get("register_cancelled")
        if confirmed is None and {"cremation", "medical_certificate"} <= by_evidence.keys():
            confirmed = by_evidence["cremation"]
        if confirmed is not None:
            return (confirmed if confirmed <= when else None), False
        open_reports = [since for since, _ in said if since <= when and not any(a > since for a in alive)]
        return None, bool(open_reports)


def assert_reading_is_truth(reading: Reading, truth: Truth, when: date) -> None:
    number = truth.id_number
    registration = reading.on(number, "registration", when)
    assert registration is not None
    assert registration["hukou_division"] == truth.hukou_division
    assert registration["hukou_kind"] == truth.hukou_kind
    assert (registration["sex"], day(registration["birth_date"])) == (truth.sex, truth.birth_date)
    home = reading.on(number, "residence", when) or {}
    assert (home.get("division"), home.get("place")) == (truth.residence_division, truth.residence_place)
    certificate = reading.on(number, "disability", when)
    assert truth.disability == (certificate and (certificate["class"], certificate["level"]))
    income = reading.income(number, when) or {}
    assert (income.get("category"), income.get("support")) == (truth.low_income, truth.support)
    living = reading.on(number, "living_situation", when)
    assert truth.tags == (None if living is None else frozenset(living["tags"]))
    special = reading.on(number, "special_family", when)
    assert truth.special_family == (special and special["only_child"])
    assert reading.death(number, when) == (truth.died_on, truth.suspected)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_events_agree_with_the_truth_on_every_day(seed: int) -> None:
    county = synth.county(seed, 700, ["141125", "530302", "530371"], TODAY)
    events = list(county.initial_load())
    rates = synth.Rates(wrong=300, phantom=200).times(20)
    events += [push.event for push in synth.stream(county, 7, seed, rates=rates)]
    reading = Reading(events)
    last = county.today + timedelta(days=200)
    for when in (TODAY, TODAY + timedelta(days=75), county.today, last):
        for truth in county.truth(when).values():
            if when >= last or truth.residence_division is not None:
                assert_reading_is_truth(reading, truth, when)


def test_a_confirmed_death_has_the_true_day_of_death() -> None:
    county = synth.county(9, 600, ["141125"], TODAY)
    for _ in synth.stream(county, 6, 9, rates=synth.Rates().times(10)):
        pass
    died = {t.id_number: t.died_on for t in county.truth(county.today).values() if t.died_on}
    really = {p.number: p.died_on for p in county.people if p.died_on}
    assert len(died) > 50
    assert died.items() <= really.items()


def test_a_stream_shows_every_action_of_every_kind_that_has_it() -> None:
    county = synth.county(4, 800, ["141125", "530302"], TODAY)
    rates = synth.Rates(wrong=300, phantom=300).times(20)
    shown = {
        (p.event["type"].split(".")[3], p.event["data"]["action"]) for p in synth.stream(county, 6, 4, rates=rates)
    }
    kinds = {"residence", "disability", "low_income", "household", "living_situation", "registration"}
    assert {(kind, "created") for kind in kinds | {"death", "alive", "special_family"} | {*OTHER_OFFICES}} <= shown
    assert {("hospital_stay", "ended"), ("hospital_stay", "annulled")} <= shown
    assert {(kind, "corrected") for kind in kinds} <= shown
    assert {(kind, "annulled") for kind in ("residence", "disability", "low_income", "death")} <= shown
    assert {(kind, "ended") for kind in ("disability", "low_income")} <= shown


def test_the_initial_load_is_the_same_before_and_after_a_stream() -> None:
    county = synth.county(5, 400, ["141125"], TODAY)
    before = list(county.initial_load())
    for _ in synth.stream(county, 6, 5, rates=synth.Rates().times(30)):
        pass
    assert list(county.initial_load()) == before
    assert len(county.people) > 400


def test_faults_of_delivery_change_neither_the_events_nor_the_truth() -> None:
    drawn = []
    for faults in (synth.Faults.none(), synth.Faults(late=300, duplicate=400, overtaken=900)):
        county = synth.county(6, 500, ["530302"], TODAY)
        pushes = list(synth.stream(county, 4, 6, faults, synth.Rates().times(10)))
        drawn.append((pushes, county.truth(county.today)))
    (clean, truth), (faulty, same_truth) = drawn
    assert truth == same_truth
    assert {p.event["id"]: p.event for p in clean} == {p.event["id"]: p.event for p in faulty}
    assert len(faulty) > len(clean)


def test_changes_for_measurements_are_in_sequence_and_true() -> None:
    county = synth.county(8, 900, ["141125", "530302"], TODAY)
    events = list(county.initial_load())
    drawn = list(synth.changes(county, 3000, 600, 8, deaths_every=100))
    assert len(drawn) == 3000
    assert len({(e["source"], e["id"]) for e in drawn}) == 3000
    assert [e["time"] for e in drawn] == sorted(e["time"] for e in drawn)
    touched = {e["data"]["person"]["id_number"] for e in drawn}
    assert touched <= {p.number for p in county.people}
    assert len(touched) == 600
    assert sum(e["type"].split(".")[3] == "death" for e in drawn) == 30
    known: set[str] = {e["id"] for e in events}
    for event in drawn:
        assert event["data"]["previous_event_id"] in known | {None}
        known.add(event["id"])
    days: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for event in drawn:
        data = event["data"]
        since = data["valid_to"] if data["action"] == "ended" else data["valid_from"]
        days[data["person"]["id_number"], event["type"]].append(since)
    assert all(sorted(set(line)) == line for line in days.values()), "two changes of a kind on one day"
    reading = Reading([*events, *drawn])
    for truth in county.truth(TODAY).values():
        assert_reading_is_truth(reading, truth, TODAY)


def test_more_changes_than_the_living_have_days_are_rejected() -> None:
    county = synth.county(8, 100, ["141125"], TODAY)
    with pytest.raises(ValueError):
        next(synth.changes(county, 10, 101, 1))
    with pytest.raises(ValueError):
        next(synth.changes(county, 10_000, 100, 1))
    with pytest.raises(ValueError):  # all people die before the last change
        next(synth.changes(county, 30, 20, 1, deaths_every=1))


def test_other_facts_do_not_change_any_other_event() -> None:
    none = {"incident": 0.0, "hospital": 0.0, "contact": 0.0, "account": 0.0, "others": 0.0}
    drawn = []
    for rates in (synth.Rates(), synth.Rates(**none)):
        county = synth.county(12, 600, ["530302"], TODAY)
        pushes = list(synth.stream(county, 6, 12, rates=rates))
        drawn.append(([p for p in pushes if p.event["type"].split(".")[3] not in OTHER_OFFICES], len(pushes)))
        assert [p.deliver_at for p in pushes] == sorted(p.deliver_at for p in pushes)
    (with_them, more), (without, fewer) = drawn
    assert with_them == without
    assert 0 < more - fewer < fewer
