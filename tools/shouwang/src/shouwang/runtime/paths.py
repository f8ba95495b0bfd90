"""Names the files of a runtime and keeps them private.

One folder, the *home*, has all data, logs and pid files of a runtime. The jars of Kafka are outside of it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from shouwang.runtime.problems import LocalProblem

REPOSITORY = Path(__file__).resolve().parents[5]
LOCAL = REPOSITORY / "deploy" / "local"
PROCESSES_FILE = LOCAL / "processes.yaml"
KAFKA_POM = LOCAL / "kafka" / "pom.xml"
PRIVATE_UMASK = 0o077  # for every process that the runtime starts
# Folders of the default home that hold no data of a person: Kafka's jars, and the tests' own PostgreSQL.
PUBLIC = frozenset({"jars", "test-postgres"})


def default_home() -> Path:
    """The home that commands use: `SHOUWANG_HOME`, else `.shouwang` in the repository (the *default home*)."""
    return Path(os.environ.get("SHOUWANG_HOME") or REPOSITORY / ".shouwang").resolve()


def demo_file(home: Path) -> Path:
    """The file that marks a home as a demonstration's."""
    return home / "demo"


def jars_folder() -> Path:
    """The folder of the downloaded jars. All homes share it, so a test home downloads nothing."""
    return Path(os.environ.get("SHOUWANG_JARS") or REPOSITORY / ".shouwang" / "jars").resolve()


def require_free_space(folder: Path, mib_min: int) -> None:
    """Raise LocalProblem when the disk under `folder` has less than `mib_min` MiB free."""
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
    """Create the folder and missing parents, so that only their owner can enter them; returns the folder."""
    for each in reversed((folder, *folder.parents)):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)
    return folder


def open_private(path: str, flags: int) -> int:
    """Open a file for `open(opener=…)`; returns its descriptor. Only the owner can read a file that it creates."""
    return os.open(path, flags, 0o600)


def close_to_others(home: Path) -> None:
    """Remove the permissions of other users for a home and its files.

    If root starts PostgreSQL, it runs as another user, who must pass through the home. So other users can enter the
    home of root, but cannot list it. The folders in PUBLIC keep their permissions.
    """
    make_private(home).chmod(0o711 if os.geteuid() == 0 else 0o700)
    for path in home.iterdir():
        if path.name not in PUBLIC and not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(0o700 if path.is_dir() else 0o600)


def write_atomically(path: Path, text: str) -> None:
    """Replace a file atomically: readers see the old text or the new one. Only the owner can read it."""
    make_private(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with open(draft, "w", encoding="utf-8", opener=open_private) as file:
        file.write(text)
    draft.replace(path)
