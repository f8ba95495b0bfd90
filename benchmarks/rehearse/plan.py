"""Which rehearsals there are: those of `rehearsals.yaml`, and every test file of `tests/rehearse`."""

import ast
import re
import shlex
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
FIELDS = {"name", "shows", "command", "env", "minutes"}
MINUTES_MAX = 240
MINUTES_UNLISTED = 20
LIMIT_FACTOR = 3  # a shared machine may take three times as long as a free one


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """`command` begins with `pytest` or `python`; `minutes` is rough, `seconds_max` is the time limit."""

    name: str
    shows: str
    command: tuple[str, ...]
    minutes: int
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds_max(self) -> float:
        return self.minutes * 60.0 * LIMIT_FACTOR


def load(file: Path = LIST, tests: Path = TESTS) -> list[Rehearsal]:
    """All rehearsals, those of the list first. Raises LocalProblem with the place of the first fault."""
    listed = [_parse(entry, f"{file.name}, entry {at}") for at, entry in enumerate(_entries(file), 1)]
    words = {word for one in listed for word in one.command}
    found = [_of_test(path) for path in sorted(tests.glob("test_*.py")) if _shown(path) not in words]
    everything = [*listed, *found]
    names = [one.name for one in everything]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise LocalProblem(f"{file.name}: two rehearsals have the name {', '.join(twice)}.")
    return everything


def choose(rehearsals: Sequence[Rehearsal], only: Sequence[str]) -> list[Rehearsal]:
    """Those named in `only`, or all. Raises LocalProblem if there is none of that name."""
    names = [one.name for one in rehearsals]
    if unknown := sorted(set(only) - set(names)):
        raise LocalProblem(f"There is no rehearsal {', '.join(unknown)}: choose from {', '.join(names)}.")
    return [one for one in rehearsals if not only or one.name in only]


def _entries(file: Path) -> list[Any]:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not isinstance(content.get("rehearsals"), list):
        raise LocalProblem(f"{file.name}: the key `rehearsals` with a list is missing.")
    return list(content["rehearsals"])


def _parse(entry: Any, place: str) -> Rehearsal:
    if not isinstance(entry, dict) or not FIELDS - {"env"} <= set(entry) <= FIELDS:
        raise LocalProblem(f"{place}: it needs name, shows, command and minutes, may have env, and nothing else.")
    name, minutes, command = str(entry["name"]), entry["minutes"], tuple(shlex.split(str(entry["command"])))
    if not NAME.fullmatch(name):
        raise LocalProblem(f"{place}: `{name}` is no name: use lower-case letters, digits and hyphens.")
    if not isinstance(minutes, int) or not 1 <= minutes <= MINUTES_MAX:
        raise LocalProblem(f"{place}: minutes must be a whole number from 1 to {MINUTES_MAX}.")
    if command[:1] not in [(program,) for program in PROGRAMS]:
        raise LocalProblem(f"{place}: the command must start with {' or '.join(PROGRAMS)}.")
    env = {str(key): str(value) for key, value in (entry.get("env") or {}).items()}
    return Rehearsal(name, str(entry["shows"]), command, minutes, env)


def _of_test(path: Path) -> Rehearsal:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    if not said:
        raise LocalProblem(f"{_shown(path)}: its docstring must say what it shows.")
    name = path.stem.removeprefix("test_").replace("_", "-")
    return Rehearsal(name, said.splitlines()[0], ("pytest", _shown(path)), MINUTES_UNLISTED)


def _shown(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix() if path.is_relative_to(REPOSITORY) else str(path)
