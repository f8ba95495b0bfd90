"""Checks Java and provides the jars of Kafka. Maven downloads the jars once into a folder that all homes share."""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from shouwang.runtime.paths import KAFKA_POM, jars_folder, require_free_space, write_atomically
from shouwang.runtime.problems import LocalProblem

JAVA_MAJOR_MIN = 17
DOWNLOAD_MIB = 300
DOWNLOAD_SECONDS_MAX = 900
PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


def java_problem() -> str | None:
    """The reason why a broker cannot run from its jars here, as the beginning of a sentence; None if it can."""
    if shutil.which("java") is None:
        return f"Java ≥ {JAVA_MAJOR_MIN} is not on the PATH"
    major = java_major()
    if major is None or major < JAVA_MAJOR_MIN:
        return f"Java {major or 'of unknown version'} is too old, Kafka needs ≥ {JAVA_MAJOR_MIN}"
    if not jars_are_here() and shutil.which("mvn") is None:
        return "Maven (mvn), which downloads Kafka's jars, is not on the PATH"
    return None


def java_major() -> int | None:
    """The major version of the `java` on the PATH (1.8 is 8); None if it is unknown."""
    output = subprocess.run(["java", "-version"], capture_output=True, text=True).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', output)
    return int(found.group(1)) if found else None


def jars_are_here() -> bool:
    """True if the folder contains the jars that the present `pom.xml` names."""
    stamp = jars_folder() / "stamp"
    return stamp.exists() and stamp.read_text() == _pom_digest()


def ensure_jars(say: Callable[[str], None] = lambda line: None) -> Path:
    """Download Kafka's jars if they are missing; returns their folder. Other processes wait for the download.

    Raises LocalProblem.
    """
    folder = jars_folder()
    if jars_are_here():
        return folder
    require_free_space(folder, DOWNLOAD_MIB)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / ".jars.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars_are_here():
            say("downloading Kafka's jars with Maven (about 45 MB, once)")
            shutil.rmtree(folder, ignore_errors=True)
            _download(folder)
            write_atomically(folder / "stamp", _pom_digest())
    return folder


def _download(folder: Path) -> None:
    command = ["mvn", "-B", "-ntp", "-q", "-f", str(KAFKA_POM), PLUGIN, "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={folder}"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        raise LocalProblem(
            "Maven did not finish downloading Kafka within 15 minutes: check the network and try again."
        ) from None
    if done.returncode != 0:
        raise LocalProblem(
            f"Maven could not download Kafka ({_first_error(done)}): check the network, or set SHOUWANG_KAFKA."
        )


def _first_error(done: subprocess.CompletedProcess[str]) -> str:
    for line in done.stdout.splitlines():
        if line.startswith("[ERROR]"):
            return line.removeprefix("[ERROR]").strip()
    return done.stderr.strip()


def _pom_digest() -> str:
    return hashlib.sha256(KAFKA_POM.read_bytes()).hexdigest()
