"""One real PostgreSQL and one real Kafka for the tests of this folder, in a home of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shouwang.runtime import lifecycle
from shouwang.runtime.machine import Runtime


@pytest.fixture(scope="session")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runtime]:
    # a private folder: as root, PostgreSQL's own user could not enter it without help
    runtime = Runtime(tmp_path_factory.mktemp("home"))
    try:
        lifecycle.up(runtime, with_services=False)
        yield runtime
    finally:
        runtime.stop_all()
