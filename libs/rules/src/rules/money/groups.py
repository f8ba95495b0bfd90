"""Assign persons to the groups of a tally: by county and age band."""

from datetime import date
from functools import lru_cache
from typing import Final, NamedTuple

from common.calendar import age_on
from common.codes import divisions

from rules.money.effects import Window

AGE_BANDS: Final = (("100+", 100), ("90-99", 90), ("80-89", 80), ("70-79", 70), ("60-69", 60), ("0-59", 0))
NOWHERE: Final = ""  # the county of a person without a known place
UNKNOWN_AGE: Final = "unknown"


def age_band_name(band: str) -> str:
    """Return the Chinese name of a band of AGE_BANDS, or of UNKNOWN_AGE."""
    if band == UNKNOWN_AGE:
        return "年龄不详"
    low, _, high = band.partition("-")
    if not high:
        return f"{band.removesuffix('+')}岁及以上"
    return f"{low}至{high}岁" if int(low) else f"不满{int(high) + 1}岁"


class GroupKey(NamedTuple):
    """The group of a person. `county`: of the residence, else of the hukou, else NOWHERE. `age_band`: of the age on the
    first day of the window."""

    county: str
    age_band: str


def group_key(birth_date: date | None, residence: str | None, hukou: str | None, window: Window) -> GroupKey:
    """Return the group of a person with these last known places."""
    place = residence or hukou
    return GroupKey(county_of(place) if place else NOWHERE, _age_band(birth_date, window.first))


@lru_cache(maxsize=65536)
def county_of(division: str) -> str:
    """Return the county or custom area that contains a division; the division itself if it is larger or unknown."""
    if len(division) <= divisions.COUNTY_DIGITS:
        return division
    return next((a for a in divisions.ancestors(division) if len(a) == divisions.COUNTY_DIGITS), division)


def _age_band(birth_date: date | None, on: date) -> str:
    if birth_date is None:
        return UNKNOWN_AGE
    age = age_on(birth_date, on)
    return next((name for name, least in AGE_BANDS if age >= least), UNKNOWN_AGE)
