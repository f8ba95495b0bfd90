"""Chooses a port for each process of a home and stores it in `run/ports.json`. A restarted process keeps its port."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from shouwang.runtime import processes
from shouwang.runtime.paths import make_private, open_private, write_atomically

PortPolicy = Literal["free", "fixed"]
KAFKA_PORT = 9092
POSTGRES_PORT_PREFERRED = 54320


class Ports:
    """The ports of one home. Policy `free` uses any free ports.

    Policy `fixed` uses the ports in `fixed`, port 9092 for Kafka and, if it is free, 54320 for PostgreSQL. Replicas
    and the Kafka controller get free ports.
    """

    def __init__(self, run: Path, policy: PortPolicy, fixed: dict[str, int]) -> None:
        self.file = run / "ports.json"
        self.policy = policy
        self.fixed = {"kafka": KAFKA_PORT, **fixed}

    def get(self, name: str) -> int:
        """The port of `kafka`, `kafka-controller`, `postgres` or a service's process, chosen on first use."""
        with self._locked():
            known = self.all()
            if name not in known:
                known[name] = self._choose(name, set(known.values()))
                self._write(known)
            return known[name]

    def all(self) -> dict[str, int]:
        """Every port chosen so far."""
        try:
            known: dict[str, int] = json.loads(self.file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return known

    def forget(self, name: str) -> None:
        """Let the next `get` choose a new port, unless the port is fixed."""
        if self.policy == "fixed" and name in self.fixed:
            return
        with self._locked():
            known = self.all()
            known.pop(name, None)
            self._write(known)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with open(make_private(self.file.parent) / "ports.lock", "w", opener=open_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _write(self, known: dict[str, int]) -> None:
        write_atomically(self.file, json.dumps(known, indent=1) + "\n")

    def _choose(self, name: str, taken: set[int]) -> int:
        if self.policy == "fixed":
            if name in self.fixed:
                return self.fixed[name]
            if name == "postgres" and not processes.is_listening(POSTGRES_PORT_PREFERRED):
                return POSTGRES_PORT_PREFERRED
        while True:
            port = processes.free_port()
            if port not in taken:
                return port
