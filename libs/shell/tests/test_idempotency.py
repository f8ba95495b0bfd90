"""One key of one caller creates once: asked again, asked at the same time, asked otherwise, and forgotten in time."""

import asyncio

import pytest
from common.errors import Conflict
from shell.access.auth import Caller
from shell.http.idempotency import FORGOTTEN_AT_ONCE, Creation
from shell.store.database import Database
from shell.store.platform_tables import REQUEST_KEYS
from shell.store.transaction import Tx

OFFICER = Caller("officer-1", "officer", "530302")
OTHER = Caller("officer-2", "officer", "530302")


@pytest.fixture
async def keys(database: Database) -> Database:
    await database.pool.execute(REQUEST_KEYS)
    return database


async def make(
    database: Database, key: str | None, body: bytes, caller: Caller = OFFICER, call: str = "POST /x"
) -> str:
    """A route that creates a row of the table `seen`."""
    creation = Creation(key, call)
    async with database.transaction() as tx:
        made_before = await creation.claim(tx, caller, body)
        return made_before or await _create(tx, creation, caller)


async def _create(tx: Tx, creation: Creation, caller: Caller) -> str:
    thing_id = creation.id_for("thing", caller, otherwise="no key")
    await tx.sql.execute("INSERT INTO seen (task_id) VALUES ($1)", thing_id)
    await creation.created(tx, caller, thing_id)
    return thing_id


async def made(database: Database) -> int:
    found: int = await database.pool.fetchval("SELECT count(*) FROM seen")
    return found


async def test_the_same_key_creates_once_and_gives_the_same_id(keys: Database) -> None:
    assert len({await make(keys, "k", b"body") for _ in range(3)}) == 1
    assert await made(keys) == 1


async def test_requests_at_the_same_time_create_once(keys: Database) -> None:
    ids = await asyncio.gather(*(make(keys, "k", b"body") for _ in range(16)))
    assert (len(set(ids)), await made(keys)) == (1, 1)


@pytest.mark.parametrize(("body", "call"), [(b"another", "POST /x"), (b"body", "POST /y")])
async def test_the_same_key_for_another_request_is_a_conflict(keys: Database, body: bytes, call: str) -> None:
    await make(keys, "k", b"body")
    with pytest.raises(Conflict) as refused:
        await make(keys, "k", body, call=call)
    assert (refused.value.code, await made(keys)) == ("idempotency_key_reused", 1)


async def test_different_bodies_at_the_same_time_create_one_thing(keys: Database) -> None:
    answers = await asyncio.gather(*(make(keys, "k", b"%d" % n) for n in range(8)), return_exceptions=True)
    assert sum(isinstance(answer, Conflict) for answer in answers) == 7
    assert await made(keys) == 1


async def test_callers_do_not_share_keys_and_a_source_is_one_caller(keys: Database) -> None:
    assert await make(keys, "k", b"body") != await make(keys, "k", b"body", OTHER)
    source = "urn:cn:exchange:530300:psb"
    ids = [await make(keys, "s", b"body", Caller(name, "source", source=source)) for name in ("token", "signature")]
    assert ids[0] == ids[1]


async def test_without_a_key_every_request_is_new(keys: Database) -> None:
    for _ in range(2):
        await make(keys, None, b"body")
    assert await made(keys) == 2
    assert await keys.pool.fetchval("SELECT count(*) FROM request_keys") == 0


async def test_a_request_that_failed_leaves_its_key_free(keys: Database) -> None:
    async def fail() -> None:
        async with keys.transaction() as tx:
            assert await Creation("k", "POST /x").claim(tx, OFFICER, b"wrong") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await make(keys, "k", b"right")
    assert await made(keys) == 1


async def test_nothing_of_key_caller_or_body_is_readable(keys: Database) -> None:
    await make(keys, "张三 530302194002290012", "李四".encode(), Caller("王科员", "officer"))
    rows = str([tuple(row) for row in await keys.pool.fetch("SELECT * FROM request_keys")])
    assert not any(name in rows for name in ("张三", "530302194002290012", "王科员", "李四"))


async def test_old_keys_are_forgotten_a_few_at_a_time(keys: Database) -> None:
    """As many as `FORGOTTEN_AT_ONCE` with each new one, so that the table cannot grow without end."""
    old = """INSERT INTO request_keys SELECT gen_random_uuid(), '', 'x', now() - make_interval(days => $1)
             FROM generate_series(1, $2)"""
    await keys.pool.execute(old, 31, FORGOTTEN_AT_ONCE + 10)
    await keys.pool.execute(old, 29, 5)
    for left in (10 + 5 + 1, 5 + 2):
        await make(keys, f"k{left}", b"body")
        assert await keys.pool.fetchval("SELECT count(*) FROM request_keys") == left
