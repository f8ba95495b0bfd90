"""Where things lie on this machine. Everything but the jars is under one runtime folder, the *home*."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shouwang.problems import LocalProblem

REPOSITORY = Path(__file__).resolve().parents[4]
LOCAL = REPOSITORY / "deploy" / "local"
PROCESSES_FILE = LOCAL / "processes.yaml"
KAFKA_POM = LOCAL / "kafka" / "pom.xml"
TOPICS_FILE = REPOSITORY / "contracts" / "topics.yaml"


def default_home() -> Path:
    """The home that commands use: `SHOUWANG_HOME`, else `.shouwang` in the repository."""
    return Path(os.environ.get("SHOUWANG_HOME") or REPOSITORY / ".shouwang").resolve()


def demo_file(home: Path) -> Path:
    """The file that marks a home as a demonstration's."""
    return home / "demo"


def jars_folder() -> Path:
    """Downloaded jars, shared by all homes so that a test home downloads nothing."""
    return Path(os.environ.get("SHOUWANG_JARS") or REPOSITORY / ".shouwang" / "jars").resolve()


def require_free_space(folder: Path, mib_min: int) -> None:
    """Refuse early when the disk under `folder` has less than `mib_min` MiB; a full disk corrupts slowly."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free_mib = shutil.disk_usage(existing).free // 2**20
    if free_mib < mib_min:
        raise LocalProblem(
            f"The disk under {existing} has {free_mib} MiB free but {mib_min} MiB are needed: "
            "free some space, or point SHOUWANG_HOME at a folder on a larger disk."
        )


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
