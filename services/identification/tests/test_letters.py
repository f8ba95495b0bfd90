"""Every letter of a traits line is known to the migrations, because they reset the lines that lack it."""

import runpy
from collections.abc import Iterator
from pathlib import Path

from rules.form.circumstances import CIRCUMSTANCES

VERSIONS = Path(__file__).parents[1] / "migrations" / "versions"
RESET = "UPDATE persons SET traits = '*' WHERE decision IS NOT NULL"
WITHOUT_NEW = " AND traits IS NOT NULL"  # not for persons about whom no list can decide anything
FIRST = "0002"


def migrations_with_letters() -> Iterator[tuple[str, dict[str, str], str]]:
    """Yield the revision, its new letters with their circumstances, and its text."""
    for path in sorted(VERSIONS.glob("[0-9]*.py")):
        said = runpy.run_path(str(path))
        if "LETTERS" in said:
            yield said["revision"], said["LETTERS"], path.read_text(encoding="utf-8")


def test_a_letter_never_changes_and_a_new_one_comes_with_a_migration() -> None:
    known: dict[str, str] = {}
    for revision, letters, _ in migrations_with_letters():
        assert not known.keys() & letters.keys(), f"migration {revision} uses a letter for the second time"
        known |= letters
    table = {row.letter: row.name for row in CIRCUMSTANCES if row.letter is not None}
    for letter, name in known.items():
        assert table.get(letter) == name, f"stored lines have {name} as {letter!r}: keep the letter and the name"
    new = {letter: name for letter, name in table.items() if letter not in known}
    assert not new, f"add a migration with LETTERS = {new} that says: {RESET}{WITHOUT_NEW}"


def test_a_migration_with_new_letters_resets_the_lines_that_lack_them() -> None:
    for revision, _, text in migrations_with_letters():
        wanted = RESET if revision == FIRST else RESET + WITHOUT_NEW
        assert wanted in text, f"migration {revision} has LETTERS and must say: {wanted}"
