"""Service lists: the published list in force, and the steps of a new one. The first lists are `contracts/policy`."""

from datetime import date
from typing import Any, ClassVar, Literal

from common.events.base import Event


class PolicyVersionPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The complete list of one area. `list` has the form of `contracts/policy/<area>/*.yaml` as JSON.

    `version`: a digest of the content, so the same list published twice is one version.
    """

    topic: ClassVar[str] = "policy.release"
    state: ClassVar[bool] = True

    jurisdiction: str
    version: str
    published_on: date
    list: dict[str, Any]

    def key(self) -> str:
        return self.jurisdiction


class _Review(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step of the review of a list, or its halt.

    Figures of a simulation are sums over all people of the area, never over fewer. Those of a halt are of its
    watch."""

    topic: ClassVar[str] = "policy.review"

    jurisdiction: str
    version: str

    def key(self) -> str:
        return self.jurisdiction


class PolicyVersionProposed(_Review, frozen=True, kw_only=True):
    """A list is proposed. `changed_from`: the first day on which its decisions may differ from the list in force;
    None: never."""

    changed_from: date | None = None


class PolicyVersionSimulated(_Review, frozen=True, kw_only=True):
    """The simulated effect over `months` service months from `first_month` (YYYY-MM). `losers` include people who gain
    and lose, for example more money and fewer visits. The money of all items is summed per person first. `raised_fen`
    and `cut_fen` are not netted between people."""

    simulation_id: str
    first_month: str
    months: int
    people: int
    people_changed: int
    winners: int
    losers: int
    raised_fen: int
    cut_fen: int


class PolicyVersionApproved(_Review, frozen=True, kw_only=True):
    """An approver has approved the list, based on the figures of a simulation. `approvals`: their number so far."""

    simulation_id: str
    approvals: int
    approvals_needed: int


class PolicyVersionHalted(_Review, frozen=True, kw_only=True):
    """The list is not in force any more. `back_to` is in force again, and people decided by the halted list are decided
    again.

    `by`: `band` (its effect differs too much from the simulation) or `approver`. `people`: those decided by it so far.
    `people_changed`, `raised_fen`, `cut_fen`: sums over the steps of the open watch; 0 without an open watch. A `band`
    halt includes the last step, which it does not store. Fen are sums over the simulated months."""

    back_to: str
    by: Literal["band", "approver"]
    reason: str
    people: int
    people_changed: int
    raised_fen: int
    cut_fen: int
