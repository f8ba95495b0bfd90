"""Only the owner can read the files of a home."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from shouwang.runtime import processes
from shouwang.runtime.machine import Runtime
from shouwang.runtime.paths import close_to_others, make_private, write_atomically


@pytest.fixture
def open_umask() -> Iterator[None]:
    """A umask that gives all users access to new files."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(home: Path) -> list[str]:
    """The paths inside a home that another user may read, write or enter."""
    return sorted(
        f"{path.relative_to(home)} {stat.S_IMODE(path.lstat().st_mode):o}"
        for path in home.rglob("*")
        if not path.is_symlink() and path.lstat().st_mode & 0o077
    )


def may_be_listed(folder: Path) -> bool:
    return bool(folder.stat().st_mode & 0o066)


def test_running_stores_leave_no_file_that_another_user_can_read(stores: Runtime) -> None:
    there = {path.name for path in stores.home.iterdir()}
    assert there >= {"kafka", "logs", "postgres", "run"}
    assert open_to_others(stores.home) == []
    assert not may_be_listed(stores.home)


@pytest.mark.usefixtures("open_umask")
def test_a_process_writes_files_for_its_owner_only(tmp_path: Path) -> None:
    home = tmp_path / "home"
    script = f"import pathlib; p = pathlib.Path({str(home / 'made')!r}); p.mkdir(); (p / 'file').write_text('x')"
    pid = processes.spawn([sys.executable, "-c", script], log=home / "logs/x.log", pid_file=home / "run/x.pid")
    assert processes.wait_until(lambda: processes.is_gone(pid), 30)
    assert (home / "made/file").read_text() == "x"
    assert open_to_others(home) == []
    assert not may_be_listed(home)


@pytest.mark.usefixtures("open_umask")
def test_files_of_the_commands_are_for_the_owner_only(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "home")
    runtime.ports.get("postgres")
    runtime.mark_demo()
    write_atomically(runtime.home / "deep/er/file", "x")
    assert open_to_others(runtime.home) == []
    assert not may_be_listed(runtime.home)


@pytest.mark.usefixtures("open_umask")
def test_a_home_that_was_left_open_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for folder in ("logs", "spool", "jars"):
        (home / folder).mkdir(parents=True)
        (home / folder / "file").touch()
    (home / "clock").touch()
    close_to_others(home)
    closed = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert closed == {"logs": 0o700, "spool": 0o700, "clock": 0o600, "jars": 0o777}
    assert not may_be_listed(home)
    assert bool(home.stat().st_mode & 0o001) == (os.geteuid() == 0)  # PostgreSQL's user passes through the home


@pytest.mark.usefixtures("open_umask")
def test_a_folder_is_created_with_its_parents_and_an_existing_one_is_kept(tmp_path: Path) -> None:
    made = make_private(tmp_path / "a/b/c")
    assert make_private(made) == made
    assert open_to_others(tmp_path) == []
