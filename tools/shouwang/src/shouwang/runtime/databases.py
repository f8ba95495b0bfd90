"""Gives commands access to the databases of the services."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shell.store.database import Database
from shell.store.failures import UNAVAILABLE

from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores

CONNECTIONS_MAX = 2


@asynccontextmanager
async def open_database(runtime: Stores, service: str) -> AsyncIterator[Database]:
    """Open the database of one service and close it at the end. Raises LocalProblem if it does not answer."""
    database = Database(runtime.database_url(service), service, connections_max=CONNECTIONS_MAX)
    try:
        await database.open()
    except UNAVAILABLE as error:
        raise LocalProblem(f"The database of {service} does not answer: run `shouwang up`.") from error
    try:
        yield database
    finally:
        await database.close()
