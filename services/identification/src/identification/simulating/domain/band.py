"""The band: how far the effect of a published list may differ from its signed simulation before it is halted.

The people decided so far are compared with the simulation of the same people, so that their order does not matter. At
the end, all people are compared with the whole simulation.
"""

from typing import Final, NamedTuple

from rules.money.effects import Figures

_PER_MILLE: Final = 1000
_NAMES: Final = {"people_changed": "决定有变化的人数", "raised_fen": "增加金额（分）", "cut_fen": "减少金额（分）"}


class Tolerance(NamedTuple):
    """The allowed difference of a figure: the absolute part or `permille` of the simulated figure, the larger one.

    `people` and `fen` allow for people who come, die or move after the simulation.
    """

    people: int
    fen: int
    permille: int


class Outside(NamedTuple):
    """A figure outside its band [`least`, `most`]."""

    figure: str
    live: int
    least: int
    most: int

    @property
    def text(self) -> str:
        return f"{_NAMES[self.figure]}{self.live}，模拟允许{self.least}至{self.most}"


def outside(live: Figures, simulated: Figures, tolerance: Tolerance) -> list[Outside]:
    """Return the figures of `live` that leave the band around `simulated`. Both are sums over the same people."""
    found = []
    for name, figure, expected in zip(Figures._fields, live, simulated, strict=True):
        absolute = tolerance.people if name == "people_changed" else tolerance.fen
        allowed = max(absolute, expected * tolerance.permille // _PER_MILLE)
        least, most = max(expected - allowed, 0), expected + allowed
        if not least <= figure <= most:
            found.append(Outside(name, figure, least, most))
    return found
