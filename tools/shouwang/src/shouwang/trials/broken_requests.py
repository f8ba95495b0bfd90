"""Makes the requests of this process to one broker fail. Requests to other brokers are not affected."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka.conn import AIOKafkaConnection


@contextmanager
def intercepted(kafka: str, replace: Callable[[str], Any]) -> Iterator[None]:
    """Call `replace` with the class name of each request to the broker at `kafka` (host:port).

    If `replace` returns None, the request is sent. Any other result is an awaitable, which takes the place of the
    answer. If `replace` raises an exception, the request fails with it. Requests to other brokers are always sent.
    """
    send = AIOKafkaConnection.send

    def sent(connection: AIOKafkaConnection, request: Any, *more: Any, **options: Any) -> Any:
        if f"{connection.host}:{connection.port}" == kafka:
            answer = replace(type(request).__name__)
            if answer is not None:
                return answer
        return send(connection, request, *more, **options)

    AIOKafkaConnection.send = sent
    try:
        yield
    finally:
        AIOKafkaConnection.send = send
