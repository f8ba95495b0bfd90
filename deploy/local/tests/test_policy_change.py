"""`shouwang policy diff`: what a proposed list changes, in words, against the files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shouwang.cli import main
from shouwang.policy_change import FOLDER

AREA = "530302"


@pytest.fixture
def proposed(tmp_path: Path) -> Path:
    """A copy of the folder of Qilin, to be changed."""
    return Path(shutil.copytree(FOLDER / AREA, tmp_path / AREA))


def raise_allowance(folder: Path) -> Path:
    file = folder / "longevity_allowance.yaml"
    text = file.read_text(encoding="utf-8")
    assert "amount_fen: 5000," in text or "amount_fen: 5000}" in text
    file.write_text(text.replace("amount_fen: 5000", "amount_fen: 6000", 1), encoding="utf-8")
    return file


def test_the_same_list_changes_nothing(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "diff", str(proposed)]) == 0
    assert "共0处" in capsys.readouterr().out


def test_a_higher_amount_is_told_in_yuan(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raise_allowance(proposed)
    assert main(["policy", "diff", str(proposed)]) == 1
    out = capsys.readouterr().out
    assert "50.00元" in out
    assert "60.00元" in out
    assert "其中影响决定的1处" in out


def test_one_file_takes_its_place_in_the_list(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = raise_allowance(proposed)
    elsewhere = Path(shutil.copy(file, proposed.parent / file.name))
    assert main(["policy", "diff", "--area", AREA, "--json", str(elsewhere)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["jurisdiction"], [c["item"] for c in found["changes"]]) == (AREA, ["longevity_allowance"])


def test_what_is_no_list_is_said_to_be_none(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (proposed / "longevity_allowance.yaml").write_text("item: x")
    for path in (proposed, proposed / "longevity_allowance.yaml", proposed / "missing.yaml"):
        assert main(["policy", "diff", str(path)]) == 2
    assert main(["policy", "diff", str(proposed.parent / "x.yaml")]) == 2
    assert "There is no area" in capsys.readouterr().err
