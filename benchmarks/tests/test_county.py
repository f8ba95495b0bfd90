"""Tests of the files of a county and the edits of its lists."""

import json
from pathlib import Path

import pytest
from identification.release.domain import need_sound
from rules.deciding.lists import Lists
from rules.form.policy import PolicyList, from_event, load_lists, to_event_dict
from rules.proof.edits import Edit

from benchmarks.county.edits import EDITS
from benchmarks.county.files import DIVISION, write_files

LISTS = load_lists(Path(__file__).parents[2] / "contracts" / "policy")
PLAIN = f"h:{DIVISION}001 r:{DIVISION}001/home"


def edited(name: str) -> dict[str, PolicyList]:
    area, change = EDITS[name]
    body = to_event_dict(LISTS[area])
    change(body)
    return {**LISTS, area: from_event(body)}


def test_two_files_hold_different_people(tmp_path: Path) -> None:
    files = write_files(tmp_path, {"small": 50, "large": 200})
    contents = [[json.loads(line) for line in file.path.read_bytes().splitlines()] for file in files]
    people = [{event["data"]["person"]["id_number"] for event in events} for events in contents]
    assert [len(events) for events in contents] == [file.rows for file in files]
    assert [len(numbers) for numbers in people] == [50, 200]
    assert not people[0] & people[1]


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_may_be_published(name: str) -> None:
    area, _ = EDITS[name]
    need_sound(edited(name)[area], LISTS, demo=True)


@pytest.mark.parametrize(
    ("name", "plain", "disabled"), [("look", True, True), ("everybody", True, True), ("few", False, True)]
)
def test_an_edit_affects_the_intended_people(name: str, plain: bool, disabled: bool) -> None:
    edit = Edit(Lists(LISTS.values()), Lists(edited(name).values()))
    assert (edit.touches(PLAIN), edit.touches(f"d:4.3 {PLAIN}")) == (plain, disabled)
