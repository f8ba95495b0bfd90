"""In any order and with repetitions, events end in the facts that an oracle derives from them.

The oracle replays the events themselves, household by household and day by day, and shares no code with ingestion or
the rules. `SHOUWANG_CASES` sets the number of people; a failure names the seed that reproduces it.

Every person has a hukou in 麒麟区, which arrives before any hukou that another area states. In every second group,
sources of other areas state facts about the people, too. In any order the same events wait. After officers have settled
all cases, the same facts remain.
"""

import os
import random
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec
import pytest
from common.events.facts import BankAccount, Contact, Household, Statement, Value
from common.message import derived_id
from ingestion.domain.person import statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing_state import PlaceRuling
from ingestion.reading.events import read_event
from ingestion.recording.batch import Request
from ingestion.recording.recorder import decide_again, record
from ingestion.recording.waiting_events import RULE_REASONS
from ingestion.review.store import quarantine
from rules.deciding.decide import decide
from rules.deciding.lists import Lists
from rules.facts.timeline import Fact, facts_known_at
from rules.form.policy import load_lists
from shell.privacy import vault
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import migrated_database

sys.path.insert(0, str(repository_root() / "libs" / "rules" / "tests"))
from slow_oracle import (
    DAYS_ONLY,
    SEVERAL,
    Word,
    all_shown,
    decided,
    last_words,
    read_law,
    shown,
    turning_points,
)

