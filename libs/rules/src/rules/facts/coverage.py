"""Coverage: where and when a source reports every change of a kind of fact. There a missing fact means "no".

A feed here is a coverage entry: a source declares that it reports a kind of a division completely. A feed of a city
covers its counties. If no feed was ever declared for a place or an area above it, the kind of fact decides the meaning
of a missing fact. Without this exception, the first declaration would make facts unknown in the whole country.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

from common.events.coverage import FeedDeclared
from common.events.kinds import RULES

from rules.form.period import is_within
from rules.form.situation import KINDS_AT_HUKOU

# Kinds whose absence can mean "no". For the other kinds the platform asks wherever a fact is missing.
ANSWERING: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.absence == "false")


class Where(NamedTuple):
    """The places of a person, each as the codes of the areas that contain it, nearest first."""

    hukou: Sequence[str]
    residence: Sequence[str]

    def of(self, kind: str) -> Sequence[str]:
        """Return the place whose sources report a kind of fact."""
        return self.hukou if kind in KINDS_AT_HUKOU else self.residence


class Coverage:
    """Answers for which kinds, places and days the sources report completely.

    `declared`: feeds by division. In a division with an empty list no source reports completely. A division that is
    not a key never had a feed.
    """

    def __init__(self, declared: Mapping[str, Sequence[FeedDeclared]]) -> None:
        self.declared = dict(declared)

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Coverage) and self.declared == other.declared

    __hash__ = None  # type: ignore[assignment]

    def reports(self, kind: str, where: Where, day: date) -> bool | None:
        """Whether a source reports every change of a kind at a place on a day. None: no feed was declared there."""
        places = [code for code in where.of(kind) if code in self.declared]
        if not places:
            return None
        return any(_is_fed(self.declared[code], kind, day) for code in places)

    def unreported(self, where: Where, day: date, kinds: Collection[str] = ANSWERING) -> frozenset[str]:
        """Return the kinds of which a missing fact means "unknown" at a place on a day, although it can mean "no"."""
        if not self.declared:
            return frozenset()
        return frozenset(k for k in kinds if k in ANSWERING and self.reports(k, where, day) is False)

    def days(self, where: Where, kinds: Collection[str] = ANSWERING) -> set[date]:
        """Return the days on which a feed of some kinds begins or ends at a place."""
        codes = {code for code in (*where.hukou, *where.residence) if code in self.declared}
        return {day for code in codes for day in self._days(code, kinds)}

    def all_days(self, kinds: Collection[str]) -> set[date]:
        """Return the days on which a feed of some kinds begins or ends at any place."""
        return {day for code in self.declared for day in self._days(code, kinds)}

    def _days(self, code: str, kinds: Collection[str]) -> Iterator[date]:
        """Yield the days on which a feed of some kinds begins or ends in a division."""
        for feed in self.declared[code]:
            if feed.kind in kinds and feed.kind in ANSWERING:
                yield feed.since
                if feed.until is not None:
                    yield feed.until

    def kinds_changed(self, other: "Coverage") -> frozenset[str]:
        """Return the kinds of which a missing fact may have another meaning under the other coverage."""
        changed: set[str] = set()
        for code in self.declared.keys() | other.declared.keys():
            was, now = self.declared.get(code), other.declared.get(code)
            if was is None or now is None:  # the first declaration of a place concerns every kind
                return ANSWERING
            if was != now:
                changed |= {feed.kind for feed in {*was} ^ {*now}}
        return frozenset(changed & ANSWERING)


def _is_fed(feeds: Sequence[FeedDeclared], kind: str, day: date) -> bool:
    return any(f.kind == kind and is_within(day, f.since, f.until) for f in feeds)


NOTHING_DECLARED: Final = Coverage({})
