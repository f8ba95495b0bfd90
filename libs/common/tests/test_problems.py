"""How errors leave a service."""

import httpx
import pytest
from common.errors import UNAVAILABLE, NotFound, Unavailable
from common.http import install_problems
from fastapi import FastAPI


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
