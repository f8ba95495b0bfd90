"""The search of topics and logs for names and ID numbers finds every name that a person can have."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from shouwang.invariants.privacy import Secrets

NAMES = ["张三丰", "阿依·古丽", "㐂田", "𠮷田野"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("escaped", [False, True])
def test_a_name_in_a_log_is_found_also_with_rare_characters_or_a_dot(tmp_path: Path, name: str, escaped: bool) -> None:
    log = tmp_path / "service.log"
    log.write_text(json.dumps({"detail": f"为{name}登记"}, ensure_ascii=escaped), encoding="utf-8")
    (fault,) = Secrets(set(), {name}).check_logs([log]).faults
    assert fault.endswith("a name")
    assert name not in fault


def test_a_log_without_a_name_has_no_fault(tmp_path: Path) -> None:
    log = tmp_path / "service.log"
    log.write_text("分发任务 1234 \\u4efb\\u52a1 ·· \\ud842", encoding="utf-8")
    assert not Secrets(set(), set(NAMES)).check_logs([log]).faults


def test_a_header_without_a_value_is_searched_as_an_empty_one() -> None:
    record = SimpleNamespace(
        topic="dispatch.provider.52530302MJ0000010X.replies",
        partition=0,
        offset=7,
        key=None,
        value="张三丰".encode(),
        headers=[("traceparent", None)],
    )
    secrets = Secrets(set(), set(NAMES))
    secrets.check(record)
    (fault,) = secrets.topics.faults
    assert fault.endswith("[0]@7: a name")
