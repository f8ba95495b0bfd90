"""The migrated schema has the columns of the classes."""

from shell.schema_comparison import schema_differences
from supervision.checks import checks
from supervision.domain.events import PARTIAL_EVENTS


async def test_the_row_classes_declare_the_migrated_schema() -> None:
    assert await schema_differences("supervision") == []


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
