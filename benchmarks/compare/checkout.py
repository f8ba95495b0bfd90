"""Writes the files of a commit to a separate folder with its own Python packages, apart from the comparing checkout."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shouwang.runtime.java import ensure_jars
from shouwang.runtime.paths import KAFKA_POM, REPOSITORY, jars_folder
from shouwang.runtime.problems import LocalProblem

from benchmarks.environment import own_environment

ARCHIVE_SECONDS_MAX = 120
SYNC_SECONDS_MAX = 900
LOG_LINES = 12
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True, slots=True)
class Checkout:
    """An installed commit. `label`: A or B. `commit`: full hash. `folder`: its files and `.venv`. `jars`: the folder of
    its Kafka."""

    label: str
    commit: str
    folder: Path
    jars: Path

    def environment(self, home: Path) -> dict[str, str]:
        """Environment variables for commands of this commit on `home`, without settings of other installations."""
        return own_environment() | {"SHOUWANG_HOME": str(home), "SHOUWANG_JARS": str(self.jars)}


def resolve(revision: str) -> str:
    """The full hash of a commit. Raises LocalProblem if there is no such commit here."""
    found = run(["git", "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}"], cwd=REPOSITORY)
    if found.returncode != 0:
        raise LocalProblem(f"`{revision}` is no commit of this repository: see `git log`.")
    return found.stdout.strip()


def check_out(label: str, commit: str, base: Path) -> Checkout:
    """Write the files of a commit below `base` and install its packages. Raises LocalProblem if a step fails."""
    folder = base / f"commit-{label.lower()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _extract(commit, folder)
    _install(commit, folder)
    return Checkout(label, commit, folder, _jars(folder, base))


def _extract(commit: str, folder: Path) -> None:
    # An archive, not a worktree: a killed run leaves no entry in the repository.
    archive = folder.with_suffix(".tar")
    pack = ["git", "archive", f"--output={archive}", commit]
    unpack = ["tar", "-xf", str(archive), "-C", str(folder)]
    for command in (pack, unpack):
        _require(run(command, cwd=REPOSITORY), f"The files of {commit[:10]} could not be written")
    archive.unlink()


def _install(commit: str, folder: Path) -> None:
    uv = shutil.which("uv") or str(REPOSITORY / ".tools" / "bin" / "uv")
    env = own_environment() | {"UV_PYTHON_DOWNLOADS": "never"}
    python = getattr(sys, "_base_executable", sys.executable)  # not the one of the comparing checkout's .venv
    create = ["venv", "--quiet", "--python", python]
    sync = ["sync", "--locked", "--no-dev", "--quiet", "--compile-bytecode"]
    for words in (create, sync):
        done = run([uv, *words], cwd=folder, env=env, seconds=SYNC_SECONDS_MAX)
        _require(done, f"The packages of {commit[:10]} could not be installed")


def _require(done: Done, failure: str) -> None:
    if done.returncode != 0:
        raise LocalProblem(f"{failure}:\n{tail(done.stderr)}")


def _jars(folder: Path, base: Path) -> Path:
    """The folder of the shared jars if this commit needs the same ones; else a folder for its own jars."""
    pom = _kafka_pom(folder)
    if pom == _kafka_pom(REPOSITORY):
        ensure_jars()
        return jars_folder()
    return base / f"jars-{hashlib.sha256(pom).hexdigest()[:12]}"


def tail(output: str) -> str:
    """The last lines of an output, for an error message."""
    return "\n".join(output.splitlines()[-LOG_LINES:])


def _kafka_pom(folder: Path) -> bytes:
    return (folder / KAFKA_POM.relative_to(REPOSITORY)).read_bytes()


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None, seconds: float = ARCHIVE_SECONDS_MAX
) -> Done:
    """Run a command and capture its output. Raises LocalProblem if it takes longer than `seconds`."""
    try:
        return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise LocalProblem(f"`{' '.join(command[:3])}` did not end within {seconds:.0f} s.") from None
