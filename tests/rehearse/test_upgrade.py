"""A home of the newest release, with data, is upgraded to this version, and everything still agrees.

The release is the newest one in CHANGELOG.md. Its demonstration fills a home and leaves the platform's data there.
This version starts on the home: migrations run, topics stay. `verify` recomputes every decision and every due from the
old data. Then the demonstration of this version runs on the same home: new people, a later month, all stories.
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic

from shouwang.runtime.paths import REPOSITORY

from benchmarks.compare.checkout import check_out, resolve

COMMAND_SECONDS_MAX = 900
RELEASE = re.compile(r"^## \d+\.\d+\.\d+ .*?^Commit: `([0-9a-f]{40})`", re.MULTILINE | re.DOTALL)


def test_a_home_of_the_newest_release_is_upgraded_with_its_data(figure: Callable[[str, float], None]) -> None:
    release = newest_release()
    with tempfile.TemporaryDirectory(prefix="shouwang-upgrade-") as folder:
        base, home = Path(folder), Path(folder) / "home"
        old = check_out("release", release, base)
        before, after = old.environment(home), os.environ | {"SHOUWANG_HOME": str(home)}
        before_bin, after_bin = old.folder / ".venv" / "bin", Path(sys.executable).parent
        try:
            run(before_bin, before, "demo", "--once")
            started = monotonic()
            run(after_bin, after, "up")
            figure("seconds_to_start_on_old_data", round(monotonic() - started, 1))
            verified = run(after_bin, after, "verify")
            assert "all is well" in verified
            run(after_bin, after, "demo", "--once")
        finally:
            run(after_bin, after, "down")


def newest_release() -> str:
    """The commit of the first release in CHANGELOG.md."""
    found = RELEASE.search((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert found is not None
    return resolve(found[1])


def run(programs: Path, env: Mapping[str, str], *words: str) -> str:
    """Run `shouwang …` to its end and return its output; the output is part of the failure."""
    command = [str(programs / "shouwang"), *words]
    done = subprocess.run(
        command,
        env=dict(env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=COMMAND_SECONDS_MAX,
    )
    print(done.stdout)
    assert done.returncode == 0, f"shouwang {words[0]}: exit code {done.returncode}"
    return done.stdout
