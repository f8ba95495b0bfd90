"""The assessment scale in use, from `contracts/scales`."""

from functools import cache

from rules.scales.ability_scale import Scale, load_scale
from shell.settings import repository_root


@cache
def scale_in_use() -> Scale:
    return load_scale(repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml")
