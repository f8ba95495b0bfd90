"""What was checked, how much of it, and what was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

FAULTS_MAX: Final = 20


@dataclass
class Line:
    """One invariant. `count`: how many things were looked at; `faults`: at most FAULTS_MAX, and how many in all."""

    what: str
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
        """One line when all is well, with the faults below it when not."""
        head = f"{'ok' if not self.fault_count else 'WRONG':<6} {self.what:<60} {self.count:>9,}"
        head += f"  {self.note}" if self.note else ""
        more = self.fault_count - len(self.faults)
        rest = [f"         {fault}" for fault in self.faults] + ([f"         … and {more} more"] if more else [])
        return "\n".join([head, *rest])


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
