"""The committed contracts are those of the code, and no change breaks a reader of the last ones."""

import json
import subprocess
from pathlib import Path

import jsonschema_rs
import msgspec
import pytest
from common.events import all_events, decoder
from ingestion.exchange.feeds import Feed
from rules.form.policy import BESIDE_ITEMS, ItemPolicy
from shouwang.contracts.compatibility import breaking_changes
from shouwang.contracts.generate import generated
from shouwang.contracts.schemas import event_schemas

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "contracts"


def committed(path: str, revision: str) -> str | None:
    """The file at `revision`; None if it did not exist."""
    shown = subprocess.run(["git", "show", f"{revision}:{path}"], cwd=ROOT, capture_output=True, text=True, check=False)
    return shown.stdout if shown.returncode == 0 else None


def test_the_committed_contracts_are_those_of_the_code() -> None:
    files = generated()
    drifted = [name for name, content in files.items() if not (CONTRACTS / name).exists()]
    drifted += [
        n for n, content in files.items() if (CONTRACTS / n).exists() and (CONTRACTS / n).read_text() != content
    ]
    for folder in ("events", "examples", "openapi"):
        drifted += [
            f"{folder}/{p.name}" for p in (CONTRACTS / folder).glob("*.json") if f"{folder}/{p.name}" not in files
        ]
    assert not drifted, "run `make contracts`"


def test_no_form_of_a_file_allows_a_line_break_after_a_code() -> None:
    """The pattern of `msgspec` ends with an exact end of the text, the published one with `$`."""
    _, forms = msgspec.json.schema_components([ItemPolicy, *BESIDE_ITEMS.values(), Feed])
    assert b'$"' not in msgspec.json.encode(forms)
    assert not [path for path in CONTRACTS.rglob("*.json") if r'\\Z"' in path.read_text()]


@pytest.mark.parametrize("revision", ["HEAD", "HEAD~1"])
def test_no_event_breaks_its_readers(revision: str) -> None:
    """Compared with the last committed version and with its parent."""
    broken = []
    for wire_type, schema in event_schemas().items():
        before = committed(f"contracts/events/{wire_type}.json", revision)
        if before is not None:
            broken += [f"{wire_type} {change}" for change in breaking_changes(json.loads(before), schema)]
    assert not broken


def test_committed_examples_fit_their_schemas_and_still_parse() -> None:
    for wire_type, schema in event_schemas().items():
        example = json.loads((CONTRACTS / f"examples/{wire_type}.json").read_text())
        assert jsonschema_rs.validator_for(schema).is_valid(example), wire_type
    for cls in all_events().values():
        text = (CONTRACTS / f"examples/{cls.wire_type()}.json").read_bytes()
        event = decoder(cls).decode(text)
        assert decoder(cls).decode(msgspec.json.encode(event)) == event


OLD = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"type": "string"},
        "b": {"enum": ["x", "y"]},
        "c": {"type": "array", "items": {"$ref": "#/$defs/C"}},
    },
    "$defs": {"C": {"type": "object", "required": [], "properties": {"d": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["properties"].pop("b"), "/b: removed"),
        (lambda s: s["properties"]["a"].update(type="integer"), "/a: no longer string"),
        (lambda s: s["required"].append("b"), "/b: newly required"),
        (lambda s: s["properties"]["b"].update(enum=["x"]), "/b: the enum is narrower"),
        (lambda s: s["$defs"]["C"]["properties"]["d"].update(type="string"), "/c/*/d: no longer integer"),
    ],
)
def test_a_breaking_change_is_reported(change: object, message: str) -> None:
    new = json.loads(json.dumps(OLD))
    change(new)  # type: ignore[operator]
    assert breaking_changes(OLD, new) == [message]


def test_an_added_optional_field_is_not_a_breaking_change() -> None:
    new = json.loads(json.dumps(OLD))
    new["properties"]["e"] = {"type": "string"}
    new["properties"]["b"]["enum"].append("z")
    assert breaking_changes(OLD, new) == []
