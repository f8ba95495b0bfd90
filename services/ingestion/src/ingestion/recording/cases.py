"""The cases that a batch leaves to officers: events that wait, claimed places, groups of many, changed accounts.

The owner of what waits because a source does not belong is the county of the person's vouched hukou, never an area of
that source. Other waiting events belong to the area of their source.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final, Literal

from common.calendar import add_working_days, civil_date, start_of_day
from common.codes import divisions
from common.events import AccountChanged, ForeignEventsGrouped, PlaceClaimed, PlaceSettled
from common.events.facts import BankAccount
from common.message import derived_id
from shell.store.transaction import Tx

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.places import belongs, lies_in
from ingestion.domain.problems import QUARANTINE
from ingestion.domain.pushed import Pushed, Source
from ingestion.domain.standing import Outcome
from ingestion.recording.batch import Work
from ingestion.recording.correction_requests import Asked, ask
from ingestion.recording.store import quarantine
from ingestion.recording.store import standing as store
from ingestion.register.seed import standing_rules
from ingestion.register.sources import registered

# These reasons come from the rule about sources and persons. Others wait for another event or a certificate.
RULE_REASONS: Final = frozenset(
    {"source_not_of_person", "standing_by_silence", "registered_elsewhere", "place_objected"}
)
_COUNTED: Final = RULE_REASONS - {"place_objected"}
_CLAIMED: Final = "claimed:"  # before the kind, in the counts of claimed places
_ASKED_BY: Final = "standing"
Outcomes = Literal["confirmed", "objected", "silent", "vouched", "withdrawn"]


async def weigh(tx: Tx, work: Work, today: date) -> set[str]:
    """Count what waits by the rule. Returns the deaths that raise no suspicion: of a source that states too much about
    others today, or whose deaths of this person were refuted before."""
    rules, work.over = standing_rules(), {}
    new = [e for e in work.new.values() if work.admission.stuck.get(e.event_id) in _COUNTED]
    added = Counter((e.source.urn, str(e.kind)) for e in new)
    added.update((p.source, "household") for p in work.held)
    added.update((w.source, w.kind) for w in work.withheld if w.reason in _COUNTED)
    added.update((e.source.urn, f"{_CLAIMED}{e.kind}") for e in _newly_claimed(work))
    totals = await store.count_foreign(tx, added, today)
    work.over = {key: total for key, total in totals.items() if total > rules.group_events_max}
    deaths = [(work.whose(e), e.source.urn, e.event_id) for e in new if e.kind == "death"]
    deaths += [(w.person_id, w.source, w.event_id) for w in work.withheld if w.kind == "death"]
    revived = [e for e in work.events if e.event_id in work.withdrawn and e.event_id in work.admission.stuck]
    deaths += [
        (work.whose(e), e.source.urn, e.event_id)
        for e in revived
        if e.kind == "death" and work.admission.stuck[e.event_id] != WITHDRAWN
    ]
    refuted = await store.count_refuted(tx, {(person_id, source) for person_id, source, _ in deaths})
    return {
        event_id
        for person_id, source, event_id in deaths
        if (source, "death") in work.over or refuted.get((person_id, source), 0) >= rules.refuted_deaths_max
    }


def _newly_claimed(work: Work) -> list[Pushed]:
    chains, standing = work.placing.chains, work.admission.standing
    return [e for e in work.new.values() if standing.get(chains.get(e.event_id, "")) == "claimed"]


# ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────


async def save_waiting(tx: Tx, work: Work, new: Sequence[Pushed], instant: datetime, deadline: datetime) -> None:
    """Enter what waits now in quarantine, each with its owner, and tell the sources."""
    waiting = work.placing.waiting
    rows = [
        quarantine.Waiting(
            e.event_id,
            work.whose(e),
            e.source.urn,
            e.kind,
            reason,
            owner_of(work, work.whose(e), e.source, reason),
            waits_for=e.previous,
            state="withdrawn" if reason == WITHDRAWN else "open",
        )
        for e in new
        if (reason := waiting.get(e.event_id)) is not None
    ]
    sources = registered()
    for w in work.withheld:
        owner = owner_of(work, w.person_id, sources[w.source], w.reason)
        state = "withdrawn" if w.reason == WITHDRAWN else "open"
        rows.append(
            quarantine.Waiting(w.event_id, w.person_id, w.source, w.kind, w.reason, owner, chain=w.chain, state=state)
        )
    for p in {p.id: p for p in work.held}.values():
        reason = "source_not_of_person"
        owner = owner_of(work, p.person_id, sources[p.source], reason)
        rows.append(
            quarantine.Waiting(
                p.id, p.person_id, p.source, "household", reason, owner, part_of=p.event_id, household=p.household
            )
        )
    entered = await quarantine.insert_quarantine(tx, rows, instant, deadline)
    work.now_waiting = {row.event_id: row.person_id for row in rows if row.event_id in entered and row.state == "open"}
    joined = {row.person_id for row in rows if row.reason == "predecessor_waits" and row.event_id in entered}
    await quarantine.forget_first_decisions(tx, joined)
    await quarantine.withhold(tx, [(w.event_id, w.reason == WITHDRAWN) for w in work.withheld])
    by_id = {e.event_id: e for e in work.events}
    await quarantine.explain_waiting(
        tx,
        {
            i: (waiting[i], owner_of(work, work.whose(by_id[i]), by_id[i].source, waiting[i]))
            for i in work.waited
            if waiting.get(i, WITHDRAWN) != WITHDRAWN
        },
    )
    await _tell_sources(tx, [r for r in rows if r.event_id in work.now_waiting], work, instant)
    await _group(tx, work, instant, deadline)


def owner_of(work: Work, person_id: str, source: Source, reason: str) -> str:
    """The area whose officers answer for what waits: of a source that belongs its own area, else the county of the
    person. Of an objection it is the next area above both counties."""
    stands = work.persons[person_id].memory.stands
    home = stands.home
    if reason not in RULE_REASONS and (home is None or belongs(source, {*stands.strong, *stands.weak})):
        return source.area
    if home is not None and reason == "place_objected":
        return _outside(source, [a for a in divisions.ancestors(home) if divisions.within(source.area, a)])
    return _outside(source, [*([home] if home is not None else []), *divisions.ancestors(source.area)])


def _outside(source: Source, areas: Sequence[str]) -> str:
    """The first of these areas that does not belong to the source."""
    own = (source.area, *source.areas)
    return next((area for area in areas if not lies_in(area, own)), divisions.NATION)


async def _tell_sources(tx: Tx, rows: Sequence[quarantine.Waiting], work: Work, instant: datetime) -> None:
    """Ask the sources to look at what waits by the rule. Beyond the bound of a day there is one case instead."""
    asked = [
        Asked(r.event_id, r.source, r.kind, "waiting", r.reason, "/source", QUARANTINE[r.reason][1])
        for r in rows
        if r.reason in RULE_REASONS and r.part_of is None and (r.source, r.kind) not in work.over
    ]
    if asked:
        await ask(tx, asked, "standing", _ASKED_BY, instant)


async def _group(tx: Tx, work: Work, instant: datetime, deadline: datetime) -> None:
    day = civil_date(instant)
    begin, end = start_of_day(day), start_of_day(day + timedelta(days=1))
    for source, counted in sorted(work.over):
        kind = counted.removeprefix(_CLAIMED)
        holds: Literal["events", "places"] = "places" if counted.startswith(_CLAIMED) else "events"
        group_id = derived_id("group", source, kind, day.isoformat(), holds)
        owner = divisions.parent(registered()[source].area) or divisions.NATION
        if await store.insert_group(tx, (group_id, source, kind, day, holds, owner), instant, deadline):
            tx.emit(
                ForeignEventsGrouped(
                    group_id=group_id,
                    source=source,
                    kind=kind,
                    day=day,
                    holds=holds,
                    owner=owner,
                    opened_at=instant,
                ),
                division=owner,
            )
        gather = store.gather_places if holds == "places" else store.gather_events
        await gather(tx, group_id, source, kind, begin, end)


# ── claimed places, hints, accounts ─────────────────────────────────────────────────────────────────────────


async def save_cases(tx: Tx, work: Work, instant: datetime) -> None:
    """Open and close the cases of claimed places; note hints; tell of changed accounts."""
    for changed in work.accounts:
        value = changed.statement.value
        assert isinstance(value, BankAccount)
        tx.emit(
            AccountChanged(
                person_id=changed.person_id,
                event_id=changed.statement.event_id,
                before=changed.before,
                source=changed.statement.source,
                holder=value.holder,
                changed_at=instant,
            ),
            changed.statement.event_id,
            division=work.persons[changed.person_id].division,
        )
    outcomes = work.admission.outcomes
    if not outcomes:
        return
    claimed = {case.case_id: case for person_id, outcome in outcomes.items() for case in _claims(person_id, outcome)}
    await _open_cases(tx, work, [*claimed.values()], instant)
    settled = await store.settle_place_cases(tx, sorted(outcomes), sorted(claimed), instant)
    ids: dict[Outcomes, list[str]] = {}
    for row in settled:
        outcome = _settled_as(outcomes[row["person_id"]], row["chain"], row["division"])
        ids.setdefault(outcome, []).append(row["case_id"])
        event = PlaceSettled(case_id=row["case_id"], person_id=row["person_id"], outcome=outcome, settled_at=instant)
        tx.emit(event, row["chain"], division=work.persons[row["person_id"]].division)
    for outcome in ids.keys() - {"vouched"}:
        await store.name_outcome(tx, ids[outcome], outcome)
    hints = [(c, p) for p, outcome in outcomes.items() for c, v in outcome.verdicts.items() if v.as_ == "hint"]
    await store.insert_hints(tx, hints, civil_date(instant) + timedelta(days=standing_rules().hint_days))
    if any(key[1].startswith(_CLAIMED) for key in work.over):
        await _group(tx, work, instant, instant + timedelta(days=standing_rules().case_days))


def _claims(person_id: str, outcome: Outcome) -> list[store.PlaceCase]:
    found = []
    for chain, verdict in outcome.verdicts.items():
        place = outcome.places.get(chain)
        if verdict.as_ != "claimed" or place is None:
            continue
        left = outcome.stands.home or divisions.parent(place.source.area) or divisions.NATION
        kind = "registration" if place.hukou else "residence"
        case_id = derived_id("place", chain, place.division)
        found.append(store.PlaceCase(case_id, person_id, chain, place.source.urn, kind, place.division, left))
    return found


async def _open_cases(tx: Tx, work: Work, claimed: Sequence[store.PlaceCase], instant: datetime) -> None:
    rules, today = standing_rules(), civil_date(instant)
    silent_on = add_working_days(today, rules.silence_working_days) + timedelta(days=1)  # the days have passed then
    deadline = instant + timedelta(days=rules.case_days)
    opened = await store.insert_place_cases(tx, claimed, instant, deadline, silent_on)
    for case in claimed:
        if case.case_id in opened:
            tx.emit(
                PlaceClaimed(
                    case_id=case.case_id,
                    person_id=case.person_id,
                    event_id=case.chain,
                    source=case.source,
                    kind=case.kind,
                    division=case.division,
                    county_left=case.county_left,
                    owner=case.county_left,
                    opened_at=instant,
                    silent_on=silent_on,
                ),
                case.chain,
                division=case.county_left,
            )


def _settled_as(outcome: Outcome, chain: str, division: str) -> Outcomes:
    """Why the case of a place is closed. A chain that states another place by now has withdrawn this one."""
    for decided in outcome.stands.decided:
        if decided.chain == chain and decided.division == division:
            return decided.outcome
    place = outcome.places.get(chain)
    return "vouched" if place is not None and place.division == division else "withdrawn"
