"""Makes the work of both sides: the same people and changes, byte for byte, made by this checkout."""

from dataclasses import dataclass

from benchmarks.people import Events, make_population

DEATHS_EVERY = 500


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a comparison. Single changes are measured for `seconds`, after `warm_up_seconds`.

    `changes`: of the burst. `probe`: single changes that find the capacity of A, pushed without a pause.
    """

    pairs: int
    people: int
    changes: int
    seconds: int
    warm_up_seconds: int
    probe: int

    def singles(self, rate: int) -> int:
        """Single changes of one run, including the warm-up."""
        return rate * (self.warm_up_seconds + self.seconds)


# Five full pairs take an estimated 30 to 40 minutes on two free cores. The quick size is too short to judge by.
FULL = Size(pairs=5, people=10_000, changes=30_000, seconds=45, warm_up_seconds=5, probe=4_000)
QUICK = Size(pairs=2, people=2_000, changes=6_000, seconds=15, warm_up_seconds=5, probe=1_500)


@dataclass(frozen=True, slots=True)
class Work:
    """The events of one run. `load`: the people on the first day. The other fields follow in this order."""

    load: Events
    warm_up: Events
    singles: Events
    burst: Events

    @property
    def sources(self) -> list[str]:
        """Every source that pushes an event."""
        parts = (self.load, self.warm_up, self.singles, self.burst)
        return sorted({event.source for part in parts for event in part})


def prepare(size: Size, rate: int) -> Work:
    """Make the work of one run, from a fixed seed. Both commits must accept the events of this checkout."""
    singles = size.singles(rate)
    population = make_population(size.people, singles + size.changes, deaths_every=DEATHS_EVERY)
    changes, warm_up = population.changes, rate * size.warm_up_seconds
    return Work(population.load, changes[:warm_up], changes[warm_up:singles], changes[singles:])
