"""How errors leave a service."""

import asyncpg
import httpx
import pytest
from common.errors import NotFound, Unavailable
from fastapi import FastAPI
from shell.http.answers import install_problems, pointer_to
from shell.store.database import Database
from shell.store.failures import UNAVAILABLE


async def answer_to(error: Exception) -> httpx.Response:
    app = FastAPI()
    install_problems(app)

    @app.get("/")
    async def fail() -> None:
        raise error

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return await client.get("/")


@pytest.mark.parametrize("error", [Unavailable("x"), ConnectionRefusedError(), TimeoutError(), UNAVAILABLE[3]("x")])
async def test_an_absent_store_is_a_503_and_no_bug_in_the_log(error: Exception) -> None:
    answer = await answer_to(error)  # what is handled last is raised again, for the server to log
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


async def test_a_caller_learns_what_was_wrong() -> None:
    answer = await answer_to(NotFound("nobody here"))
    assert (answer.status_code, answer.json()["detail"]) == (404, "nobody here")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_bug_is_raised_for_the_log() -> None:
    with pytest.raises(ZeroDivisionError):
        await answer_to(ZeroDivisionError())


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("SELECT $1::text", "a\x00b"),
        ("SELECT $1::text", "\ud800"),
        ("SELECT $1::int", 2**31),
        ("SELECT $1::text::int", "99999999999"),
        ("SELECT $1::text::date", "0000-01-01"),
        ("SELECT ($1::text)::jsonb ->> 'a'", '{"a": "\\u0000"}'),
    ],
)
async def test_a_value_that_the_store_cannot_hold_is_a_fault_of_the_caller(
    database: Database, statement: str, value: object
) -> None:
    async with database.reading() as connection:
        with pytest.raises(asyncpg.DataError) as refused:
            await connection.fetchval(statement, value)
    answer = await answer_to(refused.value)
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    assert answer.headers["content-type"] == "application/problem+json"
    assert str(value) not in answer.text


async def test_a_day_beyond_the_calendar_is_a_fault_of_the_caller() -> None:
    answer = await answer_to(OverflowError("date value out of range"))
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")


async def test_the_place_of_a_control_character_is_named() -> None:
    app = FastAPI()
    install_problems(app)

    @app.get("/persons/{name}")
    async def fail(name: str, after: str) -> None:
        raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        answer = await client.get("/persons/li%00?after=1&after=%00")
    assert [fault["pointer"] for fault in answer.json()["problems"]] == ["/path/name", "/query/after"]


def test_a_pointer_to_a_hostile_key_can_be_sent() -> None:
    assert pointer_to(("body", "a/b~c", 0)) == "/body/a~1b~0c/0"
    assert pointer_to(("body", "\ud800")) == "/body/?"
    assert len(pointer_to(("body", "x" * 1_000_000))) == len("/body/") + 100
