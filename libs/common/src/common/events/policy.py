"""A published service list: the running truth, whose seed is `contracts/policy`."""

from datetime import date
from typing import Any, ClassVar

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
