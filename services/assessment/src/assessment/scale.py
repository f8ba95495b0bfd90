"""The scale in use."""

from functools import cache

from common.settings import repository_root
from rules.ability_scale import Scale, load_scale


@cache
def scale_in_use() -> Scale:
    return load_scale(repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml")
