"""Changes how far statements of persons count, as `domain.standing` has decided.

Everything is recorded at the instant of the batch.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from common.events.facts import BankAccount, Standing, Statement

from ingestion.domain.chains import reason_in_chain
from ingestion.domain.household import NotLocked, chain_of_copy, household_of
from ingestion.domain.person import Person, forget_place, remember_place, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing import Outcome, Verdict
from ingestion.domain.stated_chains import NOT_COUNTED, PLACE_KINDS, is_of_source
from ingestion.domain.statements import restate, statement_of, with_standing
from ingestion.recording.batch import AccountChange, Withheld, Work

# ── new statements ──────────────────────────────────────────────────────────────────────────────────────────


def add_statement(work: Work, event: Pushed, instant: datetime) -> None:
    """Add the statement of an event that takes effect to the person's timeline."""
    person, statement = work.person(event), statement_in_batch(work, event, instant)
    if event.kind == "bank_account":
        _note_account_change(work, person, statement)
    if event.event_id in work.waited and person.states(event.event_id):
        return  # it counted before it waited: its standing changes instead
    person.add(statement, work.source_ids)
    if not statement.standing:
        remember_place(person, statement, getattr(event.value, "hukou_division", None))


def statement_in_batch(work: Work, event: Pushed, instant: datetime) -> Statement:
    """The statement of an event, with the standing that the batch has given to its chain."""
    name_digest = work.person(event).memory.name_digest if event.kind == "bank_account" else b""
    statement = statement_of(event, work.chain(event), instant, work.person_of, name_digest)
    standing = work.standing(event)
    return statement if standing is None else with_standing(statement, instant, standing)


def _note_account_change(work: Work, person: Person, statement: Statement) -> None:
    """Note a statement that names another bank account than the last one that counts fully."""
    account = _account(statement)
    if account is None or not person.has_account:
        return
    last = _last_account(person)
    if last is not None and _account(last) != account:
        work.account_changes.append(AccountChange(statement, person.person_id, last.event_id))


def _last_account(person: Person) -> Statement | None:
    """The statement of a bank account that was recorded last, among those that count fully."""
    known = [s for s in statements_of(person.statements) if _is_full_account(s)]
    return max(known, key=lambda s: s.recorded_at, default=None)


def _is_full_account(statement: Statement) -> bool:
    return _account(statement) is not None and statement.standing_at() == "full"


def _account(statement: Statement) -> str | None:
    return statement.value.account if isinstance(statement.value, BankAccount) else None


# ── earlier statements ──────────────────────────────────────────────────────────────────────────────────────


def change_standings(work: Work, instant: datetime) -> None:
    """Give the statements of every judged person the standing of their verdicts. Raises NotLocked."""
    stopped: dict[str, set[str]] = {}
    for person_id, outcome in work.admission.outcomes.items():
        person = work.persons[person_id]
        for household, chain in _change_standings(work, person, outcome, instant):
            stopped.setdefault(household, set()).add(chain)
    _withdraw_incomes(work, stopped, instant)


def _change_standings(work: Work, person: Person, outcome: Outcome, instant: datetime) -> list[tuple[str, str]]:
    """Change the standings of one person. Returns (household, chain) of each low-income status that stops counting."""
    changed = restate(person, instant, lambda s: _wanted(work, outcome, s))
    for statement in changed:
        _note_change(work, person, statement, outcome.verdicts[statement.chain])
    if any(s.kind in PLACE_KINDS for s in changed):
        _find_division(person)
    return _households_of(person, _stopped_incomes(changed, outcome))


def _note_change(work: Work, person: Person, before: Statement, verdict: Verdict) -> None:
    """Note the effects of a changed standing: another valid name, or an event that waits from now on.

    `before`: the statement with its earlier standing."""
    if before.kind == "registration":
        work.registrations_changed.add(person.person_id)
    if verdict.reason is not None and before.standing_at() != "withheld":
        work.withheld.append(_withheld(person, before, verdict.reason))


def _stopped_incomes(changed: Sequence[Statement], outcome: Outcome) -> set[str]:
    """The chains of low incomes among these that do not count any more."""
    return {s.chain for s in changed if s.kind == "low_income" and not outcome.counts(s.chain)}


def _wanted(work: Work, outcome: Outcome, statement: Statement) -> Standing | None:
    """The standing by the verdict on the statement's chain; None for a statement that has no verdict of its own."""
    verdict = outcome.verdicts.get(statement.chain)
    if verdict is None or _keeps_its_standing(work, outcome, statement):
        return None
    return verdict.counts_as


def _keeps_its_standing(work: Work, outcome: Outcome, statement: Statement) -> bool:
    """Whether no verdict changes the standing: the statement is about a household or a copy from its household, the
    platform itself made it, or officers have discarded it."""
    if not is_of_source(statement) or _is_own(outcome, statement):
        return True
    return _is_discarded(work, statement)


def _is_own(outcome: Outcome, statement: Statement) -> bool:
    """Whether the platform itself made the statement."""
    return any(own.chain == statement.chain for own in outcome.standing.own)


def _is_discarded(work: Work, statement: Statement) -> bool:
    """Whether officers have discarded the statement: it neither counts nor waits."""
    return statement.standing_at() in NOT_COUNTED and statement.event_id not in work.waited


def _withheld(person: Person, statement: Statement, reason: str) -> Withheld:
    event_id, chain = statement.event_id, statement.chain
    reason = reason_in_chain(reason, begins=event_id == chain)
    return Withheld(event_id, person.person_id, statement.source, statement.kind, reason, chain)


def _find_division(person: Person) -> None:
    """Find the newest division again, from all places that count fully."""
    forget_place(person)
    for statement in statements_of(person.statements):
        if statement.kind in PLACE_KINDS and statement.standing_at() == "full":
            remember_place(person, statement)


# ── low incomes of households ───────────────────────────────────────────────────────────────────────────────


def _households_of(person: Person, chains: Collection[str]) -> list[tuple[str, str]]:
    """Household and chain of each statement in these chains that names a household."""
    if not chains:
        return []
    named = [(household_of(s), s.chain) for s in statements_of(person.statements) if s.chain in chains]
    return [(household, chain) for household, chain in named if household is not None]


def _withdraw_incomes(work: Work, stopped: Mapping[str, set[str]], instant: datetime) -> None:
    """Withhold low-income statuses that no longer count from all members of their households. `stopped`: chains by
    household. Raises NotLocked."""
    if missing := stopped.keys() - work.states.keys():
        raise NotLocked(set(missing))
    for household, chains in stopped.items():
        state = work.states[household]
        state.remove(chains)
        copies = {chain_of_copy(chain, household) for chain in chains}
        for person_id in state.ever:
            _withhold(work.persons[person_id], copies, instant)


def _withhold(person: Person, chains: Collection[str], instant: datetime) -> None:
    restate(person, instant, lambda s: "withheld" if s.chain in chains else None)
