"""Where things lie on this machine. Everything but the jars is under one runtime folder, the *home*."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shouwang.runtime.problems import LocalProblem

REPOSITORY = Path(__file__).resolve().parents[5]
LOCAL = REPOSITORY / "deploy" / "local"
PROCESSES_FILE = LOCAL / "processes.yaml"
KAFKA_POM = LOCAL / "kafka" / "pom.xml"
PRIVATE_UMASK = 0o077  # of every process that the runtime starts
# Folders of the default home that hold no data of a person: Kafka's jars, and the tests' own PostgreSQL.
PUBLIC = frozenset({"jars", "test-postgres"})
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


def make_private(folder: Path) -> Path:
    """The folder, made if need be. Only its owner can enter it and the folders that are made above it."""
    for each in reversed((folder, *folder.parents)):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    return folder


def open_private(path: str, flags: int) -> int:
    """An opener for `open`: only the owner can read the file that it creates."""
    return os.open(path, flags, 0o600)


def close_to_others(home: Path) -> None:
    """Close a home to other users of the machine, also one that an earlier version left open.

    PostgreSQL runs as a user of its own where root starts it. That user has to walk through the home to its data, so
    the home of root can be entered, but not listed. The downloaded jars are public and stay as they are.
    """
    make_private(home).chmod(0o711 if os.geteuid() == 0 else 0o700)
    for path in home.iterdir():
        if path.name not in PUBLIC and not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(0o700 if path.is_dir() else 0o600)


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new one, never half of it. Only the owner can read it."""
    make_private(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(draft, "w", encoding="utf-8", opener=open_private) as file:
        file.write(text)
    draft.replace(path)
