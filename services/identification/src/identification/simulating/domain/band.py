"""How far what a published list really does may leave what was simulated and signed, before it is halted. Pure.

What has been decided again so far is held against what was simulated for exactly these people, so that it does not
matter in which order they come; in the end, all against all.
"""

from typing import Final, NamedTuple

from pydantic_settings import BaseSettings, SettingsConfigDict
from rules.money.effects import Figures

_PER_MILLE: Final = 1000


class Tolerance(NamedTuple):
    """A figure may lie this far outside: the absolute part or the part of the simulated figure, whichever is more.

    `people` and `fen` are for what happens between simulation and publication (people come, die, move); `permille`
    is for the size of the population."""

    people: int
    fen: int
    permille: int


class BandSettings(BaseSettings):
    """SHOUWANG_BAND_PEOPLE, SHOUWANG_BAND_FEN, SHOUWANG_BAND_PERMILLE; SHOUWANG_SIMULATION_DAYS_MAX: how old a
    simulation may be to be signed upon. Laid down here, as no source names them."""

    model_config = SettingsConfigDict(env_prefix="SHOUWANG_", extra="ignore")

    band_people: int = 50
    band_fen: int = 1_000_000
    band_permille: int = 50
    simulation_days_max: int = 30

    @property
    def tolerance(self) -> Tolerance:
        return Tolerance(self.band_people, self.band_fen, self.band_permille)


class Outside(NamedTuple):
    """A figure that left its band [`least`, `most`]."""

    figure: str
    live: int
    least: int
    most: int

    @property
    def text(self) -> str:
        return f"{_NAMES[self.figure]}{self.live}，模拟允许{self.least}至{self.most}"


_NAMES: Final = {"people_changed": "决定有变化的人数", "raised_fen": "增加金额（分）", "cut_fen": "减少金额（分）"}


def outside(live: Figures, simulated: Figures, tolerance: Tolerance) -> list[Outside]:
    """Of the same people."""
    found = []
    for name, figure, expected in zip(Figures._fields, live, simulated, strict=True):
        slack = max(tolerance.people if name == "people_changed" else tolerance.fen, _part(expected, tolerance))
        least, most = max(expected - slack, 0), expected + slack
        if not least <= figure <= most:
            found.append(Outside(name, figure, least, most))
    return found


def _part(expected: int, tolerance: Tolerance) -> int:
    return expected * tolerance.permille // _PER_MILLE
