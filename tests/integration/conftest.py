"""The whole platform on this machine, started once for all journeys: real Kafka, real PostgreSQL, every service."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from shouwang.runtime import Runtime


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="shouwang-journeys-"))
    before = os.environ.get("SHOUWANG_HOME")
    os.environ["SHOUWANG_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["SHOUWANG_HOME"]
    else:
        os.environ["SHOUWANG_HOME"] = before
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def stores(home: Path) -> Iterator[Runtime]:
    """Kafka with the platform's topics and PostgreSQL with the services' databases, but no service."""
    runtime = Runtime(home, ports="free")
    runtime.start_stores()
    runtime.create_topics()
    yield runtime
    runtime.stop_all()
