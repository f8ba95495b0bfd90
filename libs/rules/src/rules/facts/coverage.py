"""Where and when it is an answer that nothing was said: only while somebody tells every change of that kind there.

A feed of a city covers its counties. Where nothing was ever declared, neither in a place nor above it, the kind of fact
decides as it always did; otherwise the first declaration of all would turn every no of the country into a question.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from common.events.coverage import FeedDeclared
from common.events.kinds import RULES

# Kinds that are administered where somebody is registered; the others are told where somebody lives.
AT_HUKOU: Final = frozenset({"registration", "disability", "low_income", "special_family"})
# Of the other kinds a missing fact is a question wherever one is.
ANSWERING: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.absence == "false")


class Where(NamedTuple):
    """The places of a person, each as the codes of the areas that hold it."""

    hukou: Sequence[str]
    residence: Sequence[str]

    def of(self, kind: str) -> Sequence[str]:
        return self.hukou if kind in AT_HUKOU else self.residence


class Coverage:
    """Feeds by the division that they were declared of; a division without any tells nothing."""

    def __init__(self, declared: Mapping[str, Sequence[FeedDeclared]]) -> None:
        self.declared = dict(declared)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Coverage) and self.declared == other.declared

    __hash__ = None  # type: ignore[assignment]

    def told(self, kind: str, where: Where, day: date) -> bool | None:
        """Whether every change of the kind is told there that day; None where nothing was ever declared."""
        places = [code for code in where.of(kind) if code in self.declared]
        if not places:
            return None
        return any(
            feed.kind == kind and feed.since <= day and (feed.until is None or day < feed.until)
            for code in places
            for feed in self.declared[code]
        )

    def untold(self, where: Where, day: date, kinds: Collection[str] = ANSWERING) -> frozenset[str]:
        """The kinds of which it is no answer there that nothing was said, though it is elsewhere."""
        if not self.declared:
            return frozenset()
        return frozenset(k for k in kinds if k in ANSWERING and self.told(k, where, day) is False)

    def days(self, where: Where, kinds: Collection[str] = ANSWERING) -> set[date]:
        """On which a feed begins or ends there."""
        codes = {code for code in (*where.hukou, *where.residence) if code in self.declared}
        return {day for code in codes for day in self._days(code, kinds)}

    def all_days(self, kinds: Collection[str]) -> set[date]:
        return {day for code in self.declared for day in self._days(code, kinds)}

    def _days(self, code: str, kinds: Collection[str]) -> Iterator[date]:
        for feed in self.declared[code]:
            if feed.kind in kinds and feed.kind in ANSWERING:
                yield feed.since
                if feed.until is not None:
                    yield feed.until

    def kinds_changed(self, other: "Coverage") -> frozenset[str]:
        """The kinds whose absence may mean something else somewhere under the other coverage."""
        changed: set[str] = set()
        for code in self.declared.keys() | other.declared.keys():
            was, now = self.declared.get(code), other.declared.get(code)
            if was is None or now is None:  # the first word about a place is one about every kind
                return ANSWERING
            if was != now:
                changed |= {feed.kind for feed in {*was} ^ {*now}}
        return frozenset(changed & ANSWERING)


NOTHING_DECLARED: Final = Coverage({})
