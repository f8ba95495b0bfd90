"""Draw synthetic identities: invented names, and valid ID numbers of no known person."""

from collections.abc import Sequence
from datetime import date
from random import Random
from typing import TypeVar

from common.codes import divisions, id_number

T = TypeVar("T")
SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
GIVEN_MEN = "建国志强永福德胜文明春生贵才金山玉柱海龙长根守义宝树万年"
GIVEN_WOMEN = "秀英桂兰玉梅淑珍翠花凤仙春香爱莲巧云月娥改变银环果花"
OTHER_PROVINCES = ("130102", "410105", "510104", "610102", "370102", "520102", "410225", "511023")
ID_NUMBERS_FROM_YEAR = 1984
LOCAL_SHARE, COVERED_SHARE = 0.82, 0.96
TRIES_MAX = 200

# former codes of counties whose name changed with the code
_FORMERLY = {
    "140702": ("142401",),
    "140902": ("142201",),
    "141102": ("142302", "142331"),
    "530302": ("532201",),
    "530371": ("532201", "530302"),
    "140972": ("142201", "140902"),
    "140971": ("142223", "140922"),
}


def draw(rng: Random, items: Sequence[T]) -> T:
    """Return a random one of `items`. It uses exactly one random number."""
    return items[int(rng.random() * len(items))]


def draw_name(rng: Random, sex: str) -> str:
    given = GIVEN_MEN if sex == "1" else GIVEN_WOMEN
    first = rng.choice(given)
    return rng.choice(SURNAMES) + (first + rng.choice(given) if rng.random() < 0.8 else first)


def _root(name: str) -> str:
    return name[:-1] if len(name) > 2 and name[-1] in "县市区" else name


def _in_id_numbers(division: divisions.Division) -> bool:
    gone = division.valid_to is not None and division.valid_to.year <= ID_NUMBERS_FROM_YEAR
    return division.kind == "gb2260" and not gone and not division.code.endswith("00")


def areas_of(county: str) -> tuple[str, ...]:
    """Return the codes in ID numbers of people first registered in a county. Codes of former counties with another name
    come first. Raises ValueError for an unknown division."""
    here = divisions.get(county)
    if here is None:
        raise ValueError(f"{county} is no known division")
    found = dict.fromkeys([*_FORMERLY.get(county, ()), *_codes_of_same_name(here)])
    if here.kind == "gb2260":
        found[county] = None
    return tuple(found)


def _codes_of_same_name(here: divisions.Division) -> list[str]:
    """Return the codes, as used in ID numbers, of divisions with the same name in the same province."""
    name, province = _root(here.name), here.code[:2]
    return [d.code for d in _divisions_in_id_numbers() if d.code[:2] == province and _root(d.name) == name]


def _divisions_in_id_numbers() -> list[divisions.Division]:
    return [division for division in divisions.every() if _in_id_numbers(division)]


class Numbers:
    """Draws valid ID numbers, each once. All blocks of a large county share one instance."""

    def __init__(self) -> None:
        self._given: set[str] = set()
        self._areas: dict[str, tuple[str, ...]] = {}
        self._covered = tuple(division.code for division in _divisions_in_id_numbers())

    def draw(self, rng: Random, county: str, birth: date, sex: str) -> str:
        """Return an unused number for a person of this county. Most people were first registered there, under a present
        or former code. Raises RuntimeError if no number is free."""
        areas = self._areas_of(county)
        for _ in range(TRIES_MAX):
            pool = self._draw_pool(rng, areas)
            sequence = 2 * int(rng.random() * 500) + (sex == "1")
            number = id_number.make(rng.choice(pool), birth, sequence)
            if number not in self._given:
                self._given.add(number)
                return number
        raise RuntimeError(f"no free ID number left for a birth on {birth}")

    def _areas_of(self, county: str) -> tuple[str, ...]:
        if county not in self._areas:
            self._areas[county] = areas_of(county)
        return self._areas[county]

    def _draw_pool(self, rng: Random, areas: tuple[str, ...]) -> tuple[str, ...]:
        """Return the codes to choose from: of the county (`areas`), of all listed divisions, or of other provinces."""
        chance = rng.random()
        if chance < LOCAL_SHARE:
            return areas
        return self._covered if chance < COVERED_SHARE else OTHER_PROVINCES
