"""Who follows whom: which events of a batch take effect, and which wait."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ingestion.domain.pushed import Pushed


class Known(NamedTuple):
    """An event that is stored. `chain` is None while it waits; `household`: one that its chain touches."""

    digest: bytes
    kind: str
    person_id: str
    chain: str | None
    household: str | None = None


class Placing(NamedTuple):
    """What becomes of the events of a batch: `chains` by event id for those that take effect, `waiting` by event id
    with the reason for those that cannot yet."""

    chains: dict[str, str]
    waiting: dict[str, str]


def place_events(
    events: Sequence[Pushed], person_of: Mapping[bytes, str], known: Mapping[str, Known], forced: Collection[str] = ()
) -> Placing:
    """Chains of all events whose predecessor is there or comes with them, however long the line behind it.

    An event in `forced` takes effect without its predecessor: a human has said so. Its chain is then the one that
    the missing event would begin.
    """
    by_id = {e.event_id: e for e in events}
    followers: dict[str, list[Pushed]] = {}
    chains: dict[str, str] = {}
    waiting: dict[str, str] = {}
    ready: list[str] = []
    for event in events:
        if event.previous is None:
            chains[event.event_id] = event.event_id
            ready.append(event.event_id)
            continue
        before = known.get(event.previous)
        if event.previous not in by_id and (before is None or before.chain is None) and event.event_id in forced:
            chains[event.event_id] = event.previous
            ready.append(event.event_id)
        else:
            waiting[event.event_id] = "predecessor_missing"
            followers.setdefault(event.previous, []).append(event)
            if event.previous not in by_id and before is not None and before.chain is not None:
                _follow(event, before.chain, before.kind, before.person_id, person_of, chains, waiting, ready)
    while ready:
        leader = by_id[ready.pop()]
        for event in followers.get(leader.event_id, ()):
            whose = person_of[leader.person.index]
            _follow(event, chains[leader.event_id], leader.kind, whose, person_of, chains, waiting, ready)
    return Placing(chains, waiting)


def _follow(
    event: Pushed,
    chain: str,
    kind: str,
    person_id: str,
    person_of: Mapping[bytes, str],
    chains: dict[str, str],
    waiting: dict[str, str],
    ready: list[str],
) -> None:
    if (kind, person_id) != (event.kind, person_of[event.person.index]):
        waiting[event.event_id] = "chain_mismatch"
        return
    waiting.pop(event.event_id, None)
    chains[event.event_id] = chain
    ready.append(event.event_id)