POLICY = repository_root() / "contracts" / "policy"
LAW, LISTS = read_law(POLICY), Lists(load_lists(POLICY).values())
GROUP, GROUPS_PER_RUN = 3, 20
ROUNDS_MAX = 20
RUNS = -(-int(os.environ.get("SHOUWANG_CASES", "120")) // (GROUP * GROUPS_PER_RUN))
FIRST, BEGAN = date(2025, 1, 1), datetime(2025, 6, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 2, tzinfo=UTC)
OFFICES = {
    "registration": ("psb",),
    "residence": ("psb", "mca", "grid"),
    "death": ("psb", "health", "funeral", "grid"),
    "alive": ("grid", "mca"),
    "disability": ("cdpf", "dpf"),
    "low_income": ("mca",),
    "household": ("mca",),
    "living_situation": ("grid", "mca"),
    "special_family": ("nhc",),
    "merit": ("va",),
    "ability_result": ("nhsa",),
    "benefit_elsewhere": ("hrss", "va", "mca", "nhsa"),
    "risk_incident": ("grid", "health"),
    "hospital_stay": ("nhsa", "grid"),
    "contact": ("grid", "mca"),
    "application": ("mca", "grid"),
    "bank_account": ("hrss", "mca"),
}
SECOND = {"living_situation": "mca", "contact": "mca", "bank_account": "mca", "residence": "mca"}
SECOND_OF_GRID = ("death", "application", "hospital_stay")
FOREIGN = {"110000": "110105", "140900": "140902"}
HUKOU_AT = "2025-05-01T00:00:00+00:00"
SEALED = ("name", "certificate_no", "household_no", "members", "document_no", "institution")
Event = dict[str, Any]


# --- stories ----------------------------------------------------------------------------------------


class Group:
    """Three people who share two households, with up to thirty events each."""

    def __init__(self, people: Any, rng: random.Random, n: int) -> None:
        self.people, self.rng, self.n, self.said, self.made = people, rng, n, 0, 0
        self.numbers = [people.number(n * GROUP + i, born=self._born()) for i in range(GROUP)]
        self.events: list[Event] = []
        self.foreign = n % 2 == 1
        self.households = False  # whether a foreign source lists members
        for number in self.numbers:
            self.events.append(self._hukou(number))
            wanted = len(self.events) + rng.randint(1, 30)
            while len(self.events) < wanted:
                foreign = self.foreign and rng.random() < 0.3
                self.events += self._chain(number, rng.choice([*FOREIGN]) if foreign else "530300")

    def _hukou(self, number: str) -> Event:
        """The first hukou of a person, as the police of the city state it."""
        event: Event = self.people.registration(number, id=f"{self.n}-hukou-{number}", time=HUKOU_AT, name=None)
        return event

    def _born(self) -> date:
        return date(1945, 2, 28) + timedelta(days=self.rng.randint(0, 300))

    def _chain(self, number: str, area: str) -> list[Event]:
        kind = self.rng.choice([*OFFICES, "low_income", "household", "residence"])
        office, chain = self.rng.choice(OFFICES[kind]), list[Event]()
        self.households = self.households or (kind == "household" and area in FOREIGN)
        actions = ["created"]
        while self.rng.random() < 0.4 and len(actions) < 5:
            actions.append(self.rng.choice(["corrected", "corrected", "annulled", "ended"]))
        for action in actions:
            self.said += action == "created" or self.rng.random() < 0.8  # some events of a chain have the same time
            self.made += 1
            stated = action in ("created", "corrected")
            start, end = self._period(kind, action)
            time = (BEGAN + timedelta(minutes=self.said)).isoformat()
            chain.append(
                self.people.event(
                    kind,
                    number,
                    self._value(kind, number, area) if stated else None,
                    id=f"{self.n}-{self.rng.randint(0, 99)}-{self.made}",
                    action=action,
                    office=office,
                    previous=self.rng.choice(chain)["id"] if chain else None,
                    time=time,
                    valid_from=start,
                    valid_to=end,
                    name=None,
                )
            )
            chain[-1]["source"] = f"urn:cn:exchange:{area}:{office}"
        return chain

    def _period(self, kind: str, action: str) -> tuple[str | None, str | None]:
        if action == "annulled":
            return None, None
        start, end = sorted(self.rng.sample(range(300), 2))
        if action == "ended":
            return None, self._day(end)
        if kind in DAYS_ONLY:
            return self._day(start), None
        since = self._day(start) if self.rng.random() < 0.8 or kind == "application" else None
        return since, self._day(end) if self.rng.random() < 0.4 else None

    def _day(self, n: int) -> str:
        return (FIRST + timedelta(days=n)).isoformat()

    def _value(self, kind: str, number: str, area: str) -> Event:
        pick, house = self.rng.choice, f"户{area if area in FOREIGN else ''}{self.n}-{self.rng.randint(1, 2)}"
        if kind == "registration":
            born = self._born().isoformat()
            hukou = pick(["530302", "530303"] if area not in FOREIGN else [FOREIGN[area], FOREIGN[area], "530303"])
            return {"name": "张三丰", "sex": "1", "birth_date": born, "hukou_division": hukou, "hukou_kind": "rural"}
        if kind == "residence":
            divisions = ["530302001", "530303", "140702"] if area not in FOREIGN else [FOREIGN[area]] * 3 + ["530303"]
            return {"division": pick(divisions), "place": pick(["home", "institution"])}
        if kind == "death":
            return {"evidence": pick(["cremation", "medical_certificate", "reported", "reported"])}
        if kind == "alive":
            return {"method": "visit"}
        if kind == "disability":
            class_, level = self.rng.randint(1, 7), self.rng.randint(1, 4)
            return {"certificate_no": f"{number}{class_}{level}", "class": class_, "level": level}
        if kind == "low_income":
            category = pick(["dibao", "tekun", "bianyuan"])
            support = {"support": pick(["concentrated", "scattered"])} if category == "tekun" else {}
            return {"category": category, **support, **({"household_no": house} if self.rng.random() < 0.6 else {})}
        if kind == "household":
            return {"household_no": house, "members": self.rng.sample(self.numbers, self.rng.randint(0, GROUP))}
        if kind == "living_situation":
            return {"tags": pick([[], ["alone"], ["empty_nest"], ["alone", "left_behind"]])}
        if kind == "special_family":
            return {"only_child": pick(["dead", "disabled"])}
        return self._further(kind)

    def _further(self, kind: str) -> Event:
        pick = self.rng.choice
        account = {"account_no": "6217003860012345678", "bank": "合成银行", "holder_name": "张三丰"}
        grade = {"scale_version": "2021", "code": pick(["1", "3"]), "document_no": "鉴1"}
        values: dict[str, Event] = {
            "merit": {"merit": pick(["veteran", "martyr_family", "special_contribution"])},
            "ability_result": {"scale": pick(["ltc", "GB/T 42195"])} | grade,
            "benefit_elsewhere": {"benefit": pick(["work_injury_care", "retired_cadre_care"])}
            | pick([{}, {"amount_fen_per_month": 30_000}]),
            "risk_incident": {"incident": pick(["fall", "lost"])},
            "hospital_stay": {"institution": "合成医院"},
            "contact": {"phone": "13900001234"},
            "application": {"item": pick(["nursing_subsidy", "visiting_care"]), "wish": pick(["apply", "decline"])}
            | {"channel": "visit"},
            "bank_account": account,
        }
        return values[kind]


# --- the oracle -------------------------------------------------------------------------------------


def replayed(events: Sequence[Event], number: str) -> tuple[list[Statement], dict[str, Any]]:
    """The statements that a person must have, and their order by the source, derived from the events alone."""
    chains: dict[str, list[Event]] = {}
    by_id = {e["id"]: e for e in events}
    for e in events:
        root = e
        while root["data"]["previous_event_id"]:
            root = by_id[root["data"]["previous_event_id"]]
        chains.setdefault(root["id"], []).append(e)
    houses = {house for e in events if (house := house_of(e))}
    ever: dict[str, set[str]] = {house: set() for house in houses}
    for e in events:
        if kind_of(e) == "household" and (house := house_of(e)):
            ever[house].update(e["data"]["value"]["members"])
    found: list[Statement] = []
    order: dict[str, Any] = {}
    for chain, said in chains.items():
        own, kind = said[0]["data"]["person"]["id_number"] == number, kind_of(said[0])
        for e in said:
            order[e["id"]] = (e["time"], e["id"])
            if own and kind != "household":
                found.append(statement(e, chain, None, value_of(e)))
        if kind not in ("household", "low_income") or (own and kind == "low_income"):
            continue
        for house in sorted({house for e in said if (house := house_of(e))}):
            if number in ever[house]:
                via = house if kind == "low_income" else None
                found += [statement(e, f"{chain}/{house}", via, copied(e, house, number)) for e in said]
    return found, order


def rank_of(kind: str, office: str) -> int:
    if (kind, office) == ("residence", "grid"):
        return 3
    return 2 if SECOND.get(kind) == office or (office == "grid" and kind in SECOND_OF_GRID) else 1


def copied(event: Event, house: str, number: str) -> Value | None:
    """The value that a member receives: none from a statement about another household."""
    if house_of(event) != house:
        return None
    if kind_of(event) == "household":
        return Household(household=house, member=number in event["data"]["value"]["members"])
    return value_of(event)


def kind_of(event: Event) -> str:
    return event["type"].split(".")[-2]


def house_of(event: Event) -> str | None:
    return (event["data"]["value"] or {}).get("household_no")


def value_of(event: Event) -> Value | None:
    said = event["data"]["value"]
    if said is None:
        return None
    if kind_of(event) == "contact":
        return Contact(own_phone=True, others=0)
    if kind_of(event) == "bank_account":
        return BankAccount(holder="not_said")
    plain = {k: v for k, v in said.items() if k not in SEALED}
    return msgspec.convert({"of": kind_of(event), **plain}, Value, strict=False)


def statement(event: Event, chain: str, via: str | None, value: Value | None) -> Statement:
    data, kind, office = event["data"], kind_of(event), event["source"].rpartition(":")[2]
    stated = data["action"] in ("created", "corrected")
    gone = stated and value is None
    return msgspec.convert(
        {
            "event_id": event["id"],
            "chain": chain,
            "action": "annulled" if gone else data["action"],
            "kind": kind,
            "source": event["source"],
            "rank": rank_of(kind, office),
            "time": event["time"],
            "recorded_at": event["time"],
            "valid_from": data["valid_from"],
            "valid_to": None if gone else data["valid_to"],
            "value": msgspec.to_builtins(value) if value is not None else None,
            "via": via,
        },
        Statement,
    )


# --- ingestion --------------------------------------------------------------------------------------


async def deliver(database: Database, batches: Sequence[Sequence[Event]]) -> list[datetime]:
    """Deliver one batch per minute; return the recording time of each."""
    instants = []
    for n, batch in enumerate(batches):
        now = NOW + timedelta(minutes=n)
        read = [read_event(msgspec.json.encode(e), now) for e in batch]
        assert all(isinstance(e, Pushed) for e in read), [e for e in read if not isinstance(e, Pushed)][:1]
        async with database.transaction() as tx:
            receipts = await record(tx, read, now)  # type: ignore[arg-type]
        assert {r.status for r in receipts} <= {"accepted", "duplicate", "quarantined"}
        instants.append(now)
    return instants


async def stored(database: Database) -> dict[str, bytes]:
    return {row[0]: row[1] for row in await database.pool.fetch("SELECT person_id, statements FROM persons")}


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def facts_of(joined: bytes, known_at: datetime | None = None) -> tuple[Fact, ...]:
    return facts_known_at(statements_of(joined), known_at)


def check(joined: bytes, events: Sequence[Event], number: str, known_at: datetime | None, why: Any) -> None:
    """Compare the facts, and the entitlements under the real lists, with the oracle."""
    statements, order = replayed(events, number)
    words = last_words(statements, lambda s: order[s.event_id])
    facts = tuple(f for f in facts_of(joined, known_at) if f.standing != "hint")
    keys = vault()
    public = {keys.event_id(e["source"], e["id"]): e["id"] for e in events}
    for kind in OFFICES:
        if kind in DAYS_ONLY:
            said = sorted((w.said.valid_from, w.said.event_id) for w in words if w.said.kind == kind)
            assert sorted((f.valid_from, public[f.event_id]) for f in facts if f.kind == kind) == said, (why, kind)
        elif kind != "household":
            for day in turning_points(words):
                found = all_shown(words, kind, day) if kind in SEVERAL else [shown(words, kind, day)]
                got = sorted(public[f.event_id] for f in facts if f.kind == kind and f.holds_on(day))
                assert got == sorted(s.event_id for s in found if s), (why, kind, day)
    check_entitlements(facts, words, why)


def check_entitlements(facts: Sequence[Fact], words: Sequence[Word], why: Any) -> None:
    """Compare every item on some days of the year: decided from the facts, and by the oracle from the statements."""
    entitlements = decide("p", facts, [], LISTS).entitlements
    for day in [FIRST + timedelta(days=n) for n in range(0, 330, 47)]:
        wanted = decided(LAW, [], [], [], [day], words=words)[day]
        got = {e.item: e for e in entitlements if e.from_ <= day and (e.to is None or day < e.to)}
        assert {item: (e.state, e.amount_fen_per_month, e.tier) for item, e in got.items()} == {
            item: (f.state, f.fen, f.tier) for item, f in wanted.items()
        }, (why, day)


async def settle_everything(database: Database, groups: Sequence[Group]) -> None:
    """Officers decide every case. Their decision depends on the person and the source alone."""
    numbers = {person_of(number): number for g in groups for number in g.numbers}
    for n in range(ROUNDS_MAX):
        now = NOW + timedelta(days=1, minutes=n)
        async with database.transaction() as tx:
            places = await tx.sql.fetch("SELECT * FROM place_cases WHERE state = 'open' ORDER BY case_id")
            for row in places:
                outcome = "confirmed" if believed(numbers[row["person_id"]], row["source"]) else "objected"
                decided = {row["person_id"]: PlaceRuling(row["chain"], row["division"], outcome)}
                await decide_again(tx, Request(person_ids=(row["person_id"],), places=decided), now)
        async with database.transaction() as tx:
            waiting = await tx.sql.fetch("SELECT * FROM quarantine WHERE state = 'open' ORDER BY event_id")
            if not places and not waiting:
                return
            for row in waiting:
                await settle_row(tx, row, now, numbers[row["person_id"]])
    raise AssertionError(f"never settled: {[(r['reason'], r['kind']) for r in waiting]} {[*map(tuple, places)]}")


async def settle_row(tx: Any, row: Any, now: datetime, number: str) -> None:
    """An earlier decision may have settled the row already."""
    person_id, event_id = row["person_id"], row["event_id"]
    if await tx.sql.fetchval("SELECT state FROM quarantine WHERE event_id = $1", event_id) != "open":
        return
    by_rule = row["reason"] in RULE_REASONS and row["reason"] != "place_objected"
    if by_rule and believed(number, row["source"]):
        await decide_again(tx, Request(person_ids=(person_id,), exempt={person_id: (event_id,)}), now)
    elif row["reason"] != "predecessor_waits":
        assert await quarantine.discard(tx, event_id, now, "王科员", "不实")
        await decide_again(tx, Request(person_ids=(person_id,)), now)


def believed(number: str, source: str) -> bool:
    return crc32(f"{number}{source.split(':')[3]}".encode()) % 2 == 0


async def waiting_now(database: Database) -> set[tuple[Any, ...]]:
    rows = await database.pool.fetch(
        """SELECT event_id, person_id, kind, reason FROM quarantine WHERE state = 'open'
           UNION ALL SELECT case_id, person_id, kind, division FROM place_cases WHERE state = 'open'"""
    )
    return {tuple(row) for row in rows}


async def statuses(database: Database) -> dict[str, str]:
    return {row[0]: row[1] for row in await database.pool.fetch("SELECT event_id, status FROM received")}


def hukou_first(mixed: list[Event]) -> list[Event]:
    """The same order, but the first hukou of a person comes before any hukou that a foreign source states."""
    firsts = {e["data"]["person"]["id_number"]: e for e in mixed if "-hukou-" in e["id"]}
    found, there = list[Event](), set[str]()
    for event in mixed:
        number = event["data"]["person"]["id_number"]
        foreign = kind_of(event) == "registration" and event["source"].split(":")[3] in FOREIGN
        if foreign and number not in there:
            found.append(firsts[number])
            there.add(number)
        if "-hukou-" in event["id"]:
            there.add(number)
        found.append(event)
    return found


@pytest.mark.parametrize("run", range(RUNS))
async def test_in_any_order_and_with_repetitions_people_have_the_facts_of_the_oracle_at_every_instant(
    people: Any, database: Database, run: int
) -> None:
    rng = random.Random(run)
    groups = [Group(people, rng, n) for n in range(GROUPS_PER_RUN)]
    events = [e for g in groups for e in g.events]
    mixed = [e for e in events for _ in range(rng.choice([1, 1, 2, 3]))]
    rng.shuffle(mixed)
    mixed = hukou_first(mixed)
    cuts = sorted(rng.sample(range(1, len(mixed)), 7))
    batches = [mixed[a:b] for a, b in zip([0, *cuts], [*cuts, len(mixed)], strict=True)]
    instants = await deliver(database, batches)
    arrived: dict[str, int] = {}
    for n, batch in enumerate(batches):
        for e in batch:
            arrived.setdefault(e["id"], n)
    before = await stored(database)
    open_before = await waiting_now(database)
    await settle_everything(database, groups)
    got, status = await stored(database), await statuses(database)
    for g in groups:
        n = rng.randrange(len(batches))
        known = [e for e in g.events if effective(e, g.events, arrived) <= n]
        hints = {
            s.event_id
            for number in g.numbers
            for s in statements_of(got.get(person_of(number), b""))
            if s.standing_at() == "hint"
        }
        ids = {e["id"]: vault().event_id(e["source"], e["id"]) for e in g.events}
        counting = [e for e in g.events if status[ids[e["id"]]] == "applied" and ids[e["id"]] not in hints]
        for number in g.numbers:
            joined = got.get(person_of(number), b"")
            if not g.households:
                check(joined, counting, number, None, (run, g.n))
            if not g.foreign and all(arrived[f"{g.n}-hukou-{number}"] <= n for number in g.numbers):
                check(joined, known, number, instants[n], (run, g.n, n))
    async with migrated_database("ingestion") as in_order:
        await deliver(in_order, [sorted(events, key=lambda e: (e["time"], e["id"]))])
        straight = await stored(in_order)
        assert await waiting_now(in_order) == open_before, run
        assert_same(before, straight, run)
        await settle_everything(in_order, groups)
        assert_same(got, await stored(in_order), run)


def assert_same(one: dict[str, bytes], other: dict[str, bytes], run: int) -> None:
    assert one.keys() == other.keys()
    for person_id, joined in one.items():
        assert facts_of(joined) == facts_of(other[person_id]), (run, person_id)


def effective(event: Event, events: Sequence[Event], arrived: dict[str, int]) -> int:
    """The batch by which an event and all its predecessors had arrived."""
    by_id = {e["id"]: e for e in events}
    found = arrived[event["id"]]
    while event["data"]["previous_event_id"]:
        event = by_id[event["data"]["previous_event_id"]]
        found = max(found, arrived[event["id"]])
    return found
