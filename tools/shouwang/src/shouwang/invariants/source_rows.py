"""Reads the database rows from which the services make the states on compacted topics.

The *head* of a key is its newest state. `shouwang verify` compares the topics with these heads, and
`shouwang republish` sends the heads again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
from assessment.verify import expected_heads
from common.calendar import civil_date
from common.events import (
    CoverageDeclared,
    EntitlementsDecided,
    Event,
    PersonFactsRecorded,
    PolicyVersionPublished,
)
from ingestion.domain.snapshots import snapshot
from ingestion.recording.store.statements import load_persons
from rules.form.policy import PolicyList, to_event_dict

_encode = msgspec.json.Encoder().encode
_decision = msgspec.json.Decoder(EntitlementsDecided)
_coverage = msgspec.json.Decoder(CoverageDeclared)
_list = msgspec.json.Decoder(PolicyList)
_ASSESSED: Final = "ability_version > 0 AND EXISTS (SELECT FROM results r WHERE r.person_id = needs.person_id)"


class Head(NamedTuple):
    """The newest state of one key, as its row gives it.

    `event`: has at least its key and version. `body`: its JSON without causes. `kept`: the relay reads the body from
    the row itself.
    """

    event: Event
    body: bytes
    division: str | None
    kept: bool = False

    @property
    def key(self) -> str:
        return self.event.key()


# (connection, after, limit, lock) → at most `limit` heads in the order of their keys. `lock`: the rows stay locked
# until the transaction ends, so that no newer state is sent meanwhile.
Page = Callable[[Any, str | None, int, bool], Awaitable[list[Head]]]


class Source(NamedTuple):
    """The owner of a compacted topic, and the access to its rows. `count_statement`: the SQL that counts the heads."""

    owner: str
    page: Page
    count_statement: str


def _after(select: str, where: str, key: str, *, lock: bool) -> str:
    """Return the statement that selects one page of rows in the order of `key`. With `lock` it also locks them: every
    writer locks rows in this order."""
    cast = "uuid" if key == "person_id" else "text"
    page = f"{select} WHERE ($1::{cast} IS NULL OR {key} > $1::{cast}) AND {where} ORDER BY {key} LIMIT $2"
    return f"{page} FOR NO KEY UPDATE" if lock else page


async def _persons(connection: Any, after: str | None, limit: int, lock: bool) -> list[Head]:
    select = _after("SELECT person_id FROM persons", "version > 0", "person_id", lock=lock)
    rows = await connection.fetch(select, after, limit)
    person_ids = [row["person_id"] for row in rows]
    found = await load_persons(connection, person_ids)
    heads = []
    for person in (found[person_id] for person_id in person_ids):
        assert person.recorded_at is not None
        event = PersonFactsRecorded(
            person_id=person.person_id, version=person.version, recorded_at=person.recorded_at, statements=()
        )
        heads.append(Head(event, snapshot(person), person.division, kept=not person.identities))
    return heads


async def _coverages(connection: Any, after: str | None, limit: int, lock: bool) -> list[Head]:
    select = _after("SELECT division, said FROM coverages", "true", "division", lock=lock)
    rows = await connection.fetch(select, after, limit)
    return [Head(_coverage.decode(row["said"]), row["said"], row["division"]) for row in rows]


async def _decisions(connection: Any, after: str | None, limit: int, lock: bool) -> list[Head]:
    select = _after("SELECT person_id, decision FROM persons", "decision IS NOT NULL", "person_id", lock=lock)
    rows = await connection.fetch(select, after, limit)
    heads = []
    for row in rows:
        event = _decision.decode(row["decision"])
        heads.append(Head(event, row["decision"], event.residence or event.hukou, kept=True))
    return heads


async def _abilities(connection: Any, after: str | None, limit: int, lock: bool) -> list[Head]:
    select = _after("SELECT person_id, division FROM needs", _ASSESSED, "person_id", lock=lock)
    rows = await connection.fetch(select, after, limit)
    divisions = {row["person_id"]: row["division"] for row in rows}
    events = await expected_heads(connection, list(divisions))
    return [Head(event, _encode(event), divisions[event.person_id]) for event in events]


async def _lists(connection: Any, after: str | None, limit: int, lock: bool) -> list[Head]:
    """Load the list in force per area. With `lock`, no area publishes until the transaction ends."""
    if lock:
        await connection.execute("SELECT pg_advisory_xact_lock_shared(hashtext('identification.lists'))")
    rows = await connection.fetch(
        """SELECT DISTINCT ON (p.jurisdiction) p.jurisdiction, p.version, p.published_at, policies.list
           FROM publications p JOIN policies USING (version)
           WHERE p.jurisdiction > coalesce($1::text, '') ORDER BY p.jurisdiction, p.seq DESC LIMIT $2""",
        after,
        limit,
    )
    heads = []
    for row in rows:
        event = PolicyVersionPublished(
            jurisdiction=row["jurisdiction"],
            version=row["version"],
            published_on=civil_date(row["published_at"]),
            list=to_event_dict(_list.decode(row["list"])),
        )
        heads.append(Head(event, _encode(event), row["jurisdiction"]))
    return heads


SOURCES: Final[dict[str, Source]] = {
    "ingestion.person": Source("ingestion", _persons, "SELECT count(*) FROM persons WHERE version > 0"),
    "ingestion.coverage": Source("ingestion", _coverages, "SELECT count(*) FROM coverages"),
    "identification.entitlement": Source(
        "identification", _decisions, "SELECT count(*) FROM persons WHERE decision IS NOT NULL"
    ),
    "assessment.ability": Source("assessment", _abilities, f"SELECT count(*) FROM needs WHERE {_ASSESSED}"),  # noqa: S608
    "policy.release": Source("identification", _lists, "SELECT count(DISTINCT jurisdiction) FROM publications"),
}
