"""Halt a published list: the list before it comes into force again, and its people are decided again.

The earlier list comes into force by a publication like any other, so nothing must be undone. People who are not decided
by the halted list yet still carry the digest of the earlier set and are skipped.
"""

import logging
from datetime import datetime
from typing import Literal, NamedTuple

from common.errors import Conflict
from common.events import PolicyVersionHalted
from rules.form.policy import PolicyList
from rules.money.effects import Figures
from shell import clock
from shell.store.transaction import Tx

from identification.lists.domain.content import content_version, decode_list
from identification.lists.in_force import publish
from identification.lists.store import policies, publications
from identification.lists.store.publications import Publication
from identification.redeciding.drift import LeftBand
from identification.redeciding.store import parts, watches

log = logging.getLogger(__name__)


class HaltReason(NamedTuple):
    """The reason of a halt. `by`: the subject of the approver, or "band". `live`: the effect; None: the sum of the
    stored steps."""

    kind: Literal["band", "approver"]
    by: str
    text: str
    live: Figures | None = None


class _Before(NamedTuple):
    """The list in force before. `approved_by`: JSON array of subjects."""

    version: str
    content: PolicyList
    approved_by: str


async def halt_by_band(tx: Tx, left: LeftBand) -> None:
    """Halt a list whose effect has left the band. The caller holds `locks.lock_lists`."""
    await halt(tx, left.version, HaltReason("band", "band", left.text, left.live), clock.now())


async def halt(tx: Tx, version: str, reason: HaltReason, now: datetime) -> None:
    """Halt the list in force with a version, and put the list before it in force. The caller holds `locks.lock_lists`.

    Raises Conflict (`not_running`, `nothing_before`).
    """
    publication = await publications.lock_publication_in_force(tx, version)
    if publication is None:
        raise Conflict("this list is not in force", code="not_running")
    before = await _list_before(tx, publication, now)
    progress = await parts.load_progress(tx.sql, version)
    assert progress is not None
    await publications.halt_publication(tx, publication.seq, at=now, by=reason.by, reason=reason.text)
    await policies.mark_published(tx, before.version)  # it may have been proposed again meanwhile
    await publish(tx, before.content, before.version, now=now, published_by=reason.by, approved_by=before.approved_by)
    live = reason.live or (await watches.sum_steps(tx.sql, publication.seq)).live
    _emit(tx, publication, before, reason, live, people=progress.people)


def _emit(tx: Tx, publication: Publication, before: _Before, reason: HaltReason, live: Figures, *, people: int) -> None:
    """Emit the halt. `people`: the number of people whom the list has decided."""
    area, version = publication.jurisdiction, publication.version
    event = PolicyVersionHalted(
        jurisdiction=area,
        version=version,
        back_to=before.version,
        by=reason.kind,
        reason=reason.text,
        people=people,
        **live._asdict(),
    )
    tx.emit(event, division=area)
    log.error(
        "list %s of %s is halted by %s: %s; %s is in force again",
        version,
        area,
        reason.by,
        reason.text,
        before.version,
    )


async def _list_before(tx: Tx, publication: Publication, now: datetime) -> _Before:
    """Return the list that comes into force again: the last one before that is not halted.

    If there is none, and the first list of the area was a proposal, the area had no list before; the empty list comes
    into force. If the first list came from the files, no list was before it. Raises Conflict (`nothing_before`).
    """
    earlier = await publications.load_earlier_list(tx.sql, publication)
    if earlier is not None:
        return _Before(earlier.version, decode_list(earlier.list), earlier.approved_by)
    empty = PolicyList(jurisdiction=publication.jurisdiction)
    version = content_version(empty)
    began_empty = await publications.began_with_proposal(tx.sql, publication.jurisdiction)
    if not began_empty or publication.version == version:
        raise Conflict("no list was in force before this one", code="nothing_before")
    if version not in await policies.known_versions(tx.sql):
        await policies.insert_policy(tx, empty, version, state="published", proposed_by="halt", proposed_at=now)
    return _Before(version, empty, "[]")
