"""Requests to one broker fail or get no answer, while every other client of this process goes on undisturbed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka.conn import AIOKafkaConnection


@contextmanager
def intercepted(kafka: str, instead: Callable[[str], Any]) -> Iterator[None]:
    """Ask `instead` before each request to the broker at `kafka` (host:port), with the name of the request's kind.

    None lets the request pass. Anything else is its answer, and an exception is its failure. A request to another
    broker is never asked about: the platform under test has clients in this process that must not be disturbed.
    """
    send = AIOKafkaConnection.send

    def sent(connection: AIOKafkaConnection, request: Any, *more: Any, **options: Any) -> Any:
        if f"{connection.host}:{connection.port}" == kafka:
            answer = instead(type(request).__name__)
            if answer is not None:
                return answer
        return send(connection, request, *more, **options)

    AIOKafkaConnection.send = sent
    try:
        yield
    finally:
        AIOKafkaConnection.send = send
