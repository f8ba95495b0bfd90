"""The core that every door shares: valid events in, statements of persons and the news of them out.

One call is one batch inside the caller's transaction: a fixed number of statements, whatever the number of events.
Locks are taken households first, then persons, each in the order of their ids; all decisions are taken behind them,
so that what two writers do in the same moment comes out as if one had waited.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

from common.errors import Unavailable
from common.events import PersonFactsRecorded
from common.events.facts import Statement
from common.privacy import vault
from common.transaction import Tx

from ingestion.answering import Receipt, with_note
from ingestion.batch import LOCK_ROUNDS_MAX, Work, load, lock, open_kept
from ingestion.domain.chains import place_events
from ingestion.domain.household import Entry, NotLocked, chain_of_list, household_of, recorded_now, spread
from ingestion.domain.identity import Circles, settle_circles, statements_of_others
from ingestion.domain.person import Person, instant_of_batch, remember, same_moment, snapshot, statements_of
from ingestion.domain.pushed import Pushed, registers_elsewhere, says_within
from ingestion.domain.saying import statement_of
from ingestion.problems import fault
from ingestion.store import statements as store

QUARANTINE_DAYS: Final = 3
_WAITS_AT: Final = {"certificate_of_another": "/data/value/certificate_no"}
_WAITS_MOSTLY: Final = "/data/previous_event_id"


async def record(tx: Tx, pushed: Sequence[Pushed], now: datetime) -> list[Receipt]:
    """Record events, each with its receipt, in their order. Nothing is committed here."""
    if not pushed:
        return []
    first: dict[str, Pushed] = {}
    for event in pushed:
        first.setdefault(event.event_id, event)
    work = await _apply(tx, first, now)
    return [with_note(_receipt(event, first, work), event) for event in pushed]


async def release_by_hand(tx: Tx, event_id: str, person_id: str, by: str, now: datetime) -> bool:
    """Let a waiting event take effect without the one it follows. False when it cannot."""
    work = await _apply(tx, {}, now, person_ids=(person_id,), forced=(event_id,), by=by)
    return event_id in work.placing.chains


def _receipt(event: Pushed, first: dict[str, Pushed], work: Work) -> Receipt:
    stored = work.known.get(event.event_id)
    original = first[event.event_id]
    digest = stored.digest if stored else original.digest
    if event.digest != digest:
        return Receipt(event.id, event.event_id, "rejected", [fault("/id", "id_reused")])
    if stored is not None or event is not original:
        return Receipt(event.id, event.event_id, "duplicate")
    reason = work.placing.waiting.get(event.event_id)
    if reason is not None:
        return Receipt(event.id, event.event_id, "quarantined", [fault(_WAITS_AT.get(reason, _WAITS_MOSTLY), reason)])
    return Receipt(event.id, event.event_id, "accepted")


async def _apply(
    tx: Tx,
    new: dict[str, Pushed],
    now: datetime,
    *,
    person_ids: Collection[str] = (),
    forced: Collection[str] = (),
    by: str | None = None,
) -> Work:
    work = await load(tx, new, person_ids, forced)
    instant = instant_of_batch(now, work.persons.values())
    extra: set[str] = set()
    for _ in range(LOCK_ROUNDS_MAX):
        try:
            await _decide(tx, work, instant)
            break
        except NotLocked as more:
            extra |= more.households
            await lock(tx, work, extra)
            instant = instant_of_batch(now, work.persons.values())
    else:
        raise Unavailable("households kept changing")
    await _save(tx, work, instant, by)
    return work


# ── decide ──────────────────────────────────────────────────────────────────────────────────────────────────


async def _decide(tx: Tx, work: Work, instant: datetime) -> None:
    """Change the loaded persons and households. Raises NotLocked before anything is written."""
    fresh = [e for e in work.events if e.event_id in work.waited or e.event_id not in work.known]
    work.circles = Circles(work.persons.values())
    strange = {e.event_id for e in fresh if registers_elsewhere(e) and not _belongs_here(work, e)}
    work.placing = place_events(fresh, work.person_of | work.holders, work.known, work.circles, work.forced, strange)
    chains = work.placing.chains
    placed = [e for e in fresh if e.event_id in chains]
    source_ids = await _source_ids(tx, work, placed)
    work.names = []
    lists: dict[str, list[Entry]] = {}
    incomes: dict[str, str] = {}
    blind = vault().blind_index
    for event in placed:
        person, chain = work.persons[work.keeper(event)], chains[event.event_id]
        statement = statement_of(event, chain, instant, work.person_of)
        if event.kind == "household":
            members = tuple(work.person_of[m.index] for m in event.members)
            lists.setdefault(chain, []).append(Entry(statement, members))
        else:
            begun = chain.encode() in person.statements
            person.add(statement, source_ids)
            if event.kind == "low_income" and (begun or event.household is not None):
                incomes[chain] = person.person_id
        named = work.persons[work.whose(event)]
        if event.name is not None and remember(named, event, blind(f"name\0{event.name}")[:16]):
            work.names.append((named.person_id, event.name))
    if lists or incomes:
        await _reach_members(tx, work, lists, incomes, source_ids, instant)
    settle_circles(work.persons, work.circles)


def _belongs_here(work: Work, event: Pushed) -> bool:
    """Whether anybody ever said that the person is registered, or lives, in the areas of the source."""
    said = statements_of(work.persons[work.whose(event)].statements)
    return any(says_within(s.value, event.source.areas) for s in said)


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
    instant: datetime,
) -> None:
    chains: dict[str, list[Entry]] = {}
    for chain, entries in lists.items():
        chains[chain] = [*chain_of_list(work.states, chain), *entries]
    for chain, person_id in incomes.items():
        said = _chain_of(work.persons[person_id], chain)
        if any(household_of(s) for s in said):
            chains[chain] = [Entry(s, (), person_id) for s in said]
    for event in work.events:
        touched = chains.get(work.placing.chains.get(event.event_id, ""), ())
        household = next((h for e in touched if (h := household_of(e.said))), None)
        if household is not None:
            work.households[event.event_id] = household
    copies = spread(work.states, chains)
    same: dict[tuple[str, datetime], set[str]] = {}
    for _, statement in copies:
        same.setdefault((statement.chain, statement.time), set()).add(statement.event_id)
    tied = {i for group in same.values() if len(group) > 1 for i in group}
    source_ids = source_ids | await _load_source_ids(tx, tied - set(source_ids))
    for copy in copies:
        work.persons[copy.person_id].add(recorded_now(copy, instant), source_ids)


def _chain_of(person: Person, chain: str) -> list[Statement]:
    return [s for s in statements_of(person.statements) if s.chain == chain and s.via is None]


# ── save ────────────────────────────────────────────────────────────────────────────────────────────────────


async def _save(tx: Tx, work: Work, instant: datetime, by: str | None) -> None:
    chains, _, waiting = work.placing
    new = [e for e in work.new.values() if e.event_id not in work.known]
    seal = vault().seal
    rows = [
        store.NewEvent(
            e,
            work.keeper(e),
            chains.get(e.event_id),
            work.households.get(e.event_id),
            seal(e.kept, e.event_id.encode()),
        )
        for e in new
    ]
    if len(await store.insert_received(tx, rows, instant)) != len(rows):
        raise Unavailable("another writer was first with an id")  # of another person, or its person were locked
    stuck = [(e, work.whose(e), waiting[e.event_id]) for e in new if e.event_id in waiting]
    await store.insert_quarantine(tx, stuck, instant, instant + timedelta(days=QUARANTINE_DAYS))
    released = {i: (chains[i], work.households.get(i), work.placing.keepers[i]) for i in work.waited if i in chains}
    await store.release(tx, released, instant, by)
    await store.explain_waiting(tx, {i: waiting[i] for i in work.waited if i in waiting})
    await store.upsert_vault(tx, _sealed_names(work))
    await store.save_households(tx, work.states)
    if stuck or released:
        _count_waiting(work)
    await _save_persons(tx, work, instant)


def _sealed_names(work: Work) -> list[tuple[str, str, bytes]]:
    newest = dict(work.names)  # the last one of a person is the newest: earlier ones lost against it
    seal = vault().seal
    return [(p, "name", seal(name.encode(), f"{p}/name".encode())) for p, name in newest.items()]


async def _save_persons(tx: Tx, work: Work, instant: datetime) -> None:
    for person in work.persons.values():
        if person.causes:
            person.version += 1
            person.recorded_at = instant
            _emit(tx, person, instant)
    await store.save_persons(tx, [p for p in work.persons.values() if p.causes or p.touched])
    await store.save_circles(tx, [p for p in work.persons.values() if p.rejoined])


def _count_waiting(work: Work) -> None:
    for event in work.events:
        event_id, person = event.event_id, work.persons[work.whose(event)]
        if event_id in work.waited:
            person.waiting -= event_id in work.placing.chains
            person.touched = True
        elif event_id not in work.known and event_id in work.placing.waiting:
            person.waiting += 1
            person.touched = True


def _emit(tx: Tx, person: Person, instant: datetime) -> None:
    """What nobody else's statements are added to waits to be sent as its row holds it (the view `outgoing`)."""
    causes = tuple(person.causes)
    plain = not person.identities
    tx.emit(
        PersonFactsRecorded(person_id=person.person_id, version=person.version, recorded_at=instant, statements=()),
        correlation_id=causes[-1],
        causes=causes,
        urgent=person.urgent,
        encoded=None if plain else snapshot(person, instant, statements_of_others(person.identities, person.others)),
        kept=plain,
        division=person.division,
    )
