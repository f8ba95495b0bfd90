"""The heads of the audit logs as `shouwang verify` reads them from the topics."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from common.events import AuditSealed
from shell.audit.checking import Published
from shouwang.invariants.audit_logs import AuditHeads

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)


@dataclass
class Record:
    value: bytes | None
    topic: str = "subsidy.audit"
    offset: int = 7


def sealed(seal: int, head: str = "ab", service: str = "subsidy") -> Record:
    event = AuditSealed(service=service, seal=seal, rows=seal * 10, head=head * 32, sealed_to=seal * 10, sealed_at=NOON)
    return Record(msgspec.json.encode(event))


@pytest.fixture
def heads(tmp_path: Path) -> AuditHeads:
    return AuditHeads(tmp_path)


def test_heads_are_kept_by_service_and_other_topics_are_ignored(heads: AuditHeads) -> None:
    for record in (sealed(3), sealed(4), sealed(4), Record(b"{}", topic="subsidy.payment")):
        heads.check(record)
    topic = heads.of("subsidy")
    assert (topic.oldest, topic.newest) == (3, 4)
    assert topic.find(4) == Published(40, bytes.fromhex("ab" * 32))
    assert topic.find(2) is None
    assert (heads.of("dispatch").oldest, heads.of("dispatch").newest) == (0, 0)
    assert heads.line("subsidy").faults == []
    heads.close()


@pytest.mark.parametrize(
    "record", [sealed(3, "cd"), sealed(5, service="dispatch"), Record(b"not json"), Record(None), Record(b"{}")]
)
def test_a_record_that_contradicts_the_topic_is_a_fault(heads: AuditHeads, record: Record) -> None:
    heads.check(sealed(3))
    heads.check(record)
    assert len(heads.line("subsidy").faults) == 1
    assert heads.of("subsidy").find(3) == Published(30, bytes.fromhex("ab" * 32))
    heads.close()
