"""The regular expressions of codes and ids, each written once.

They have no anchors, so that longer expressions can contain them; `whole` and `exact` add anchors. Digits are `[0-9]`,
never `\\d`, which also matches digits of other scripts.
"""

from typing import Any, Final

import msgspec

AREA: Final = "[0-9]{6}"  # a division of county level or above (GB/T 2260)
DIVISION: Final = "[0-9]{6}([0-9]{3}([0-9]{3})?)?"  # with town (9 digits) and village (12 digits)
ITEM: Final = rf"({AREA}\.)?[a-z][a-z0-9_]*"  # an item of a list; a local item begins with its area
MONTH: Final = "20[0-9]{2}-(0[1-9]|1[0-2])"  # a service month, YYYY-MM
OFFICE: Final = "[a-z0-9_]{1,40}"  # the office of a source
SOURCE: Final = f"urn:cn:exchange:{AREA}:{OFFICE}"
UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def whole(pattern: str) -> str:
    """The pattern for a whole text, for pydantic and published schemas (ECMA-262)."""
    return f"^{pattern}$"


def exact(pattern: str) -> str:
    r"""The pattern for a whole text, for `msgspec` and `re`. Python's `$` also matches before a final line break."""
    return rf"^{pattern}\Z"


def published(schema: Any) -> Any:
    r"""The JSON Schema that msgspec made, for all readers: ECMA-262 writes `$` for `\Z`."""
    return msgspec.json.decode(msgspec.json.encode(schema).replace(rb'\\Z"', b'$"'))
