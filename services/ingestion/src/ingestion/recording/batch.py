"""The data of a batch, from its loading to its saving.

A *chain* is an event that begins it, and all later events of its source that correct, end or annul it. Its id is the id
of the first event. A *part*: all copies of one source's statements about one household for one member.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from common.events.facts import Standing, Statement

from ingestion.domain.chains import WITHDRAWN, Known, Placing
from ingestion.domain.household import State
from ingestion.domain.identity import Circles
from ingestion.domain.person import Person
from ingestion.domain.pushed import Pushed
from ingestion.domain.standing import Outcome
from ingestion.domain.standing_state import Grant, PlaceRuling, StandingState
from ingestion.recording.store.quarantine import Part, Waited


class Withheld(NamedTuple):
    """An event that counted, and counts no more. It waits, or with the reason WITHDRAWN its source has withdrawn it."""

    event_id: str
    person_id: str
    source: str
    kind: str
    reason: str
    chain: str

    def is_death_of(self, person_id: str) -> bool:
        """Whether a death of this person waits again, and not only a statement that follows it."""
        waits = self.kind == "death" and self.event_id == self.chain and self.reason != WITHDRAWN
        return waits and self.person_id == person_id

    @property
    def is_lost_identity_change(self) -> bool:
        """Whether an identity change waits again, and not only a statement that follows it."""
        return self.kind == "identity_change" and self.event_id == self.chain and self.reason != WITHDRAWN


@dataclass(frozen=True)
class Request:
    """Decisions of officers or of a job.

    `person_ids`: persons to judge again with all their statements. `forced`: events that take effect without their
    predecessor. `exempt` by person: chains and member parts that officers have released. `places` by person: the
    decision on a place. `grants` by person: rights of sources from now on. `retest`: persons whose earlier statements
    are tested, too. `held`: identity changes that lost their standing in this transaction and wait. `held_tested`: such
    changes were tested once more (`Work.next_request`). `by`: the officer."""

    person_ids: Collection[str] = ()
    forced: Collection[str] = ()
    exempt: Mapping[str, Collection[str]] = field(default_factory=dict)
    places: Mapping[str, PlaceRuling] = field(default_factory=dict)
    grants: Mapping[str, Collection[Grant]] = field(default_factory=dict)
    retest: Collection[str] = ()
    held: dict[str, Withheld] = field(default_factory=dict)
    held_tested: bool = False
    by: str | None = None


class AccountChange(NamedTuple):
    """A bank account that differs from the one known before. `before`: the event of the earlier account."""

    statement: Statement
    person_id: str
    before: str


@dataclass
class Admission:
    """The result of the admission of a batch.

    `stuck`: the reason of each event that waits by the rule about sources and persons. `standing` by chain: of chains
    that do not count fully. `outcomes` by person: only of persons who were judged with all their statements."""

    stuck: dict[str, str] = field(default_factory=dict)
    standing: dict[str, Standing] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)


@dataclass
class Work:
    """A batch while it is decided. Most mappings are by id of the event, person or household.

    Loaded values:
    - `events`: the new events and those that waited, each once. `waited`: those that waited. `known`: stored events.
    - `person_of`: the person by blind index of the ID number. `persons`, `states` (of households): locked rows.
    - `parts`: the waiting member parts of these persons.
    - `holders`: the person by blind index of an ID number that is printed in a certificate. These persons need no lock
      of their own, because every person of a circle is locked anyway.

    Decided values:
    - `placing`, `circles`, `admission`: the results for the events. `standing_before`: of the judged persons.
    - `household_of_event`: a household that the chain of the event touches. `source_ids`: see `domain.person.place`.
    - `new_names`: person and name. `registrations_changed`: persons whose name may change. `account_changes`.
    - `held_parts`: member parts that this batch lets wait, also those that wait already. `released_parts`: those that
      cease to wait. `withheld`: events that counted before.
    - `quiet`: deaths that raise no suspicion. `now_waiting`: the person by new row of the quarantine.
    - `judge_again`: persons for another round. `separated`: those of them who lost an identity.
    - `over_limit`: the count by source and kind, if it is above the limit of a group.
    """

    events: list[Pushed]
    new: dict[str, Pushed]
    waited: dict[str, Waited]
    person_of: dict[bytes, str]
    request: Request
    parts: list[Part] = field(default_factory=list)
    holders: dict[bytes, str] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)
    persons: dict[str, Person] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    placing: Placing = field(default_factory=lambda: Placing({}, {}, {}))
    circles: Circles = field(default_factory=lambda: Circles(()))
    admission: Admission = field(default_factory=Admission)
    household_of_event: dict[str, str] = field(default_factory=dict)
    new_names: list[tuple[str, str]] = field(default_factory=list)
    account_changes: list[AccountChange] = field(default_factory=list)
    source_ids: dict[str, str] = field(default_factory=dict)
    quiet: set[str] = field(default_factory=set)
    held_parts: list[Part] = field(default_factory=list)
    released_parts: list[Part] = field(default_factory=list)
    withheld: list[Withheld] = field(default_factory=list)
    registrations_changed: set[str] = field(default_factory=set)
    now_waiting: dict[str, str] = field(default_factory=dict)
    judge_again: set[str] = field(default_factory=set)
    separated: set[str] = field(default_factory=set)
    standing_before: dict[str, StandingState] = field(default_factory=dict)
    over_limit: dict[tuple[str, str], int] = field(default_factory=dict)

    def begin(self) -> None:
        """Clear the results of an earlier attempt to decide. The persons were loaded again."""
        self.admission = Admission({event_id: w.reason for event_id, w in self.request.held.items()})
        self.new_names.clear()
        self.account_changes.clear()
        self.held_parts.clear()
        self.released_parts.clear()
        self.withheld.clear()
        self.registrations_changed.clear()
        self.household_of_event.clear()
        self.standing_before.clear()

    # ── persons of an event ─────────────────────────────────────────────────────────────────────────────────

    def subject(self, event: Pushed) -> str:
        """The person whom the event names."""
        return self.person_of[event.person.index]

    def keeper(self, event: Pushed) -> str:
        """The person in whose timeline the event is; while it waits, the person whom it names."""
        return self.placing.keepers.get(event.event_id) or self.subject(event)

    def person(self, event: Pushed) -> Person:
        """The person in whose timeline the event is."""
        return self.persons[self.keeper(event)]

    def person_in_quarantine(self, event: Pushed) -> str:
        """The person of the event's row in quarantine. An event that counted waits with the keeper of its chain."""
        waited = self.waited.get(event.event_id)
        return waited.person_id if waited is not None else self.subject(event)

    def persons_named(self, event: Pushed) -> tuple[str, ...]:
        """The members of a household list, or the other person of an identity change."""
        return tuple(self.person_of[m.index] for m in event.members)

    # ── the state of an event ───────────────────────────────────────────────────────────────────────────────

    def is_fresh(self, event: Pushed) -> bool:
        """Whether the event is new or waited before."""
        return event.event_id in self.waited or event.event_id not in self.known

    def placed(self, events: Collection[Pushed]) -> list[Pushed]:
        """Those of the events that take effect."""
        return [e for e in events if e.event_id in self.placing.chains]

    def chain(self, event: Pushed) -> str:
        """The chain of an event that takes effect."""
        return self.placing.chains[event.event_id]

    def standing(self, event: Pushed) -> Standing | None:
        """How far a new event counts; None if it counts fully or not at all."""
        chain = self.placing.chains.get(event.event_id)
        return self.admission.standing.get(chain) if chain is not None else None

    def waits(self, event_id: str) -> bool:
        """Whether the event waits with this batch, and its source has not withdrawn it."""
        return self.placing.waiting.get(event_id, WITHDRAWN) != WITHDRAWN

    def is_stuck(self, event_id: str) -> bool:
        """Whether the event waits by the rule about sources and persons."""
        return self.admission.stuck.get(event_id, WITHDRAWN) != WITHDRAWN

    def was_withdrawn(self, event_id: str) -> bool:
        """Whether the event was in quarantine as withdrawn by its source."""
        waited = self.waited.get(event_id)
        return waited is not None and waited.withdrawn

    # ── the next round ──────────────────────────────────────────────────────────────────────────────────────

    def next_request(self) -> Request | None:
        """The request for the next round: judge again the persons whose waiting or earlier events may now change.

        An identity change that lost its standing is held. When all else is decided, it is tested once more: the change
        that refuted it may have lost its standing, too. If its own effects refute it, it loses its standing again."""
        held = self.request.held | {w.event_id: w for w in self.withheld if w.is_lost_identity_change}
        if self.judge_again:
            return Request(
                sorted(self.judge_again),
                retest=self.separated,
                held=held,
                held_tested=self.request.held_tested,
                by=self.request.by,
            )
        if held and not self.request.held_tested:
            return Request(sorted({w.person_id for w in held.values()}), held_tested=True, by=self.request.by)
        return None
