"""A front-end database with a table of low-income people, the feed that reads it, and its results."""

import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from common.codes.id_number import make
from ingestion.exchange.run_feeds import run_feeds
from ingestion.exchange.store import feeds as store
from ingestion.reading.events import reopen
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.access.auth import issue_token
from shell.privacy import vault
from shell.store.database import Database

VARIABLE = "SHOUWANG_FEED_URL_MCA"
CHANGES: dict[str, Any] = {
    "feed": "mca_low_income",
    "title": "低收入人口变更表",
    "status": "in_use",
    "source": "urn:cn:exchange:530300:mca",
    "kind": "low_income",
    "url_env": VARIABLE,
    "table": "EX_LOW_INCOME",
    "key": ["RID"],
    "mode": "changes",
    "watermark": {"columns": ["GXSJ"]},
    "operation": {"column": "OP"},
    "mapping": {
        "columns": {
            "person.id_number": "SFZH",
            "person.name": "XM",
            "value.category": "LB",
            "valid_from": "KSRQ",
            "valid_to": "TZRQ",
        }
    },
    "every_seconds": 60,
}
FULL = {k: v for k, v in CHANGES.items() if k not in ("watermark", "operation")} | {"mode": "full"}
DDL = "CREATE TABLE EX_LOW_INCOME (RID, SFZH, XM, LB, KSRQ, TZRQ, OP, GXSJ, BZ)"


class Tables:
    """A SQLite file as the front-end database, and the feeds that read it."""

    CHANGES, FULL, VARIABLE = CHANGES, FULL, VARIABLE

    def __init__(self, folder: Path, database: Database, client_for: Callable[[str], httpx.AsyncClient]) -> None:
        self.database, self._client_for, self._folder, self._feeds = database, client_for, folder, 0
        self.path = folder / "front.db"
        self.url = f"sqlite:///{self.path}"
        self.sql(DDL)

    def sql(self, statement: str, *rows: tuple[Any, ...]) -> None:
        with sqlite3.connect(self.path) as connection:
            if rows:
                connection.executemany(statement, rows)
            else:
                connection.execute(statement)
        connection.close()

    def number(self, n: int, days: int = 0) -> str:
        return make("530302", date(1940, 2, 29) + timedelta(days=days), n)

    def put(self, n: int, *, at: str = "09:00:00", day: str = "2026-11-21", key: Any = None, **columns: Any) -> None:
        """Write a row about person n. It replaces the row of the same key unless `log`."""
        row = {"LB": "低保", "KSRQ": "2026-01-01", "TZRQ": None, "OP": "I", "XM": "张三丰", "SFZH": self.number(n)}
        row |= {k: v for k, v in columns.items() if k != "log"}
        key = key if key is not None else f"R{n}"
        if not columns.get("log"):
            self.sql("DELETE FROM EX_LOW_INCOME WHERE RID = ?", (key,))
        self.sql(
            "INSERT INTO EX_LOW_INCOME (RID, SFZH, XM, LB, KSRQ, TZRQ, OP, GXSJ) VALUES (?,?,?,?,?,?,?,?)",
            (
                key,
                row["SFZH"],
                row["XM"],
                row["LB"],
                row["KSRQ"],
                row["TZRQ"],
                row["OP"],
                row.get("GXSJ", f"{day} {at}"),
            ),
        )

    def configure(self, *feeds: dict[str, Any]) -> None:
        self._feeds += 1
        folder = self._folder / f"feeds{self._feeds}"
        folder.mkdir()
        for at, feed in enumerate(feeds):
            (folder / f"{at}.yaml").write_text(yaml.safe_dump(feed, allow_unicode=True))
        os.environ["SHOUWANG_FEEDS_FOLDER"] = str(folder)
        os.environ[VARIABLE] = self.url

    async def work(self) -> dict[str, Any]:
        """Run the job until nothing is due. Returns the feed as it is shown."""
        while await run_feeds(self.database):
            pass
        return await self.show()

    async def again(self, *, seconds: float = 3600, from_start: bool = False) -> dict[str, Any]:
        """As `work`, an hour later."""
        clock.advance(timedelta(seconds=seconds))
        if from_start:
            async with self.database.transaction() as tx:
                await store.ask_for_run(tx, "mca_low_income", True, clock.now())
        return await self.work()

    async def show(self) -> dict[str, Any]:
        answer = await self.get("/v1/feeds/mca_low_income")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        return self._client_for(token or issue_token("admin"))

    async def get(self, path: str, token: str | None = None) -> httpx.Response:
        async with self.client(token) as client:
            return await client.get(path)

    async def post(self, path: str, body: dict[str, Any], token: str | None = None) -> httpx.Response:
        async with self.client(token) as client:
            return await client.post(path, json=body)

    async def rejects(self) -> str:
        answer = await self.get("/v1/feeds/mca_low_income/rejects")
        assert answer.status_code == 200, answer.text
        return answer.content.decode("utf-8-sig")


@pytest.fixture
async def tables(
    tmp_path: Path, database: Database, client_for: Callable[[str], httpx.AsyncClient]
) -> AsyncIterator[Tables]:
    before = {name: os.environ.get(name) for name in ("SHOUWANG_FEEDS_FOLDER", VARIABLE)}
    found = Tables(tmp_path, database, client_for)
    found.configure(CHANGES)
    yield found
    for name, value in before.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value


@pytest.fixture
def incomes(heads: Callable[[], Any], database: Database) -> Callable[[], Any]:
    """The periods of low income of every person: (category, from, to), oldest first."""

    async def _incomes() -> list[list[tuple[str, str | None, str | None]]]:
        def day(value: date | None) -> str | None:
            return value.isoformat() if value else None

        found: list[list[tuple[str, str | None, str | None]]] = [
            [(f.value.category, day(f.valid_from), day(f.valid_to)) for f in facts_known_at(head.statements)]
            for head in (await heads()).values()
        ]
        return sorted(found, key=str)

    return _incomes


@pytest.fixture
def actions(database: Database) -> Callable[[], Any]:
    """Numbers of received events by action."""

    async def _actions() -> dict[str, int]:
        found: dict[str, int] = {}
        for row in await database.pool.fetch("SELECT event_id, sealed FROM received"):
            event = reopen(vault().open(row["sealed"], row["event_id"].encode()))
            found[event.action] = found.get(event.action, 0) + 1
        return found

    return _actions


@pytest.fixture(autouse=True)
def no_feeds_left() -> Iterator[None]:
    yield
    os.environ.pop("SHOUWANG_FEEDS_FOLDER", None)
