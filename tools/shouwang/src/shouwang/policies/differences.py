"""Compares a proposed list with the present one and shows the changes in Chinese sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
from common.words_zh import ITEMS
from rules.form.names import area_name
from rules.form.policy import PolicyList
from rules.words.list_changes import ListChange, list_changes

from shouwang.policies.proposals import Proposal
from shouwang.terminal import aligned


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of a proposed list. `against`: the origin of the present list, in Chinese."""

    jurisdiction: str
    against: str
    changes: list[ListChange]

    @property
    def deciding(self) -> int:
        """The number of changes that can change a decision."""
        return sum(change.on is not None for change in self.changes)


def difference(lists: Proposal, *, running: bool) -> Difference:
    """Find all changes from the present to the proposed list. `running`: the present list comes from the platform."""
    against = "平台上生效的清单" if running else "contracts/policy"
    changes = list_changes(lists.present, lists.proposed)
    return Difference(jurisdiction=lists.proposed.jurisdiction, against=against, changes=changes)


def lines(found: Difference, lists: Proposal) -> Iterator[str]:
    """Yield a heading, one line per change, and the number of changes."""
    titles = _titles(lists.present, lists.proposed)
    yield f"{area_name(found.jurisdiction)}（{found.jurisdiction}），对照{found.against}："
    rows = [_row(change, titles) for change in found.changes]
    yield from (f"  {line}" for line in aligned(rows))
    yield f"共{len(found.changes)}处，其中影响决定的{found.deciding}处"


def _row(change: ListChange, titles: Mapping[str, str]) -> list[str]:
    title = titles.get(change.item, change.item) if change.item else "—"
    return [str(change.on or "不影响决定"), title, change.text]


def _titles(*lists: PolicyList) -> dict[str, str]:
    """Titles by item. An area's own item has its title in its list only."""
    own = {code: item.title for each in lists for code, item in each.items.items()}
    return own | dict(ITEMS)
