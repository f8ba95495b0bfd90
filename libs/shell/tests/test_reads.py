from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from shell.store import columns, reads
from shell.store.database import Database
from shell.store.reads import Select, among, col, if_given, select
from sqlmodel import SQLModel

NOON = datetime(2026, 11, 30, 4, tzinfo=UTC)
FIRST, SECOND, THIRD = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))


class VisitRow(SQLModel, table=True):
    __tablename__ = "visits"
    __table_args__ = ({"schema": "probe"},)

    visit_id: str = columns.uuid(key=True)
    provider: str = columns.text()
    at: datetime = columns.instant()
    verdict: str | None = columns.text(null=True)


class Visit(NamedTuple):
    provider: str
    visit_id: str
    at: datetime


@reads.row(Visit)
def load_visit(visit_id: str) -> Select[VisitRow]:
    return select(VisitRow).where(VisitRow.visit_id == visit_id)


@reads.existing_row(Visit)
def load_existing(visit_id: str) -> Select[VisitRow]:
    return select(VisitRow).where(VisitRow.visit_id == visit_id)


@reads.row(Visit)
def lock_visit(visit_id: str) -> Select[VisitRow]:
    return select(VisitRow).where(VisitRow.visit_id == visit_id).with_for_update()


@reads.rows(Visit)
def list_visits(
    limit: int, providers: Sequence[str] | None, before: datetime | None, after: str | None
) -> Select[VisitRow]:
    return (
        select(VisitRow)
        .where(
            if_given(after, col(VisitRow.visit_id) > after),
            if_given(before, col(VisitRow.at) < before),
            if_given(providers, among(VisitRow.provider, providers)),
        )
        .order_by(VisitRow.visit_id)
        .limit(limit)
    )


@reads.values
def list_waiting(limit: int) -> Select[str]:
    return select(VisitRow.visit_id).where(VisitRow.verdict == "it's 100% $2").order_by(col(VisitRow.at)).limit(limit)


@reads.value
def verdict_of(visit_id: str) -> Select[str | None]:
    return select(col(VisitRow.verdict)).where(VisitRow.visit_id == visit_id)


@pytest.fixture
async def visits(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.sql.execute(
            "CREATE TABLE visits (visit_id uuid PRIMARY KEY, provider text, at timestamptz, verdict text)"
        )
        rows = [
            (FIRST, "a", NOON, None),
            (SECOND, "b", NOON - timedelta(hours=1), "it's 100% $2"),
            (THIRD, "a", NOON - timedelta(hours=2), "it's 100% $2"),
        ]
        await tx.sql.executemany("INSERT INTO visits VALUES ($1, $2, $3, $4)", rows)
    return database


async def test_a_row_has_the_fields_of_its_shape(visits: Database) -> None:
    async with visits.reading() as connection:
        assert await load_visit(connection, FIRST) == Visit("a", FIRST, NOON)
        assert await load_existing(connection, FIRST) == Visit("a", FIRST, NOON)


async def test_a_missing_row_is_none_or_an_error(visits: Database) -> None:
    async with visits.reading() as connection:
        missing = FIRST.replace("1", "9")
        assert await load_visit(connection, missing) is None
        assert await verdict_of(connection, missing) is None
        with pytest.raises(LookupError, match="Visit"):
            await load_existing(connection, missing)


async def test_a_filter_that_is_none_does_not_apply(visits: Database) -> None:
    async def ids(**given: object) -> list[str]:
        values = {"limit": 10, "providers": None, "before": None, "after": None} | given
        async with visits.reading() as connection:
            return [visit.visit_id for visit in await list_visits(connection, **values)]  # type: ignore[arg-type]

    assert await ids() == [FIRST, SECOND, THIRD]
    assert await ids(limit=2) == [FIRST, SECOND]
    assert await ids(providers=["a", "c"]) == [FIRST, THIRD]
    assert await ids(before=NOON) == [SECOND, THIRD]
    assert await ids(after=SECOND) == [THIRD]
    assert await ids(providers=[]) == []


async def test_values_come_in_the_order_of_the_statement(visits: Database) -> None:
    async with visits.reading() as connection:
        assert await list_waiting(connection, 10) == [THIRD, SECOND]
        assert await verdict_of(connection, SECOND) == "it's 100% $2"


async def test_constants_are_part_of_the_text_and_arguments_are_not(visits: Database) -> None:
    """A generic plan uses a partial index only for a constant in the text."""
    async with visits.reading() as connection:
        await list_waiting(connection, 10)
        texts = [row[0] for row in await connection.fetch("SELECT statement FROM pg_prepared_statements")]
    [text] = [text for text in texts if "FROM probe.visits" in text]
    assert "probe.visits.verdict = 'it''s 100% $2'" in text
    assert text.endswith("LIMIT $1")


async def test_arguments_may_be_named(visits: Database) -> None:
    async with visits.transaction() as tx:
        found = await list_visits(tx, 1, after=FIRST, before=None, providers=None)
    assert [visit.visit_id for visit in found] == [SECOND]


async def test_wrong_arguments_are_refused_before_the_statement(visits: Database) -> None:
    async with visits.reading() as connection:
        for given, named in (((), {}), ((FIRST, FIRST), {}), ((), {"id": FIRST}), ((FIRST,), {"visit_id": FIRST})):
            with pytest.raises(TypeError, match="visit_id"):
                await load_visit(connection, *given, **named)


async def test_a_lock_needs_a_transaction(visits: Database) -> None:
    async with visits.reading() as connection:
        with pytest.raises(TypeError, match="lock_visit"):
            await lock_visit(connection, FIRST)
    async with visits.transaction() as tx, visits.reading() as other:
        assert await lock_visit(tx, FIRST) == Visit("a", FIRST, NOON)
        free = await other.fetch("SELECT visit_id FROM visits ORDER BY visit_id FOR UPDATE SKIP LOCKED")
        assert [row[0] for row in free] == [SECOND, THIRD]


def test_a_field_without_a_column_is_refused_at_import() -> None:
    class Wrong(NamedTuple):
        visit_id: str
        worker: str

    def load_wrong(visit_id: str) -> Select[VisitRow]:
        return select(VisitRow).where(VisitRow.visit_id == visit_id)

    with pytest.raises(TypeError, match=r"visits has no column worker"):
        reads.row(Wrong)(load_wrong)


def test_a_parameter_without_use_is_refused_at_import() -> None:
    def load_all(visit_id: str) -> Select[VisitRow]:
        return select(VisitRow)

    with pytest.raises(TypeError, match="load_all does not use visit_id"):
        reads.rows(Visit)(load_all)


def test_a_condition_on_an_argument_is_refused_at_import() -> None:
    def load_some(visit_id: str) -> Select[VisitRow]:
        return select(VisitRow).where(VisitRow.visit_id == visit_id) if visit_id else select(VisitRow)

    with pytest.raises(TypeError, match="Boolean value"):
        reads.rows(Visit)(load_some)
