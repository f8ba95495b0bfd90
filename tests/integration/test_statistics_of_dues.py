"""The statistics count the dues that subsidy emits. Both services run with databases, without a broker."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from common.events import DuesDetermined, Entitlement, EntitlementsDecided, PayTerms
from shell import clock
from shell.store.database import Database
from shell.testing import Driver, migrated_database
from shouwang.invariants.consistency import check_due_months
from subsidy.main import service as subsidy
from subsidy.roll_month import roll_month
from supervision.domain.statistics import CLASSES
from supervision.main import service as supervision
from supervision.store import people

QILIN, ZHANYI = "530302", "530303"
FIRST = date(2026, 1, 1)
DOCUMENTED = {"pay": PayTerms(status="documented"), "policy_status": "documented"}


class Both:
    def __init__(self, databases: dict[str, Database]) -> None:
        self.databases = databases
        self.subsidy = Driver(databases["subsidy"], subsidy.handlers)
        self.supervision = Driver(databases["supervision"], supervision.handlers)

    async def decide(self, *decided: EntitlementsDecided, times: int = 1) -> None:
        """Both services receive the decisions; then supervision receives the dues, some of them `times` times."""
        await self.subsidy.deliver(*decided)
        await self.supervision.deliver(*decided)
        await self.relay(times)

    async def relay(self, times: int = 1) -> None:
        stated = await self.subsidy.emitted(DuesDetermined)
        await self.subsidy.clear_outbox()
        if stated:
            await self.supervision.deliver(*stated, times=times)

    async def turn_month(self, month: date) -> None:
        clock.set_now(datetime(month.year, month.month, 2, 4, tzinfo=UTC))
        while await roll_month(self.databases["subsidy"]):
            pass
        await self.relay()

    async def counted(self, month: date) -> int:
        async with self.databases["supervision"].reading() as connection:
            found = await people.count_people(connection, None, month)
        return sum(counts.classes[name] for _, counts in found for name in CLASSES)

    async def due(self, month: date) -> int:
        """The number of people with a due of one of the three items for the month, each counted once."""
        merged = await self.databases["subsidy"].pool.fetch("SELECT alias, survivor FROM aliases")
        survivor = {row["alias"]: row["survivor"] for row in merged}
        rows = await self.databases["subsidy"].pool.fetch(
            """SELECT DISTINCT person_id FROM dues WHERE service_month = $1 AND state = 'due' AND amount_fen > 0
               AND item IN ('longevity_allowance', 'nursing_subsidy', 'care_service_subsidy')""",
            month,
        )
        return len({survivor.get(row["person_id"], row["person_id"]) for row in rows})


@pytest.fixture
async def both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Both]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    monkeypatch.setenv("SHOUWANG_PAY_FROM_MONTH", "2026-01")
    clock.set_now(datetime(2026, 6, 15, 4, tzinfo=UTC))
    async with migrated_database("subsidy") as owed, migrated_database("supervision") as counted:
        yield Both({"subsidy": owed, "supervision": counted})


def entitled(item: str, first: date, end: date | None = None, **given: Any) -> Entitlement:
    fields = {"jurisdiction": QILIN, "state": "granted", "amount_fen_per_month": 5000, **DOCUMENTED, **given}
    facts = (str(uuid4()),)
    return Entitlement(
        entitlement_id=str(uuid4()), item=item, kind="cash", from_=first, to=end, facts=facts, policy="p", **fields
    )


def decided(person_id: str, version: int, *entitlements: Entitlement, **given: Any) -> EntitlementsDecided:
    return EntitlementsDecided(
        person_id=person_id,
        version=version,
        facts_version=version,
        recorded_at=datetime(2026, 6, 1, tzinfo=UTC),
        entitlements=entitlements,
        causes=(str(uuid4()),),
        residence=QILIN,
        **given,
    )


def some_entitlements(chance: Random) -> list[Entitlement]:
    """None, one or several items: granted, held by a suspicion, ended, moved, or with an example amount."""
    found = []
    for item in ("longevity_allowance", "nursing_subsidy", "care_service_subsidy", "dibao"):
        change = date(2026, chance.randint(2, 8), chance.randint(1, 28))
        match chance.randrange(7):
            case 0 | 1:
                found.append(entitled(item, FIRST))
            case 2:
                held = entitled(item, change, state="suspended")
                found += [entitled(item, FIRST, change), held]
            case 3:
                found.append(entitled(item, FIRST, change))
            case 4:
                moved = entitled(item, change, jurisdiction=ZHANYI, amount_fen_per_month=8000)
                found += [entitled(item, FIRST, change), moved]
            case 5:
                found.append(entitled(item, FIRST, policy_status="example"))
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_the_statistics_count_the_dues_that_subsidy_emits(both: Both, seed: int) -> None:
    """Decisions change, two persons are merged, months pass, and lines arrive twice."""
    chance = Random(seed)
    version = dict.fromkeys([str(uuid4()) for _ in range(12)], 0)
    standing: dict[str, list[Entitlement]] = {}
    for month in (6, 7, 8):
        for _ in range(3):
            chosen = chance.sample(sorted(version), 6)
            for person in chosen:
                version[person] += 1
                standing[person] = some_entitlements(chance)
            await both.decide(*[decided(p, version[p], *standing[p]) for p in chosen], times=chance.choice((1, 2)))
            assert (await check_due_months(both.databases)).faults == []
        gone, stays = chance.sample(sorted(version), 2)
        for person in (gone, stays):
            version[person] += 1
        heir = decided(stays, version[stays], *standing.get(stays, []), aliases=(gone,))
        await both.decide(decided(gone, version.pop(gone), merged_into=stays), heir)
        await both.turn_month(date(2026, month + 1, 1))
        line = await check_due_months(both.databases)
        assert (line.faults, line.count > 0) == ([], True)
        for counted in range(1, month + 2):
            assert await both.counted(date(2026, counted, 1)) == await both.due(date(2026, counted, 1))
