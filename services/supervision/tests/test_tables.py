"""The migrated schema has the columns of the classes."""

import supervision.tables  # noqa: F401 - fills the metadata
from shell.store.database import Database
from sqlmodel import SQLModel
from supervision.checks import checks
from supervision.domain.events import PARTIAL_EVENTS


async def test_the_migrated_schema_has_exactly_the_columns_of_the_classes(database: Database) -> None:
    tables = {t.name: t for t in SQLModel.metadata.tables.values() if t.schema == "supervision"}
    rows = await database.pool.fetch(
        """SELECT table_name, column_name, is_nullable = 'YES' AS nullable FROM information_schema.columns
           WHERE table_schema = 'supervision' AND table_name = ANY($1)""",
        list(tables),
    )
    migrated = {(r["table_name"], r["column_name"]): r["nullable"] for r in rows}
    described = {(t.name, c.name): bool(c.nullable) for t in tables.values() for c in t.columns}
    assert migrated == described
    assert len(tables) == 9


def test_every_check_that_is_used_has_its_text_and_severity() -> None:
    used = {"V01", "V03", "V05", "V06", "V09", "V12", "visit_missed", "recovery_opened", "record_parked"}
    used |= {"policy_halted", "move_gap", "visit_unplaced", "hold_overdue", "stay_open_long", "stay_contradicted"}
    used |= {"read_budget", "account_changed", "foreign_events"}
    assert {check.id for check in checks().checks} == used


def test_every_field_that_supervision_reads_exists_in_the_event() -> None:
    from common.events import all_events

    events = {name.rsplit(".", 1)[1]: cls for name, cls in all_events().items()}
    optional_after_check_out = {"checked_in_at", "checked_out_at", "worker", "outcome", "reason"}
    for name, shape in PARTIAL_EVENTS.items():
        missing = set(shape.__struct_encode_fields__) - set(events[name].__struct_encode_fields__)
        assert missing <= optional_after_check_out | {"jurisdiction"}, name
    assert optional_after_check_out <= set(events["VisitCheckedOut"].__struct_encode_fields__)
