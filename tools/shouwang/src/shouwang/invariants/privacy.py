"""Searches topics and logs for the names and ID numbers of a sample of the vault. No topic and no log may contain them.

The inbound topics of sources are not searched. The topic of the lists is searched for ID numbers only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from shell.privacy import Keys, Vault
from shell.store.database import Database

from shouwang.invariants.report import Line

SAMPLE_PERSONS_MAX: Final = 2_000
NAME_CHARACTERS_MIN: Final = 2
# Public texts name no person, but may contain two characters that are also a name.
_WITHOUT_NAME_SEARCH: Final = frozenset({"policy.release"})
_NUMBER: Final = re.compile(rb"(?<![0-9])[0-9]{17}[0-9Xx](?![0-9])")
# Characters of three bytes from U+3000 on, of the supplementary planes 2 and 3, and the dot in names (·).
_CHINESE: Final = re.compile(rb"(?:[\xe3-\xe9][\x80-\xbf]{2}|\xf0[\xa0-\xb3][\x80-\xbf]{2}|\xc2\xb7){2,}")
_ESCAPED: Final = re.compile(rb"(?:\\u[0-9a-fA-F]{4}){2,}")


async def load_secrets(database: Database, home: Path) -> tuple[set[bytes], set[str], int]:
    """Decrypt a sample of the vault with the keys of this home; returns ID numbers, names and the number of persons."""
    vault = Vault(Keys.load(home / "keys" / "vault.json"))
    async with database.reading() as connection:
        rows = await connection.fetch(
            """SELECT person_id, field, sealed FROM vault WHERE person_id IN
                 (SELECT person_id FROM vault WHERE field = 'id_number' ORDER BY person_id DESC LIMIT $1)""",
            SAMPLE_PERSONS_MAX,
        )
    numbers, names = set(), set()
    for person_id, field, sealed in rows:
        value = vault.open(sealed, f"{person_id}/{field}".encode())
        if field == "id_number":
            numbers.add(value)
        elif field == "name" and len(value.decode()) >= NAME_CHARACTERS_MIN:
            names.add(value.decode())
    return numbers, names, len(numbers)


class Secrets:
    """Searches records and logs for these ID numbers and names. `topics` and `logs` are the results.

    Names of Chinese characters are found, also rare ones and names with `·`. A fault gives the place only, never the
    value.
    """

    def __init__(self, numbers: set[bytes], names: set[str]) -> None:
        self._numbers = numbers
        self._names = names
        self._lengths = sorted({len(name) for name in names})
        self.topics = Line("nobody's name or number on any topic")
        self.logs = Line("nobody's name or number in any log")

    def check(self, record: Any) -> None:
        self.topics.count += 1
        parts = [record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)]
        found = self._found(b"\n".join(parts), with_names=record.topic not in _WITHOUT_NAME_SEARCH)
        if found:
            self.topics.fault(f"{record.topic}[{record.partition}]@{record.offset}: {found}")

    def check_logs(self, files: Iterable[Path]) -> Line:
        """Search logs of any size, line by line; returns `logs`."""
        for file in files:
            with file.open("rb") as lines:
                for number, text in enumerate(lines, 1):
                    self.logs.count += 1
                    found = self._found(text, with_names=True)
                    if found:
                        self.logs.fault(f"{file.name}, line {number}: {found}")
        return self.logs

    def _found(self, text: bytes, *, with_names: bool) -> str | None:
        """The kind of personal data that the text contains; None if it contains none of the sample."""
        if any(number.upper() in self._numbers for number in _NUMBER.findall(text)):
            return "an ID number"
        if with_names and any(self._names_in(run) for run in _chinese(text)):
            return "a name"
        return None

    def _names_in(self, run: str) -> bool:
        return any(
            run[start : start + length] in self._names
            for length in self._lengths
            for start in range(len(run) - length + 1)
        )


def _chinese(text: bytes) -> Iterable[str]:
    """Yield each run of at least two Chinese characters, written in UTF-8 or with JSON escapes."""
    for run in _CHINESE.findall(text):
        yield run.decode("utf-8", "replace")
    if b"\\u" in text:
        for run in _ESCAPED.findall(text):
            yield json.loads(b'"' + run + b'"')
