"""The glossary: one entry per word, in Chinese and in English."""

from collections import Counter
from pathlib import Path
from typing import get_args

import yaml
from common.events.facts import Kind

GLOSSARY = Path(__file__).resolve().parents[1] / "contracts" / "glossary.md"


def entries() -> list[list[str]]:
    rows = [line.split("|") for line in GLOSSARY.read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row[1:-1]] for row in rows]
    return [row for row in cells if len(row) == 3 and row[0] != "中文" and set(row[0]) != {"-"}]


def test_every_word_has_one_entry_with_a_meaning() -> None:
    found = entries()
    assert len(found) > 100
    assert all(chinese and name and meaning for chinese, name, meaning in found)
    terms = Counter(chinese for chinese, _, _ in found)
    names = Counter(one.strip("`") for _, name, _ in found for one in name.split(" / "))
    assert not [word for word, count in (terms + names).items() if count > 1]


def test_every_kind_of_fact_is_explained() -> None:
    explained = " ".join(cell for row in entries() for cell in row)
    assert not [kind for kind in get_args(Kind) if f"`{kind}`" not in explained]


def test_every_treatment_of_foreign_sources_is_described() -> None:
    root = GLOSSARY.parents[1]
    rules = yaml.safe_load((root / "contracts" / "sources.yaml").read_text())["standing"]
    described = (root / "docs" / "standing.md").read_text()
    assert not [word for word in {*rules["others"].values(), *rules["strict"]} if f"`{word}`" not in described]
