"""Changes how far statements of persons count, as `domain.standing` has decided.

Everything is recorded at the instant of the batch.
"""

from collections.abc import Collection, Mapping
from datetime import datetime

from common.events.facts import BankAccount, Standing, Statement
from common.message import derived_id

from ingestion.domain.chains import WITHDRAWN
from ingestion.domain.household import NotLocked, household_of
from ingestion.domain.person import Person, remember_place, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing import NOT_COUNTED, PLACE_KINDS, Outcome
from ingestion.domain.statements import restate, statement_of, with_standing
from ingestion.recording.batch import AccountChange, Withheld, Work

# ── new statements ──────────────────────────────────────────────────────────────────────────────────────────


def add_statement(work: Work, event: Pushed, person: Person, source_ids: Mapping[str, str], instant: datetime) -> None:
    """Add the statement of an event that takes effect to the person's timeline."""
    statement = statement_in_batch(work, event, person, instant)
    if event.kind == "bank_account":
        _note_account_change(work, person, statement)
    if event.event_id in work.waited and person.states(event.event_id):
        return  # it counted before it waited: its standing changes instead
    person.add(statement, source_ids)
    if not statement.standing:
        remember_place(person, statement, getattr(event.value, "hukou_division", None))


def statement_in_batch(work: Work, event: Pushed, person: Person, instant: datetime) -> Statement:
    """The statement of an event, with the standing that the batch has given to its chain."""
    chain = work.placing.chains[event.event_id]
    name_digest = person.memory.name_digest if event.kind == "bank_account" else b""
    statement = statement_of(event, chain, instant, work.person_of, name_digest)
    standing = work.admission.standing.get(chain)
    return statement if standing is None else with_standing(statement, instant, standing)


def _note_account_change(work: Work, person: Person, statement: Statement) -> None:
    """Note a statement that names another bank account than the one stated last."""
    if not isinstance(statement.value, BankAccount) or b'"bank_account"' not in person.statements:
        return
    last = _last_account(person)
    if last is not None and _account(last) != statement.value.account:
        work.account_changes.append(AccountChange(statement, person.person_id, last.event_id))


def _last_account(person: Person) -> Statement | None:
    known = [s for s in statements_of(person.statements) if _account(s) is not None and s.standing_at() == "full"]
    return max(known, key=lambda s: s.recorded_at, default=None)


def _account(statement: Statement) -> str | None:
    return statement.value.account if isinstance(statement.value, BankAccount) else None


# ── earlier statements ──────────────────────────────────────────────────────────────────────────────────────


def change_standings(work: Work, instant: datetime) -> None:
    """Give the statements of every judged person the standing of their verdicts. Raises NotLocked."""
    stopped: dict[str, set[str]] = {}
    for person_id, outcome in work.admission.outcomes.items():
        for household, chain in _change_standings(work, work.persons[person_id], outcome, instant):
            stopped.setdefault(household, set()).add(chain)
    _withdraw_incomes(work, stopped, instant)


def _change_standings(work: Work, person: Person, outcome: Outcome, instant: datetime) -> list[tuple[str, str]]:
    """Returns household and chain of each low-income status that does not count any more."""
    changed = restate(person, instant, lambda s: _wanted(work, outcome, s))
    stopped: set[str] = set()
    for statement in changed:
        verdict = outcome.verdicts[statement.chain]
        if statement.kind == "registration":
            work.registrations_changed.add(person.person_id)
        if statement.kind == "low_income" and verdict.counts_as in NOT_COUNTED:
            stopped.add(statement.chain)
        if verdict.reason is not None and statement.standing_at() != "withheld":
            work.withheld.append(_withheld(person, statement, verdict.reason))
    if any(s.kind in PLACE_KINDS for s in changed):
        _find_division(person)
    return _households_of(person, stopped) if stopped else []


def _wanted(work: Work, outcome: Outcome, statement: Statement) -> Standing | None:
    """The standing by the verdict on the statement's chain; None for a statement that has no verdict of its own."""
    verdict = outcome.verdicts.get(statement.chain)
    if verdict is None or statement.via is not None or statement.kind == "household":
        return None
    if any(o.chain == statement.chain for o in outcome.standing.own):
        return None
    discarded = statement.standing_at() in NOT_COUNTED and statement.event_id not in work.waited
    return None if discarded else verdict.counts_as


def _withheld(person: Person, statement: Statement, reason: str) -> Withheld:
    root = statement.event_id == statement.chain or reason == WITHDRAWN
    reason_to_wait = reason if root else "predecessor_waits"
    return Withheld(
        statement.event_id, person.person_id, statement.source, statement.kind, reason_to_wait, statement.chain
    )


def _find_division(person: Person) -> None:
    """Find the newest division again, from all places that count fully."""
    person.division, person.memory.division_rank, person.memory.division_at = None, 0, 0.0
    for statement in statements_of(person.statements):
        if statement.kind in PLACE_KINDS and statement.standing_at() == "full":
            remember_place(person, statement)


# ── low incomes of households ───────────────────────────────────────────────────────────────────────────────


def _households_of(person: Person, chains: Collection[str]) -> list[tuple[str, str]]:
    found = []
    for statement in statements_of(person.statements):
        household = household_of(statement)
        if statement.chain in chains and household is not None:
            found.append((household, statement.chain))
    return found


def _withdraw_incomes(work: Work, stopped: Mapping[str, set[str]], instant: datetime) -> None:
    """A low-income status that waits reaches no present or future member of its household. When it counts again, it is
    spread again. `stopped`: chains by household. Raises NotLocked."""
    if missing := stopped.keys() - work.states.keys():
        raise NotLocked(set(missing))
    for household, chains in stopped.items():
        state = work.states[household]
        state.entries = [e for e in state.entries if e.statement.chain not in chains]
        copies = {derived_id(chain, household) for chain in chains}
        for person_id in state.ever:
            _withhold(work.persons[person_id], copies, instant)


def _withhold(person: Person, chains: Collection[str], instant: datetime) -> None:
    restate(person, instant, lambda s: "withheld" if s.chain in chains else None)
