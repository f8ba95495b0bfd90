"""The reason that a command shows for an error answer."""

import httpx
import pytest
from shouwang.runtime.service_client import reason_of

PROBLEM = b'{"pointer": "/month", "code": "in_future", "detail": "next year"}'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"code": "not_now", "detail": "the batch is closed"}', "not_now: the batch is closed"),
        (b'{"code": "invalid", "problems": [' + PROBLEM + b"]}", "invalid; /month in_future: next year"),
        (b'{"problems": [' + PROBLEM + b"]}", "/month in_future: next year"),
        (b'{"error": "bad gateway"}', '{"error": "bad gateway"}'),
        (b"{}", "{}"),
        (b"[]", "[]"),
        (b"<html>", "<html>"),
        (b"", "no text"),
    ],
)
def test_the_reason_of_an_error_is_never_empty(body: bytes, reason: str) -> None:
    assert reason_of(httpx.Response(502, content=body)) == reason
