"""Finds all rehearsals: the entries of `rehearsals.yaml`, and every test file of `tests/rehearse`."""

import ast
import re
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem

LIST = Path(__file__).with_name("rehearsals.yaml")
TESTS = REPOSITORY / "tests" / "rehearse"
NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")
PROGRAMS = ("pytest", "python")
REQUIRED_FIELDS = {"name", "shows", "command", "minutes"}
FIELDS = REQUIRED_FIELDS | {"env"}
MINUTES_MAX = 240
MINUTES_UNLISTED = 20
LIMIT_FACTOR = 3  # a shared machine may take three times as long as a free one


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A check that takes long. `shows`: its purpose. `command` begins with `pytest` or `python`. `minutes` is rough;
    `seconds_max` is the time limit."""

    name: str
    shows: str
    command: tuple[str, ...]
    minutes: int
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds_max(self) -> float:
        return self.minutes * 60.0 * LIMIT_FACTOR


def load(file: Path = LIST, tests: Path = TESTS) -> list[Rehearsal]:
    """All rehearsals, those of the list first. Raises LocalProblem with the position of the first fault."""
    listed = [_parse(entry, f"{file.name}, entry {number}") for number, entry in enumerate(_entries(file), 1)]
    words = {word for rehearsal in listed for word in rehearsal.command}
    unlisted = [path for path in sorted(tests.glob("test_*.py")) if _shown(path) not in words]
    rehearsals = [*listed, *(_from_test_file(path) for path in unlisted)]
    _require_unique_names(rehearsals, file)
    return rehearsals


def _require_unique_names(rehearsals: Sequence[Rehearsal], file: Path) -> None:
    counts = Counter(rehearsal.name for rehearsal in rehearsals)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        raise LocalProblem(f"{file.name}: two rehearsals have the name {', '.join(twice)}.")


def choose(rehearsals: Sequence[Rehearsal], only: Sequence[str]) -> list[Rehearsal]:
    """The rehearsals named in `only`, or all if it is empty. Raises LocalProblem for an unknown name."""
    names = [rehearsal.name for rehearsal in rehearsals]
    if unknown := sorted(set(only) - set(names)):
        raise LocalProblem(f"There is no rehearsal {', '.join(unknown)}: choose from {', '.join(names)}.")
    return [rehearsal for rehearsal in rehearsals if not only or rehearsal.name in only]


def _entries(file: Path) -> list[Any]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("rehearsals"), list):
        raise LocalProblem(f"{file.name}: the key `rehearsals` with a list is missing.")
    return list(content["rehearsals"])


def _parse(entry: Any, position: str) -> Rehearsal:
    if not isinstance(entry, dict) or not REQUIRED_FIELDS <= set(entry) <= FIELDS:
        raise LocalProblem(f"{position}: it needs name, shows, command and minutes, may have env, and nothing else.")
    env = {str(key): str(value) for key, value in (entry.get("env") or {}).items()}
    return Rehearsal(
        name=_parse_name(str(entry["name"]), position),
        shows=str(entry["shows"]),
        command=_parse_command(str(entry["command"]), position),
        minutes=_parse_minutes(entry["minutes"], position),
        env=env,
    )


def _parse_name(name: str, position: str) -> str:
    if not NAME.fullmatch(name):
        raise LocalProblem(f"{position}: `{name}` is no name: use lower-case letters, digits and hyphens.")
    return name


def _parse_minutes(minutes: Any, position: str) -> int:
    if not isinstance(minutes, int) or not 1 <= minutes <= MINUTES_MAX:
        raise LocalProblem(f"{position}: minutes must be a whole number from 1 to {MINUTES_MAX}.")
    return minutes


def _parse_command(text: str, position: str) -> tuple[str, ...]:
    command = tuple(shlex.split(text))
    if not command or command[0] not in PROGRAMS:
        raise LocalProblem(f"{position}: the command must start with {' or '.join(PROGRAMS)}.")
    return command


def _from_test_file(path: Path) -> Rehearsal:
    """Make a rehearsal of a test file: its name from the file, its purpose from the first line of the docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise LocalProblem(f"{_shown(path)}: its docstring must say what it shows.")
    name = path.stem.removeprefix("test_").replace("_", "-")
    return Rehearsal(name, docstring.splitlines()[0], ("pytest", _shown(path)), MINUTES_UNLISTED)


def _shown(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix() if path.is_relative_to(REPOSITORY) else str(path)
