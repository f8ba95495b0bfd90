"""The server that test processes share. It is started once and ends after its last user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from shouwang.runtime import processes

USER = """
import sys, asyncio, asyncpg
from pathlib import Path
from shouwang.testing import shared_postgres
url = shared_postgres(Path(sys.argv[1]))
async def ask() -> None:
    connection = await asyncpg.connect(f"{url}/postgres")
    assert await connection.fetchval("SELECT 1") == 1
    await connection.close()
asyncio.run(ask())
print(url, flush=True)
sys.stdin.read()
"""


def _user(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_users_at_once_share_one_server_and_it_ends_after_the_last_even_if_that_is_killed(tmp_path: Path) -> None:
    with _user(tmp_path) as one, _user(tmp_path) as two:
        assert one.stdout is not None
        assert two.stdout is not None
        urls = {one.stdout.readline(), two.stdout.readline()}
        server = processes.living_pid(tmp_path / "postgres.pid")
        one.communicate("")
        assert server is not None
        assert len(urls) == 1
        assert not processes.is_gone(server)
        two.kill()
    assert processes.wait_until(lambda: processes.is_gone(server) and not (tmp_path / "data").exists(), 30)
    assert processes.wait_until(lambda: not (tmp_path / "watcher.pid").exists(), 10)
