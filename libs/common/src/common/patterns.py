"""The regular expressions of codes and ids, each written once.

They have no anchors, so that longer expressions can contain them; `whole` adds anchors for schemas. Digits are
`[0-9]`, never `\\d`, which also matches digits of other scripts.
"""

from typing import Final

AREA: Final = "[0-9]{6}"  # a division of county level or above (GB/T 2260)
DIVISION: Final = "[0-9]{6}([0-9]{3}([0-9]{3})?)?"  # with town (9 digits) and village (12 digits)
ITEM: Final = rf"({AREA}\.)?[a-z][a-z0-9_]*"  # an item of a list; a local item begins with its area
MONTH: Final = "20[0-9]{2}-(0[1-9]|1[0-2])"  # a service month, YYYY-MM
OFFICE: Final = "[a-z0-9_]{1,40}"  # the office of a source
SOURCE: Final = f"urn:cn:exchange:{AREA}:{OFFICE}"
UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def whole(pattern: str) -> str:
    """The pattern for a whole text."""
    return f"^{pattern}$"
