"""The tables in the database: the ledger is append-only, and the columns equal those of the classes."""

from typing import Any

import asyncpg
import pytest
from shell import clock
from sqlmodel import SQLModel
from subsidy import tables, verify


def _rows() -> list[type[SQLModel]]:
    return [row for name, row in vars(tables).items() if name.endswith("Row")]


async def test_the_migrated_tables_have_exactly_the_columns_of_their_classes(town: Any) -> None:
    assert len(_rows()) == 8
    for row in _rows():
        table = row.__table__  # type: ignore[attr-defined]
        found = await town.database.pool.fetch(
            """SELECT column_name, is_nullable FROM information_schema.columns
               WHERE table_schema = 'subsidy' AND table_name = $1""",
            table.name,
        )
        assert {c["column_name"]: c["is_nullable"] == "YES" for c in found} == {
            column.name: bool(column.nullable) for column in table.columns
        }, table.name


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE entries SET amount_fen = amount_fen + 1",
        "UPDATE entries SET state = 'voided', posted_at = NULL WHERE state = 'posted'",
        "UPDATE entries SET state = 'posted', posted_at = now(), amount_fen = 1 WHERE state = 'pending'",
        "UPDATE entries SET debit_account = credit_account",
        "DELETE FROM entries",
        "TRUNCATE entries",
        "INSERT INTO entries SELECT * FROM entries",
        "UPDATE entries SET state = 'pending' WHERE state = 'pending'",
    ],
)
async def test_the_database_rejects_changes_to_the_ledger(town: Any, tampering: str) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-04-05")))
    await town.office.reserve()
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await town.database.pool.execute(tampering)


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        (
            "UPDATE dues SET paid_fen = 0 WHERE service_month = '2026-05-01' AND recovering_fen = 0",
            "not the sum of its entries",
        ),
        (
            "UPDATE dues SET amount_fen = 6000, paid_fen = 6000 WHERE recovering_fen = 0",
            "differ from its",
        ),
        (
            "UPDATE dues SET open_fen = 5000 WHERE service_month = '2026-05-01' AND recovering_fen = 0",
            "no line in an open batch",
        ),
        ("DELETE FROM batch_lines WHERE service_month = '2026-06-01'", "no line in an open batch"),
        ("DELETE FROM dues", "differ from its entitlements"),
        ("DELETE FROM recoveries", "a recovery case and its position disagree"),
        ("UPDATE batch_lines SET amount_fen = 1", "a line and its entry disagree"),
        ("UPDATE batch_lines SET state = 'settled' WHERE state = 'ordered'", "a line and its entry disagree"),
        ("UPDATE accounts SET entitlements = ''", "differ from its entitlements"),
        ("UPDATE batches SET checker = NULL WHERE state = 'approved'", "or by nobody"),
        (
            """INSERT INTO dues SELECT person_id, item, '530303', service_month, amount_fen, state, fund
               FROM dues WHERE service_month = '2026-05-01' AND recovering_fen = 0""",
            "two areas at once",
        ),
    ],
)
async def test_verify_finds_manual_changes(town: Any, tampering: str, found: str) -> None:
    person, late = town.person(), town.person()
    await town.receive(person.decided(town.entitled("2026-04-05")), late.decided(town.entitled("2026-03-05")))
    await town.office.pay("2026-05")
    await town.office.order("2026-06")
    await town.receive(late.decided(town.entitled("2026-03-05", "2026-04-11"), died="2026-04-10"))
    await town.is_sound()
    await town.database.pool.execute("ALTER TABLE dues ALTER sequence SET DEFAULT 0")
    await town.database.pool.execute(tampering)
    assert any(found in sentence for sentence in await verify.check(town.database, clock.today()))
