"""The result of a verification: one line per invariant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FAULTS_MAX: Final = 20


@dataclass
class Line:
    """The result for one invariant. `count`: number of checked things. `faults`: the first FAULTS_MAX sentences.
    `fault_count`: the number of all faults."""

    invariant: str
    count: int = 0
    faults: list[str] = field(default_factory=list)
    fault_count: int = 0
    note: str = ""

    def fault(self, text: str) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(text)

    def add(self, faults: Iterable[str]) -> Line:
        for text in faults:
            self.fault(text)
        return self

    def text(self) -> str:
        """The result as text: one line, and one more per listed fault."""
        verdict = "WRONG" if self.fault_count else "ok"
        head = f"{verdict:<6} {self.invariant:<60} {self.count:>9,}"
        if self.note:
            head += f"  {self.note}"
        lines = [head, *(f"         {fault}" for fault in self.faults)]
        more = self.fault_count - len(self.faults)
        if more:
            lines.append(f"         … and {more} more")
        return "\n".join(lines)


@dataclass
class Report:
    lines: list[Line] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not any(line.fault_count for line in self.lines)

    def wrong(self) -> list[Line]:
        return [line for line in self.lines if line.fault_count]

    def text(self) -> str:
        return "\n".join(line.text() for line in self.lines)
