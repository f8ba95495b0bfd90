"""Read numbers of disability certificates (残疾人证).

A number consists of the holder's ID number at the time of issue, and class and level of GB/T 26341. After a
replacement, `B` with a count follows.
"""

import re
from typing import Final, NamedTuple

from common.codes.id_number import IdNumber, check

PATTERN: Final = "([0-9]{15}|[0-9]{17}[0-9Xx])[1-7][1-4](B[0-9])?"
_PARTS: Final = re.compile(r"([0-9]{15}|[0-9]{17}[0-9X])([1-7])([1-4])(?:B[0-9])?", re.ASCII)


class Certificate(NamedTuple):
    """The parts of a certificate number. `id_number`: the holder's, with 18 characters; None if the printed one is not
    valid. `class_`: 1 to 7; `level`: 1 (heaviest) to 4."""

    id_number: str | None
    class_: int
    level: int


def read(number: str) -> Certificate | None:
    """Return the parts of a certificate number; None for a text of another form."""
    parts = _PARTS.fullmatch(number.upper())
    if parts is None:
        return None
    holder = check(parts[1], None)
    return Certificate(holder.number if isinstance(holder, IdNumber) else None, int(parts[2]), int(parts[3]))
