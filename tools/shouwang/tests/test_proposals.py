"""`shouwang policy diff` and `simulate`: the changes and effects of a proposed list, in Chinese sentences."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from identification.simulating.shapes import show_simulation
from identification.simulating.store import Status
from rules.deciding.wording import DUE_STATES, fund_name
from rules.form.policy import load_list
from rules.money.due import DueState
from rules.money.groups import AGE_BANDS, UNKNOWN_AGE, GroupKey, age_band_name
from rules.money.tallies import Group, Money, MoneyKey, Tally
from shouwang.cli import main
from shouwang.policies import simulations
from shouwang.policies.proposals import FOLDER
from shouwang.terminal import display_width

AREA = "530302"
ALLOWANCE = "longevity_allowance"


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


def test_a_higher_amount_is_shown_in_yuan(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raise_allowance(proposed)
    assert main(["policy", "diff", str(proposed)]) == 1
    out = capsys.readouterr().out
    assert "50.00元" in out
    assert "60.00元" in out
    assert "其中影响决定的1处" in out
    assert "麒麟区（530302）" in out
    assert "高龄津贴" in out
    assert ALLOWANCE not in out


def test_the_file_of_one_item_replaces_the_item_in_the_list(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = raise_allowance(proposed)
    elsewhere = Path(shutil.copy(file, proposed.parent / file.name))
    assert main(["policy", "diff", "--area", AREA, "--json", str(elsewhere)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["jurisdiction"], [c["item"] for c in found["changes"]]) == (AREA, ["longevity_allowance"])


def test_a_file_that_is_no_list_is_an_error(proposed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (proposed / "longevity_allowance.yaml").write_text("item: x")
    for path in (proposed, proposed / "longevity_allowance.yaml", proposed / "missing.yaml"):
        assert main(["policy", "diff", str(path)]) == 2
    assert main(["policy", "diff", str(proposed.parent / "x.yaml")]) == 2
    assert "There is no area" in capsys.readouterr().err


def simulated(*, full: bool = True) -> dict[str, Any]:
    """An answer of identification: a higher allowance for 1,200 people, and for two of another county."""
    tally = Tally()
    for county, band, people, fen in ((AREA, "80-89", 1200, 60_000_00), ("530303", "100+", 2, 1_00)):
        tally.groups[GroupKey(county, band)] = Group(
            people=people, changed=people, winners=people, fen_before=fen, fen_after=2 * fen
        )
        key = MoneyKey(date(2026, 12, 1), county, "county", ALLOWANCE, "due")
        tally.money[key] = Money(fen_before=fen, fen_after=2 * fen, payees_before=people, payees_after=people)
    held = MoneyKey(date(2026, 12, 1), AREA, "district", "530302.birthday_gift", "held")
    tally.money[held] = Money(fen_after=50_00, payees_after=1)
    at = datetime(2026, 11, 22, tzinfo=UTC)
    status = Status(
        simulation_id="6f1c",
        jurisdiction=AREA,
        version="v2",
        state="complete",
        fault=None,
        first_month=date(2026, 12, 1),
        months=1,
        known_at=at,
        replayed=False,
        basis="b",
        requested_at=at,
        completed_at=at,
        chunks=1,
        chunks_done=1,
        people=1202,
    )
    titles = {"530302.birthday_gift": "生日慰问"}
    return show_simulation(status, tally, full=full, titles=titles).model_dump(mode="json")


def lines_of(found: dict[str, Any]) -> list[str]:
    return list(simulations.lines(found))


def test_a_simulation_is_shown_without_english_codes() -> None:
    lines = lines_of(simulated())
    assert not re.search("[A-Za-z]", "".join(lines[:-1]))
    text = "\n".join(lines)
    for name in (
        "80至89岁",
        "100岁及以上",
        "合计",
        "高龄津贴",
        "生日慰问",
        "县级财政",
        "区级财政",
        "应发",
        "暂缓发放",
        "120,000.00",
    ):
        assert name in text


def test_the_columns_of_a_simulation_are_aligned() -> None:
    """All lines of a table have the same width, because the last column is aligned to the right."""
    lines = lines_of(simulated())
    first, second, end = (n for n, line in enumerate(lines) if not line)
    for table in (lines[first + 1 : second], lines[second + 1 : end]):
        assert len(table) > 3
        assert len({display_width(line) for line in table}) == 1


def test_suppressed_numbers_are_a_dash_and_lines_with_suppressed_numbers_only_are_left_out() -> None:
    lines = lines_of(simulated(full=False))
    (many,) = (line for line in lines if "麒麟区" in line and "80至89岁" in line)
    assert many.split()[2:8] == ["1200", "1200", "1200", "—", "—", "—"]
    assert not [line for line in lines if "沾益区" in line or "100岁" in line or "生日慰问" in line]


def test_every_fund_state_and_age_band_has_a_chinese_name() -> None:
    funds = {
        version.pay.fund
        for path in FOLDER.iterdir()
        if path.name.isdigit()
        for item in load_list(path).items.values()
        for version in item.versions
        if version.pay
    }
    assert len(funds) > 1
    named = [fund_name(fund) for fund in funds] + [age_band_name(b) for b in (*dict(AGE_BANDS), UNKNOWN_AGE)]
    assert all(re.search("[\u4e00-\u9fff]", name) for name in named)
    assert {*DUE_STATES} == {*get_args(DueState)}
