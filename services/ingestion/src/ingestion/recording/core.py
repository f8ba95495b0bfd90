"""The core that every door shares: valid events in, statements of persons and the news of them out.

One call is one batch inside the caller's transaction: a fixed number of statements, whatever the number of events.
Locks are taken households first, then persons, each in the order of their ids. All decisions are taken behind these
locks, so that two writers at the same moment have the same effect as two writers one after the other.
"""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Final

import msgspec
from common.calendar import civil_date
from common.errors import Unavailable
from common.events.facts import Statement
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN, place_events
from ingestion.domain.household import (
    Copy,
    Entry,
    NotLocked,
    chain_of_list,
    copies_for,
    household_of,
    spread,
)
from ingestion.domain.identity import Circles, settle_circles
from ingestion.domain.person import (
    Person,
    instant_of_batch,
    remember_name,
    remember_place,
    same_moment,
    statements_of,
)
from ingestion.domain.problems import fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, with_note
from ingestion.domain.standing import NOT_COUNTED
from ingestion.domain.statements import standing_of, statement_of
from ingestion.recording import cases, consequences, own_statements, storage
from ingestion.recording.admission import Admitting
from ingestion.recording.batch import LOCK_ROUNDS_MAX, Request, Work, load, lock, open_kept
from ingestion.recording.store import statements as store
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered

AGAIN_MAX: Final = 8  # a merge may let what waits of another identity go on, and so forth
_WAITS_AT: Final = {
    "certificate_of_another": "/data/value/certificate_no",
    "source_not_of_person": "/source",
    "standing_by_silence": "/source",
    "registered_elsewhere": "/data/value",
    "place_objected": "/data/value",
}
_WAITS_MOSTLY: Final = "/data/previous_event_id"
_NOTES: Final = {"claimed": ("/data/value", "place_claimed"), "hint": ("/source", "taken_as_hint")}


async def record(tx: Tx, pushed: Sequence[Pushed], now: datetime) -> list[Receipt]:
    """Record events, each with its receipt, in their order. Nothing is committed here."""
    if not pushed:
        return []
    first: dict[str, Pushed] = {}
    for event in pushed:
        first.setdefault(event.event_id, event)
    work = await _apply(tx, first, now, Request())
    return [with_note(_receipt(event, first, work), event) for event in pushed]


async def decide_again(tx: Tx, request: Request, now: datetime) -> Work:
    """Judge persons anew after officers or a job have decided something about them. Nothing is committed here."""
    return await _apply(tx, {}, now, request)


def _receipt(event: Pushed, first: dict[str, Pushed], work: Work) -> Receipt:
    stored = work.known.get(event.event_id)
    original = first[event.event_id]
    digest = stored.digest if stored else original.digest
    if event.digest != digest:
        return Receipt(event.id, event.event_id, "rejected", [fault("/id", "id_reused")])
    if stored is not None or event is not original:
        return Receipt(event.id, event.event_id, "duplicate")
    reason = work.placing.waiting.get(event.event_id)
    if reason == WITHDRAWN:
        return Receipt(event.id, event.event_id, "accepted", [fault(_WAITS_MOSTLY, reason)])
    if reason is not None:
        return Receipt(event.id, event.event_id, "quarantined", [fault(_WAITS_AT.get(reason, _WAITS_MOSTLY), reason)])
    note = _NOTES.get(work.admission.standing.get(work.placing.chains[event.event_id], "full"))
    return Receipt(event.id, event.event_id, "accepted", [fault(*note)] if note else [])


async def _apply(tx: Tx, new: dict[str, Pushed], now: datetime, request: Request) -> Work:
    """Records what is new; then, as long as it changes whom another waiting event may speak of, decides again."""
    work = await _apply_once(tx, new, now, request)
    last = work
    for _ in range(AGAIN_MAX):
        if not last.again:
            return work
        last = await _apply_once(tx, {}, now, Request(sorted(last.again), retest=last.parted, by=request.by))
    return work


async def _apply_once(tx: Tx, new: dict[str, Pushed], now: datetime, request: Request) -> Work:
    work = await load(tx, new, request)
    instant = instant_of_batch(now, work.persons.values())
    extra: set[str] = {part.household for part in work.parts}
    for _ in range(LOCK_ROUNDS_MAX):
        try:
            await _decide(tx, work, instant, civil_date(now))
            break
        except NotLocked as more:
            extra |= more.households
            await lock(tx, work, extra)
            instant = instant_of_batch(now, work.persons.values())
    else:
        raise Unavailable("households kept changing")
    await storage.save(tx, work, instant)
    return work


# ── decide ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _decide(tx: Tx, work: Work, instant: datetime, today: date) -> None:
    """Change the loaded persons and households. Raises NotLocked before anything is written."""
    work.begin()
    fresh = [e for e in work.events if e.event_id in work.waited or e.event_id not in work.known]
    whose, forced = work.person_of | work.holders, work.request.forced
    work.circles = Circles(work.persons.values())
    work.placing = place_events(fresh, whose, work.known, work.circles, forced)
    source_ids = await _source_ids(tx, work, [e for e in fresh if e.event_id in work.placing.chains])
    admitting = Admitting(work, source_ids, standing_rules(), registered(), instant, today)
    work.admission = admitting.admit(work.placing)
    if work.admission.stuck:
        work.circles = Circles(work.persons.values())
        work.placing = place_events(fresh, whose, work.known, work.circles, forced, work.admission.stuck)
    placed = [e for e in fresh if e.event_id in work.placing.chains]
    lists, incomes = _take(work, placed, source_ids, instant)
    reach = consequences.Reach(work, registered(), instant)
    if lists or incomes:
        await _reach_members(tx, work, lists, incomes, source_ids, reach)
    await _release_parts(tx, work, reach, source_ids)
    consequences.change_standing(work, instant)
    reach.withdraw_where_no_longer_standing()
    if work.admission.outcomes:
        own_statements.speak_for_what_waits(work, await cases.weigh(tx, work, today), instant)
    mates = {p.person_id: consequences.ids_of_mates(work, p) for p in work.persons.values() if p.identities}
    settle_circles(work.persons, work.circles)
    consequences.note_parted(work, mates)
    work.again |= consequences.persons_to_judge_again(work)


