"""The audit log of a service: rows are sealed into a hash chain, and each manipulation of the database is found."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from common.events import AuditSealed
from shell import clock
from shell.access.auth import Caller
from shell.audit import audits, chain, checking
from shell.audit.checking import Found, Published, Topic
from shell.audit.log import COLUMNS, Audit
from shell.audit.sealing import SEAL_ROWS_MAX, load_newest, seal_audits
from shell.kafka.dispatch import Handlers
from shell.store.database import Database
from shell.testing import Driver

OFFICER = Caller("issuer|li", "officer", "530302", user="li")
PERSON, OTHER = "11111111-1111-8111-8111-111111111111", "22222222-2222-8222-8222-222222222222"
Tamper = Callable[..., Awaitable[None]]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def log(database: Database) -> Database:
    return database


@pytest.fixture
async def superuser(log: Database) -> Tamper:
    """Change the database as its superuser can: without the triggers that forbid it."""

    async def tamper(*statements: str) -> None:
        async with log.pool.acquire() as connection, connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement)

    return tamper


async def read(log: Database, *persons: str, purpose: str = "ledger") -> None:
    async with log.transaction() as tx:
        await audits.append(tx, OFFICER, act="read", purpose=purpose, cause="c", person_ids=persons or [PERSON])


async def published(log: Database) -> dict[int, Published]:
    """The heads that the relay sends, by seal."""
    events: list[AuditSealed] = await Driver(log, Handlers({}, {})).emitted(AuditSealed)
    assert all(event.service == "probe" for event in events)
    return {event.seal: Published(event.rows, bytes.fromhex(event.head)) for event in events}


async def checked(
    log: Database, heads: dict[int, Published] | None = None, settled_at: datetime | None = None
) -> Found:
    heads = await published(log) if heads is None else heads
    topic = Topic(heads.get, min(heads, default=0), max(heads, default=0))
    async with log.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        return await checking.check(connection, topic, settled_at or clock.real_now() - MINUTE)


async def three_seals(log: Database) -> dict[int, Published]:
    """Six rows in three seals; returns the published heads."""
    for _ in range(3):
        await read(log, PERSON, OTHER)
        await read(log)
        await seal_audits(log)
    return await published(log)


async def make_anew(log: Database, tamper: Tamper) -> None:
    """Compute all digests and seals again from the present rows, as a superuser with our code can."""
    rows = [Audit(*row) for row in await log.pool.fetch(f"SELECT {COLUMNS} FROM audits ORDER BY audit_id")]
    digests = {row.audit_id: chain.digest_of(row) for row in rows}
    before = None
    for seal, sealed_at in await log.pool.fetch("SELECT seal, sealed_at FROM audit_seals ORDER BY seal"):
        links = await log.pool.fetch("SELECT audit_id FROM audit_links WHERE seal = $1 ORDER BY audit_id", seal)
        for (audit_id,) in links:
            digest = digests[audit_id].hex()
            await tamper(f"UPDATE audit_links SET digest = decode('{digest}', 'hex') WHERE audit_id = {audit_id}")
        before = chain.next_seal(before, sealed_at, [digests[audit_id] for (audit_id,) in links])
        await tamper(f"UPDATE audit_seals SET head = decode('{before.head.hex()}', 'hex') WHERE seal = {seal}")


async def test_a_row_names_the_human_and_the_account(log: Database) -> None:
    await read(log)
    row = await log.pool.fetchrow("SELECT actor, account, role, division, action, purpose, cause FROM audits")
    assert tuple(row) == ("li", "issuer|li", "officer", "530302", "read", "ledger", "c")
    assert await log.pool.fetchval("SELECT array_agg(area ORDER BY area) FROM audit_areas") == [
        "000000",
        "530000",
        "530300",
        "530302",
    ]


async def test_an_access_that_fails_leaves_no_row(log: Database) -> None:
    async def fail() -> None:
        async with log.transaction() as tx:
            await audits.append(tx, OFFICER, act="read", purpose="ledger")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await log.pool.fetchval("SELECT count(*) FROM audits") == 0
    assert await seal_audits(log) == 0
    assert await published(log) == {}


async def test_an_untouched_log_has_no_fault(log: Database) -> None:
    assert (await checked(log)).faults == []
    heads = await three_seals(log)
    await read(log)
    found = await checked(log)
    assert (found.sealed, found.waiting, found.faults) == (6, 1, [])
    assert [heads[seal].rows for seal in (1, 2, 3)] == [2, 4, 6]
    async with log.reading() as connection:
        newest = await load_newest(connection)
    assert newest is not None
    assert (newest.seal, newest.rows, newest.head) == (3, 6, heads[3].head)


async def test_a_row_that_commits_late_is_sealed(log: Database) -> None:
    async with log.transaction() as late:
        await audits.append(late, OFFICER, act="read", purpose="late")
        await read(log)
        await seal_audits(log)
    await seal_audits(log)
    order = await log.pool.fetch(
        "SELECT seal, purpose FROM audit_links JOIN audits USING (audit_id) ORDER BY seal, audit_id"
    )
    assert [tuple(row) for row in order] == [(1, "ledger"), (2, "late")]
    assert (await checked(log)).faults == []


async def test_two_sealers_make_one_chain(log: Database) -> None:
    async def write() -> None:
        for _ in range(20):
            await read(log)

    async def seal() -> None:
        while not writing.done():
            await seal_audits(log)
            await asyncio.sleep(0)

    writing = asyncio.gather(*(write() for _ in range(3)))
    await asyncio.gather(writing, seal(), seal())
    await seal_audits(log)
    found = await checked(log)
    assert (found.sealed, found.waiting, found.faults) == (60, 0, [])


async def test_one_step_seals_a_bounded_number_of_rows(log: Database) -> None:
    await log.pool.execute(
        """WITH a AS (INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids)
                      SELECT now(), 'li', 'officer', 'read', 'x', '', '', '[]' FROM generate_series(1, $1::int)
                      RETURNING audit_id)
           INSERT INTO audit_queue SELECT audit_id FROM a""",
        SEAL_ROWS_MAX + 5,
    )
    assert await seal_audits(log) == SEAL_ROWS_MAX  # the job goes on at once
    assert await seal_audits(log) == 0
    assert [head.rows for head in (await published(log)).values()] == [SEAL_ROWS_MAX, SEAL_ROWS_MAX + 5]
    assert (await checked(log)).faults == []


@pytest.mark.parametrize("table", ["audits", "audit_persons", "audit_areas", "audit_seals", "audit_links"])
async def test_the_database_refuses_changes_and_deletions(log: Database, table: str) -> None:
    await three_seals(log)
    column = await log.pool.fetchval(
        "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum = 2", table
    )
    for statement in (f"DELETE FROM {table}", f"UPDATE {table} SET {column} = {column}", f"TRUNCATE {table}"):
        with pytest.raises(Exception, match="only ever added"):
            await log.pool.execute(statement)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", "at - interval '1 microsecond'"),
        ("actor", "'wang'"),
        ("account", "''"),
        ("role", "'auditor'"),
        ("division", "NULL"),
        ("action", "'export'"),
        ("purpose", "'x'"),
        ("cause", "''"),
        ("fields", "'name'"),
        ("person_ids", "'[]'"),
    ],
)
async def test_a_changed_row_is_found(log: Database, superuser: Tamper, column: str, value: str) -> None:
    await three_seals(log)
    await superuser(f"UPDATE audits SET {column} = {value} WHERE audit_id = 3")
    assert "row 3 was changed" in (await checked(log)).faults


async def test_a_changed_row_with_its_digest_is_found(log: Database, superuser: Tamper) -> None:
    await three_seals(log)
    await superuser("UPDATE audits SET purpose = 'x' WHERE audit_id = 3")
    row = Audit(*await log.pool.fetchrow(f"SELECT {COLUMNS} FROM audits WHERE audit_id = 3"))
    digest = chain.digest_of(row).hex()
    await superuser(f"UPDATE audit_links SET digest = decode('{digest}', 'hex') WHERE audit_id = 3")
    assert (await checked(log)).faults == ["seal 2 does not follow from its rows and the seal before"]


async def test_a_chain_that_was_made_anew_contradicts_the_published_heads(log: Database, superuser: Tamper) -> None:
    heads = await three_seals(log)
    await superuser("UPDATE audits SET purpose = 'x' WHERE audit_id = 3")
    await make_anew(log, superuser)
    faults = (await checked(log, heads)).faults
    assert faults == [f"seal {seal} differs from its published head: the chain was made anew" for seal in (2, 3)]
    # The sealer goes on after the forged seal. The old heads stay on the topic.
    await read(log)
    await seal_audits(log)
    assert (await checked(log)).faults == faults


async def test_a_deleted_row_is_found(log: Database, superuser: Tamper) -> None:
    await three_seals(log)
    everywhere = [f"DELETE FROM {table} WHERE audit_id = 3" for table in ("audits", "audit_persons", "audit_areas")]
    await superuser(*everywhere)
    assert (await checked(log)).faults == ["row 3 was deleted"]
    await superuser("DELETE FROM audit_links WHERE audit_id = 3")
    assert (await checked(log)).faults == ["seal 2 does not follow from its rows and the seal before"]


async def test_a_removed_end_of_the_log_is_found(log: Database, superuser: Tamper) -> None:
    heads = await three_seals(log)
    tables = ("audits", "audit_persons", "audit_areas", "audit_links")
    await superuser(
        *(f"DELETE FROM {table} WHERE audit_id > 4" for table in tables), "DELETE FROM audit_seals WHERE seal = 3"
    )
    assert (await checked(log, heads)).faults == ["seals 3 to 3 were published and are missing"]


async def test_an_inserted_row_is_found(log: Database, superuser: Tamper) -> None:
    await three_seals(log)
    await log.pool.execute(
        """INSERT INTO audits (at, actor, role, action, purpose, cause, fields, person_ids)
           VALUES (now(), 'wang', 'officer', 'read', 'x', '', '', '[]')"""
    )
    assert (await checked(log)).faults == ["row 7 has no seal: it was inserted, or taken out of the queue"]


async def test_an_inserted_seal_is_found(log: Database) -> None:
    heads = await three_seals(log)
    await log.pool.execute("INSERT INTO audit_seals VALUES (5, now(), 6, '\\x00')")
    faults = (await checked(log, heads)).faults
    assert faults[0] == "seals 4 to 4 are missing"


async def test_a_seal_that_is_not_published_within_a_minute_is_found(log: Database) -> None:
    heads = await three_seals(log)
    later = clock.real_now() + MINUTE
    assert (await checked(log, heads, later)).faults == []
    assert (await checked(log, {seal: heads[seal] for seal in (2, 3)}, later)).faults == []  # the oldest has expired
    assert (await checked(log, {seal: heads[seal] for seal in (1, 3)}, later)).faults == ["seal 2 was never published"]
    assert (await checked(log, {1: heads[1]})).faults == []  # the relay may be about to send them
    faults = (await checked(log, {1: heads[1]}, later)).faults
    assert faults == ["seal 2 was never published", "seal 3 was never published"]


async def test_a_row_that_is_not_sealed_within_a_minute_is_found(log: Database) -> None:
    await read(log)
    assert (await checked(log)).faults == []
    assert (await checked(log, None, clock.real_now() + MINUTE)).faults == ["row 1 still waits for its seal"]


async def test_a_row_that_its_search_does_not_find_is_found(log: Database, superuser: Tamper) -> None:
    await three_seals(log)
    await superuser(f"DELETE FROM audit_persons WHERE audit_id = 3 AND person_id = '{OTHER}'")
    await superuser("UPDATE audit_areas SET actor = 'wang' WHERE audit_id = 5 AND area = '530302'")
    assert (await checked(log)).faults == [
        "row 3 is not found by each of its persons",
        "row 5 is not found by its area",
    ]


def test_every_column_and_its_place_count_in_the_digest() -> None:
    row = Audit(1, datetime(2026, 11, 30, tzinfo=UTC), "li", "", "officer", None, "read", "a", "b", "", b"[]")
    assert chain.digest_of(row) != chain.digest_of(row._replace(purpose="b", cause="a"))
    assert chain.digest_of(row) != chain.digest_of(row._replace(division=""))
