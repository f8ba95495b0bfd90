"""The decision records: one form, at most one page, all in the index, and every named file exists."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DECISIONS = ROOT / "docs" / "decisions"
RECORDS = sorted(DECISIONS.glob("[0-9]*.md"))
WORDS_MAX = 500
FORM = re.compile(
    r"# (?P<number>\d+)\. (?P<title>[^\n]+)\n\n"
    r"\*\*Status\.\*\* (?P<status>Accepted|Superseded by \d+)\b[^\n]*\n\n"
    r"\*\*Date\.\*\* (?P<date>\d{4}-\d\d-\d\d)\.\n\n"
    r"\*\*Context\.\*\* .+\n\n\*\*Decision\.\*\*.+\n\n\*\*Consequences\.\*\*.+\n\n\*\*Enforced by\*\* .+",
    re.DOTALL,
)
LINK = re.compile(r"docs/decisions/\d[^\s)#`]*\.md|\]\(([^)\s#]*\d{4}-[^)\s#]*\.md)[^)]*\)")
NAMED = re.compile(r"`([^`\s*]+\.(?:py|yaml))`")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_every_record_has_the_form_and_is_in_the_index(record: Path) -> None:
    text = record.read_text()
    found = FORM.fullmatch(text.rstrip("\n"))
    assert found, "a heading is missing, or they are in another order"
    assert len(text.split()) <= WORDS_MAX
    number, title, status, date = found.group("number", "title", "status", "date")
    assert record.name.startswith(f"{int(number):04}-")
    row = f"| {number} | [{title}]({record.name}) | {status} | {date} | "
    assert row in (DECISIONS / "README.md").read_text()


def test_records_are_numbered_without_gaps() -> None:
    assert [int(record.name[:4]) for record in RECORDS] == list(range(1, len(RECORDS) + 1))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem)
def test_every_file_that_a_record_names_exists(record: Path) -> None:
    files = tracked()
    named = NAMED.findall(record.read_text())
    assert not [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)]


def test_every_link_to_a_record_leads_to_one() -> None:
    broken = []
    for name in tracked():
        path = ROOT / name
        if path.suffix not in {".md", ".py", ".yaml", ".toml", ".sh"} or not path.is_file():
            continue
        for link in LINK.finditer(path.read_text()):
            target = path.parent / link.group(1) if link.group(1) else ROOT / link.group(0)
            if not target.is_file():
                broken.append(f"{name}: {link.group(0)}")
    assert not broken