def _take(
    work: Work, placed: Sequence[Pushed], source_ids: dict[str, str], instant: datetime
) -> tuple[dict[str, list[Entry]], dict[str, str]]:
    """Add what takes effect to the persons; returns household lists and low incomes that may reach others."""
    chains, standing = work.placing.chains, work.admission.standing
    for event in placed:
        if event.kind == "registration" and standing.get(chains[event.event_id]) is None and event.name_digest:
            person = work.persons[work.whose(event)]
            if event.name is not None and remember_name(person, event.time, event.name_digest):
                work.names.append((person.person_id, event.name))
    lists: dict[str, list[Entry]] = {}
    incomes: dict[str, str] = {}
    for event in placed:
        person, chain = work.persons[work.keeper(event)], chains[event.event_id]
        digest = person.memory.name_digest if event.kind == "bank_account" else b""
        statement = statement_of(event, chain, instant, work.person_of, digest)
        as_ = standing.get(chain)
        if as_ is not None:
            statement = standing_of(statement, instant, as_)
        if event.kind == "household":
            members = tuple(work.person_of[m.index] for m in event.members)
            lists.setdefault(chain, []).append(Entry(statement, members))
            continue
        begun = chain.encode() in person.statements
        if event.kind == "bank_account":
            work.accounts += consequences.account_changed(person, statement)
        if event.event_id not in work.waited or not person.states(event.event_id):
            person.add(statement, source_ids)
            if as_ is None:
                remember_place(person, statement, getattr(event.value, "hukou_division", None))
        if event.kind == "low_income" and (begun or event.household is not None):
            incomes[chain] = person.person_id
    return lists, incomes


async def _source_ids(tx: Tx, work: Work, placed: Sequence[Pushed]) -> dict[str, str]:
    """The sources' own ids where they decide the order: of followers and whatever of their chain has the same time."""
    ids = {e.event_id: e.id for e in placed}
    tied: set[str] = set()
    for event in placed:
        chain = work.placing.chains[event.event_id]
        if event.kind == "household":
            tied.update(e.said.event_id for e in chain_of_list(work.states, chain) if e.said.time == event.time)
        else:
            tied.update(same_moment(work.persons[work.keeper(event)].statements, chain, event.time))
    return ids | await _load_source_ids(tx, tied - set(ids))


async def _load_source_ids(tx: Tx, event_ids: Collection[str]) -> dict[str, str]:
    return {i: open_kept(i, sealed).id for i, sealed in (await store.load_sealed(tx.sql, event_ids)).items()}


async def _reach_members(
    tx: Tx,
    work: Work,
    lists: dict[str, list[Entry]],
    incomes: dict[str, str],
    source_ids: dict[str, str],
    reach: consequences.Reach,
) -> None:
    chains: dict[str, list[Entry]] = {}
    for chain, entries in lists.items():
        chains[chain] = [*chain_of_list(work.states, chain), *entries]
    for chain, person_id in incomes.items():
        said = _counting(work, work.persons[person_id], chain)
        if any(household_of(s) for s in said):
            chains[chain] = [Entry(s, (), person_id) for s in said]
    for event in work.events:
        touched = chains.get(work.placing.chains.get(event.event_id, ""), ())
        household = next((h for e in touched if (h := household_of(e.said))), None)
        if household is not None:
            work.households[event.event_id] = household
    await _copy(tx, work, spread(work.states, chains), reach, source_ids)


async def _copy(
    tx: Tx, work: Work, copies: Sequence[Copy], reach: consequences.Reach, source_ids: dict[str, str]
) -> None:
    """Give members what households state, except those to whom the source does not belong."""
    given = [copy for copy in copies if reach.may(copy)]
    same: dict[tuple[str, datetime], set[str]] = {}
    for statement in (copy.statement for copy in given):
        same.setdefault((statement.chain, statement.time), set()).add(statement.event_id)
    tied = {i for group in same.values() if len(group) > 1 for i in group}
    source_ids = source_ids | await _load_source_ids(tx, tied - set(source_ids))
    for copy in given:
        reach.give(copy, source_ids)


async def _release_parts(tx: Tx, work: Work, reach: consequences.Reach, source_ids: dict[str, str]) -> None:
    """Members to whom the source of a household list belongs now get their part of it."""
    for part in reach.parts_that_may():
        entries = [e for e in work.states[part.household].entries if e.said.source == part.source]
        await _copy(tx, work, copies_for(part.household, entries, part.person_id), reach, source_ids)


def _counting(work: Work, person: Person, chain: str) -> list[Statement]:
    """The statements of a low-income status that count with this batch, without the time for which they waited."""
    return [
        msgspec.structs.replace(s, standing=())
        for s in statements_of(person.statements)
        if s.chain == chain
        and s.via is None
        and (s.standing_at() not in NOT_COUNTED or s.event_id in work.placing.chains)
    ]
