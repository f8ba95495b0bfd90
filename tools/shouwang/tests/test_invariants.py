"""The parts of `shouwang verify` that need no store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from shouwang.invariants.heads import Expected, Heads, digest_of
from shouwang.invariants.privacy import Secrets
from shouwang.invariants.report import FAULTS_MAX, Line, Report

NUMBER = b"530302194001011234"


@dataclass
class Record:
    value: bytes | None
    topic: str = "dispatch.visit"
    key: bytes = b"p"
    partition: int = 0
    offset: int = 7
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def found(record: Record) -> list[str]:
    secrets = Secrets({NUMBER}, {"张三", "欧阳建国"})
    secrets.check(record)
    return secrets.topics.faults


def test_causes_that_the_relay_adds_do_not_change_the_state() -> None:
    plain = b'{"person_id":"p","version":3}'
    assert digest_of(b'{"person_id":"p","version":3,"causes":["a","b"]}') == digest_of(plain)
    assert digest_of(b'{"person_id":"p","version":4}') != digest_of(plain)


async def rows(*expected: Expected) -> AsyncIterator[Expected]:
    for row in expected:
        yield row


async def test_a_key_that_was_deleted_from_a_topic_needs_no_row(tmp_path: Path) -> None:
    heads = Heads(tmp_path, ["ingestion.coverage"])
    for key, value in (("deleted", b"{}"), ("deleted", None), ("kept", b"{}")):
        heads.check(Record(value, topic="ingestion.coverage", key=key.encode()))
    line = await heads.compare("ingestion.coverage", rows(), set())
    heads.close()
    assert line.faults == ["kept: sent, but nothing is stored"]


def test_an_id_number_is_found_in_the_value_the_key_and_the_headers() -> None:
    place = "dispatch.visit[0]@7: an ID number"
    assert found(Record(b'{"x":"' + NUMBER + b'"}')) == [place]
    assert found(Record(b"{}", key=NUMBER)) == [place]
    assert found(Record(b"{}", headers=[("ce_subject", b"id:" + NUMBER)])) == [place]


def test_a_longer_number_or_an_unknown_number_is_no_id_number() -> None:
    assert found(Record(b"1" + NUMBER)) == []
    assert found(Record(b"530302194001011235")) == []


def test_a_name_is_found_within_other_chinese_text_and_escaped() -> None:
    place = "dispatch.visit[0]@7: a name"
    assert found(Record("住户张三家".encode())) == [place]
    assert found(Record(b'"\\u6b27\\u9633\\u5efa\\u56fd"')) == [place]
    assert found(Record("李四".encode())) == []


def test_a_public_text_may_contain_two_characters_that_are_also_a_name() -> None:
    assert found(Record("张三".encode(), topic="policy.release")) == []
    assert found(Record(NUMBER, topic="policy.release")) != []


def test_a_report_is_bounded_and_counts_the_faults_that_it_leaves_out() -> None:
    line = Line("something").add(f"fault {n}" for n in range(FAULTS_MAX + 5))
    report = Report([Line("fine"), line])
    assert not report.ok
    assert report.wrong() == [line]
    assert len(line.faults) == FAULTS_MAX
    assert report.text().endswith("… and 5 more")
