import json
from pathlib import Path

import pytest
from shell import clock
from synth import cli


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_county_is_written_with_one_event_per_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "county.ndjson"
    arguments = ["--people", "50", "--division", "141125", "--seed", "3", "--out", str(out)]
    assert cli.main([*arguments, "--today", "2026-05-01"]) == 0
    written = lines(out)
    assert len([e for e in written if str(e["type"]).endswith("registration.v1")]) == 50
    assert f"{len(written)} events" in capsys.readouterr().err


def test_blocks_make_one_county_without_a_repeated_id_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "BLOCK", 100)
    out = tmp_path / "county.ndjson"
    assert cli.main(["--people", "350", "--division", "530302", "--seed", "3", "--out", str(out)]) == 0
    written = lines(out)
    assert len({(e["source"], e["id"]) for e in written}) == len(written)
    numbers = {e["data"]["person"]["id_number"] for e in written}  # type: ignore[index]
    assert len(numbers) == 350


def test_months_follow_the_load_and_end_before_today(tmp_path: Path) -> None:
    out, clean = tmp_path / "county.ndjson", tmp_path / "clean.ndjson"
    arguments = ["--people", "3000", "--division", "530302", "--division", "141125", "--months", "2"]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    assert cli.main([*arguments, "--out", str(clean), "--clean"]) == 0
    assert {json.dumps(e) for e in lines(out)} == {json.dumps(e) for e in lines(clean)}
    assert len(lines(out)) > len(lines(clean))
    assert max(str(e["time"]) for e in lines(out))[:10] <= clock.today().isoformat()


@pytest.mark.parametrize(
    "wrong",
    [["--people", "0"], ["--division", "999999"], ["--months", "-1"], ["--out", "/nowhere/there.ndjson"]],
)
def test_a_wrong_argument_is_named_and_nothing_is_written(
    wrong: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "county.ndjson"
    arguments = ["--people", "5", "--division", "141125", "--out", str(out), *wrong]
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("shouwang synth: ")
    assert not out.exists()
