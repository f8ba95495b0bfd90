"""Create files that only their owner can read, such as keys."""

import os
from pathlib import Path


def create(path: Path, content: bytes) -> None:
    """Create the file with this content, in one step, unless it exists. If several processes do so at once, the first
    one's content stays."""
    fresh = _draft(path, content)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass  # another process was first
    finally:
        fresh.unlink()


def replace(path: Path, content: bytes) -> None:
    """Create the file or replace its content, in one step."""
    _draft(path, content).replace(path)


def _draft(path: Path, content: bytes) -> Path:
    """Write the content to a new file beside `path`, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        os.fsync(file.fileno())
    return fresh
