"""The lists in force, compiled once per set and kept: every replica sees a new set with its next batch."""

from datetime import datetime
from typing import Final, NamedTuple

import asyncpg
import msgspec
from common.calendar import civil_date
from common.events import PolicyVersionPublished
from rules.deciding.lists import Lists
from rules.facts.coverage import Coverage
from rules.form.policy import PolicyList, to_event_dict
from rules.proof.edits import Edit
from shell.store.transaction import Tx

from identification.lists.store import lists as lists_store
from identification.lists.store.coverage import load_coverage_at

_KEPT_MAX: Final = 8  # sets of lists; all but one serve questions about the past
_decoder = msgspec.json.Decoder(PolicyList)
_kept: dict[str, "Running"] = {}
_edits: dict[tuple[str, str], Edit] = {}


class Running(NamedTuple):
    """A set of lists, and what is told where beside it. `versions`: version by area. `digest` names both by their
    content."""

    digest: str
    versions: dict[str, str]
    lists: Lists


async def running_for(tx: Tx) -> Running:
    """The lists in force, which stay so until this transaction ends."""
    await lists_store.share_lists(tx)
    return await running_at(tx.sql, await lists_store.newest_publication(tx.sql))


async def running_now(connection: asyncpg.Connection) -> Running:
    """The lists in force, for reading."""
    return await running_at(connection, await lists_store.newest_publication(connection))


async def running_behind(connection: asyncpg.Connection, digest: str) -> Running:
    """The lists that a decision stands by: those it was made by, or newer ones that leave it as it is."""
    return await running_at(connection, await lists_store.publication_behind(connection, digest))


async def edit_between(connection: asyncpg.Connection, before: tuple[int, str], after: tuple[int, str]) -> Edit:
    """The step from the lists after one publication (seq, running digest) to those after another."""
    found = _edits.get((before[1], after[1]))
    if found is None:
        was, now = await running_at(connection, before), await running_at(connection, after)
        while len(_edits) >= _KEPT_MAX:
            del _edits[next(iter(_edits))]
        found = _edits[before[1], after[1]] = Edit(was.lists, now.lists)
    return found


async def edit_since(connection: asyncpg.Connection, digest: str, running: Running) -> Edit:
    """The step from the lists that a stored decision was made by to these."""
    found = _edits.get((digest, running.digest))
    if found is None:
        before = await lists_store.publication_of_digest(connection, digest)
        after = await lists_store.publication_of_digest(connection, running.digest)
        found = await edit_between(connection, before, after)
    return found


async def running_of(connection: asyncpg.Connection, digest: str) -> Running:
    """The lists that a decision of the past was made by."""
    return await running_at(connection, await lists_store.publication_of_digest(connection, digest))


async def running_at(connection: asyncpg.Connection, publication: tuple[int, str]) -> Running:
    """The lists after a publication (seq, running digest)."""
    seq, digest = publication
    found = _kept.get(digest)
    if found is None:
        stored = await lists_store.load_lists_at(connection, seq)
        declared = await load_coverage_at(connection, seq)
        coverage = Coverage({division: feeds or () for division, feeds in declared.items()})
        lists = Lists((_decoder.decode(content) for _, content in stored.values()), coverage=coverage)
        found = Running(digest, {area: version for area, (version, _) in stored.items()}, lists)
        while len(_kept) >= _KEPT_MAX:
            del _kept[next(iter(_kept))]
        _kept[digest] = found
    return found


async def publish(
    tx: Tx,
    policy_list: PolicyList,
    version: str,
    *,
    now: datetime,
    published_by: str,
    approved_by: str,
    simulated: tuple[str, str] | None = None,
) -> None:
    """Make a stored list the running truth of its area and say so. The caller holds `lock_lists`. `simulated`: the
    simulation and the band (JSON) that it is held to."""
    event = PolicyVersionPublished(
        jurisdiction=policy_list.jurisdiction,
        version=version,
        published_on=civil_date(now),
        list=to_event_dict(policy_list),
    )
    await lists_store.append_publication(
        tx,
        jurisdiction=policy_list.jurisdiction,
        version=version,
        published_at=now,
        published_by=published_by,
        approved_by=approved_by,
        event_id=tx.emit(event, division=policy_list.jurisdiction, urgent=True),  # nobody shall wait for a list
        simulated=simulated,
    )
