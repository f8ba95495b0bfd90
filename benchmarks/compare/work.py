"""The work that both sides do: the same people and the same changes, byte for byte, made once by this checkout."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.people import Pushed, make

DEATHS_EVERY = 500


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. `rate`: single changes a second, measured for `seconds` after `warm_up_seconds`.

    `probe`: single changes that are pushed as fast as they are answered, to find the capacity.
    """

    pairs: int
    people: int
    changes: int
    seconds: int
    warm_up_seconds: int
    probe: int

    def singles(self, rate: int) -> int:
        """Single changes of one run, those of the warm-up included."""
        return rate * (self.warm_up_seconds + self.seconds)


# By the times of the quick size, five pairs take 30 to 40 minutes on two free cores. The quick size says less.
FULL = Size(pairs=5, people=10_000, changes=30_000, seconds=45, warm_up_seconds=5, probe=4_000)
QUICK = Size(pairs=2, people=2_000, changes=6_000, seconds=15, warm_up_seconds=5, probe=1_500)


@dataclass(frozen=True, slots=True)
class Work:
    """`load`: the people on the first day. The changes are used in this order: warm-up, singles, burst."""

    load: Sequence[Pushed]
    warm_up: Sequence[Pushed]
    singles: Sequence[Pushed]
    burst: Sequence[Pushed]

    @property
    def sources(self) -> list[str]:
        """Every source that pushes something."""
        parts = (self.load, self.warm_up, self.singles, self.burst)
        return sorted({one.source for part in parts for one in part})


def prepare(size: Size, rate: int) -> Work:
    """The work of one run. Valid on every commit that understands today's events; made from a fixed seed."""
    singles = size.singles(rate)
    made = make(size.people, singles + size.changes, deaths_every=DEATHS_EVERY)
    warm = rate * size.warm_up_seconds
    return Work(made.load, made.changes[:warm], made.changes[warm:singles], made.changes[singles:])
