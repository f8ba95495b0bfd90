"""Taking a published list out of force: the list before it counts again, and whoever was decided by it is decided back.

In force again is a publication like any other, so nothing needs to be undone: the people not reached yet carry the
digest of the old set of lists and are passed over, the others are decided by it as after every publication.
"""

import logging
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec
from common.errors import Conflict
from common.events import PolicyVersionHalted
from rules.form.policy import PolicyList
from rules.money.effects import Figures
from shell.store.transaction import Tx

from identification.lists.in_force import publish
from identification.lists.store import lists as store
from identification.simulating import store as simulations_store

log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(PolicyList)


class Reason(NamedTuple):
    """`by`: the subject of an approver, or what halted by itself. `live`: what it came to, where that is not stored."""

    kind: Literal["band", "approver"]
    by: str
    text: str
    live: Figures | None = None


async def halt(tx: Tx, version: str, reason: Reason, now: datetime) -> None:
    """The caller holds `lock_lists`. Raises Conflict (`not_running`, `nothing_before`)."""
    publication = await store.lock_running_publication(tx, version)
    if publication is None:
        raise Conflict("this list is not in force", code="not_running")
    area = publication["jurisdiction"]
    before, content, signed = await _list_before(tx, publication, now)
    await store.halt_publication(tx, publication["seq"], at=now, by=reason.by, reason=reason.text)
    await store.mark_published(tx, before)  # it may have been proposed again meanwhile
    await publish(tx, content, before, now=now, published_by=reason.by, approved_by=signed)
    live = reason.live or (await simulations_store.sum_steps(tx.sql, publication["seq"]))[0]
    tx.emit(
        PolicyVersionHalted(
            jurisdiction=area,
            version=version,
            back_to=before,
            by=reason.kind,
            reason=reason.text,
            people=publication["people"],
            **live._asdict(),
        ),
        division=area,
    )
    log.error(
        "the list %s of %s is halted (%s): %s; %s is in force again", version, area, reason.by, reason.text, before
    )


async def _list_before(tx: Tx, publication: Any, now: datetime) -> tuple[str, PolicyList, str]:
    """Version, list and signatures of what was in force there. An area whose first list came through the gate had
    none of its own: the empty list says that. A first list from the files has nothing to go back to."""
    row = await store.load_publication_before(tx.sql, publication)
    if row is not None:
        return row["version"], _decoder.decode(row["list"]), row["approved_by"]
    if publication["simulation_id"] is None:
        raise Conflict("there was no list before this one", code="nothing_before")
    empty = PolicyList(jurisdiction=publication["jurisdiction"])
    version = store.content_version(empty)
    if version not in await store.known_versions(tx.sql):
        await store.insert_policy(tx, empty, version, state="published", proposed_by="halt", proposed_at=now)
    return version, empty, "[]"
