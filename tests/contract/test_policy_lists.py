"""The lists of the repository pass `shouwang policy lint`, and the command fails for faulty lists."""

import json
import shutil
from pathlib import Path

import pytest
from common.codes import divisions
from rules.form.policy import load_lists
from rules.proof.inclusion import prove_all
from shouwang.cli import main
from shouwang.policies.lint_report import report

POLICY = Path(__file__).parents[2] / "contracts" / "policy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(POLICY, tmp_path / "policy"))


def spoil(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after), encoding="utf-8")


def test_the_lists_of_the_repository_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policy", "lint"]) == 0
    output = capsys.readouterr().out
    assert "错误0处，低于上级0处" in output
    assert output.count("  偏离 ") == sum(len(i.deviating) for i in prove_all(load_lists(POLICY), demo=True)) > 0


def test_a_person_who_loses_is_shown_and_the_command_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder / "530302" / "longevity_allowance.yaml", "      age_years_min: 80\n", "      age_years_min: 85\n")
    assert main(["policy", "lint", "--folder", str(folder)]) == 1
    output = capsys.readouterr().out
    assert "530302 麒麟区：低于上级" in output
    assert "户籍在麒麟区、80周岁" in output
    assert output.rstrip().splitlines()[-1].startswith("不通过")


def test_an_area_is_checked_with_the_areas_in_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "530303" / "longevity_allowance.yaml").unlink()
    (folder / "530303").rmdir()  # the floor also binds a county without a list
    assert main(["policy", "lint", "--area", "530300", "--json", "--folder", str(folder)]) == 1
    output = json.loads(capsys.readouterr().out)
    children = {i["child"] for i in output["inclusions"]}
    assert children == {"530300", *divisions.children("530300")}
    assert {i["child"] for i in output["inclusions"] if i["narrower"]} == {"530303"}
    assert main(["policy", "lint", "--area", "530302", "--folder", str(folder)]) == 0
    province = {"140000", "140700", "140900", "141100", "141125"}
    assert {i.child for i in report(folder, "140000").inclusions} == province


def test_a_file_that_cannot_be_read_is_one_finding(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(folder / "530302" / "longevity_allowance.yaml", "item: longevity_allowance", "item: bonus")
    assert main(["policy", "lint", "--folder", str(folder)]) == 1
    assert "malformed" in capsys.readouterr().out


def test_a_lint_error_alone_fails(folder: Path) -> None:
    spoil(folder / "530302" / "longevity_allowance.yaml", "amount_fen: 10000", "amount_fen: 100")
    found = report(folder, "530302")
    assert not found.ok
    assert "amount_falls" in {f.code for f in found.findings}


def test_a_missing_folder_or_area_is_reported(tmp_path: Path) -> None:
    assert main(["policy", "lint", "--area", "999999"]) == 2
    assert main(["policy", "lint", "--folder", str(tmp_path / "nowhere")]) == 2
