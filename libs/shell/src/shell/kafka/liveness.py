"""Find out whether the tasks inside an aiokafka client still run, and end a client whose tasks do not.

aiokafka ends a task of its own after an unexpected exception without a report. Then `getmany` returns nothing for ever.
Only this module knows these tasks. They are private attributes of aiokafka, so a test compares them with the library.
"""

import asyncio
from pathlib import Path
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from common.errors import Unavailable

Client: TypeAlias = AIOKafkaConsumer | AIOKafkaProducer | AIOKafkaAdminClient
Tasks = dict[str, "asyncio.Task[Any] | None"]
_password_files: "WeakKeyDictionary[Client, tuple[Path, int | None]]" = WeakKeyDictionary()
TAKE_APART_SECONDS_MAX: Final = 5.0
LEAVE_SECONDS_MAX: Final = 2.0
# aiokafka ends these tasks itself at every rebalance; only an exception is a fault.
_ENDED_AT_REBALANCE: Final = frozenset({"heartbeat", "commit_refresh"})


class ClientEnded(Unavailable):
    """Tasks inside the client have ended, so the client must be replaced. The message names the tasks."""


def library_tasks(client: Client) -> Tasks:
    """Return the tasks inside a client by our names for them; None for a task that is not started."""
    if isinstance(client, AIOKafkaAdminClient):
        return {"metadata": client._client._sync_task}
    if isinstance(client, AIOKafkaProducer):
        return {"metadata": client.client._sync_task, "sender": client._sender._sender_task}
    tasks: Tasks = {"metadata": client._client._sync_task}
    if client._fetcher is None or client._coordinator is None:  # its start has not reached them
        return tasks
    tasks["fetch"] = client._fetcher._fetch_task
    if client._group_id is None:
        return tasks | {"reset_committed": client._coordinator._reset_committed_task}
    return tasks | {
        "coordination": client._coordinator._coordination_task,
        "heartbeat": client._coordinator._heartbeat_task,
        "commit_refresh": client._coordinator._commit_refresh_task,
    }


def ended_tasks(client: Client) -> list[str]:
    """Return the names of ended tasks that the client needs, without I/O."""
    return [name for name, task in library_tasks(client).items() if task is not None and _has_failed(name, task)]


def _has_failed(name: str, task: "asyncio.Task[Any]") -> bool:
    if not task.done():
        return False
    if name in _ENDED_AT_REBALANCE:
        return not task.cancelled() and task.exception() is not None
    return True


def require_running(client: Client) -> None:
    """Raise ClientEnded if a task that the client needs has ended, or if its password was replaced.

    aiokafka keeps the password of its start. A lost connection could not be opened again with an old one."""
    if ended := ended_tasks(client):
        raise ClientEnded(f"ended inside the client: {', '.join(ended)}")
    file, written_ns = _password_files.get(client, (None, None))
    if file is not None and _written_ns(file) != written_ns:
        raise ClientEnded("its password was replaced")


def watch_password(client: Client, file: Path | None) -> None:
    """Remember the file from which the client has its password; None if it has none from a file."""
    if file is not None:
        _password_files[client] = file, _written_ns(file)


def _written_ns(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns
    except OSError:  # a mounted file may be away for a moment
        return None


async def take_apart(client: Client) -> None:
    """End the tasks and close the connections of a client that cannot stop by itself. It must not be used again.

    A member of a group leaves it if it can. Otherwise the group waits until the session of the member ends.
    """
    await _end([task for task in library_tasks(client).values() if task is not None])
    if isinstance(client, AIOKafkaConsumer) and client._group_id is not None and client._coordinator is not None:
        await _end([asyncio.create_task(client._coordinator._maybe_leave_group())], LEAVE_SECONDS_MAX)
    network = client.client if isinstance(client, AIOKafkaProducer) else client._client
    for connection in list(network._conns.values()):
        connection.close()
    client._closed = True  # else Python reports an unclosed client when it is collected


async def _end(tasks: list["asyncio.Task[Any]"], seconds: float = 0.0) -> None:
    """Give the tasks `seconds` to end by themselves, then cancel them."""
    if not tasks:
        return
    if seconds:
        await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=TAKE_APART_SECONDS_MAX)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.exception()  # retrieved: else Python reports it when the task is collected
