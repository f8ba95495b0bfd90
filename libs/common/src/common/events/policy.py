"""A published service list: the running truth, whose seed is `contracts/policy`."""

from datetime import date
from typing import Any, ClassVar, Literal

from common.events.base import Event


class PolicyVersionPublished(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The complete list of one area. `list` has the form of `contracts/policy/<area>/*.yaml` as JSON.

    `version`: content digest, so that the same list published twice is one version.
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
    """A step of a list on its way into force. Figures are sums over people; no fewer than all of an area's."""

    topic: ClassVar[str] = "policy.review"

    jurisdiction: str
    version: str

    def key(self) -> str:
        return self.jurisdiction


class PolicyVersionProposed(_Review, frozen=True, kw_only=True):
    """`changed_from`: the first day on which it decides otherwise than the list in force; None: never."""

    changed_from: date | None = None


class PolicyVersionSimulated(_Review, frozen=True, kw_only=True):
    """What it would do over `months` service months from `first_month` (YYYY-MM). `losers`: also those who lose
    one thing and gain another. `raised_fen` and `cut_fen` are not netted between people."""

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
    """Signed once more, upon the figures of a simulation."""

    simulation_id: str
    approvals: int
    approvals_needed: int


class PolicyVersionHalted(_Review, frozen=True, kw_only=True):
    """No longer in force: `back_to` is again, and whoever was decided by the halted list is decided back.

    `by`: `band` (what it did left what was simulated) or `approver`. `people`: decided by it so far, of whom
    `people_changed`; fen over the simulated months."""

    back_to: str
    by: Literal["band", "approver"]
    reason: str
    people: int
    people_changed: int
    raised_fen: int
    cut_fen: int
