"""Chinese names of areas and lists."""

from typing import Final

from common.codes import divisions

NATION: Final = "000000"


def area_name(code: str) -> str:
    """Return the name of a division, or its code if the name is unknown."""
    return divisions.name(code) or code


def list_name(area: str) -> str:
    """Return the name of the service list of an area."""
    return "国家清单" if area == NATION else f"{area_name(area)}清单"
