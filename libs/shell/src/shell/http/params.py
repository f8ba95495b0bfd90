"""Types of the parameters that routes take: each has a pattern or a range.

A body is a `Body`: its fields are strict, so that `false` is no number and `0` is no day. Days and instants are text on
the wire. A pattern uses `[0-9]`, never `\\d`, which also matches digits of other scripts.
`tests/contract/test_parameters.py` checks the OpenAPI of every service for parameters without a bound.
"""

import re
from datetime import UTC, date, datetime
from math import isfinite
from typing import Annotated, Any, Final
from uuid import UUID as Uuid

from common.patterns import DIVISION, ITEM, MONTH, UUID, whole
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, WithJsonSchema
from pydantic_core import PydanticCustomError

INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1
NODES_MAX: Final = 100_000

# PostgreSQL stores no NUL. No parameter needs other control characters, and a log line must not hold them.
ONE_LINE: Final = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]*$"
# For text that a person types: like ONE_LINE, but line breaks and tabs are allowed.
LINES: Final = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f]*$"
_DAY: Final = "-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = r"T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
DAY: Final = f"^20[0-9]{{2}}{_DAY}$"
PAST_DAY: Final = f"^(19|20)[0-9]{{2}}{_DAY}$"
INSTANT: Final = f"^20[0-9]{{2}}{_DAY}{_TIME}$"
_CONTROL: Final = re.compile("[\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\ud800-\\udfff]")


class Body(BaseModel):
    """The base of every request body. A value of another JSON type is rejected, never converted."""

    model_config = ConfigDict(strict=True)


def _day_of(pattern: str, first: int, last: int) -> BeforeValidator:
    form = re.compile(pattern)
    span = {"first": f"{first}-01-01", "last": f"{last}-12-31"}

    def read(value: object) -> date:
        if isinstance(value, date) and not isinstance(value, datetime):  # from YAML, or a default
            found = value
        elif isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                found = date.fromisoformat(value)
            except ValueError:
                raise PydanticCustomError("day_unknown", "the calendar has no such day") from None
        else:
            raise PydanticCustomError("day_form", "a day is text of the form YYYY-MM-DD")
        if not form.fullmatch(found.isoformat()):
            raise PydanticCustomError("day_out_of_range", "a day lies from {first} to {last}", span)
        return found

    return BeforeValidator(read)


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, str) and re.fullmatch(f"[0-9]{{4}}{_DAY}{_TIME}", value):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("day_unknown", "the calendar has no such day") from None
    else:
        detail = "an instant is text of the form YYYY-MM-DDThh:mm:ss with Z or its offset from UTC, such as +08:00"
        raise PydanticCustomError("instant_form", detail)
    if found.tzinfo is None:
        raise PydanticCustomError("instant_form", "an instant needs its offset from UTC")
    if not 2000 <= found.year <= 2099:
        raise PydanticCustomError("instant_out_of_range", "an instant lies in the years 2000 to 2099")
    return found.astimezone(UTC)


def _schema(pattern: str, format: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "format": format, "pattern": pattern})


# A civil date in Asia/Shanghai in the time of the platform.
Day = Annotated[date, _day_of(DAY, 2000, 2099), _schema(DAY, "date")]
# A civil date that may be earlier, such as the first day of a register.
PastDay = Annotated[date, _day_of(PAST_DAY, 1900, 2099), _schema(PAST_DAY, "date")]
# An instant with its offset; the value is in UTC.
Instant = Annotated[datetime, BeforeValidator(_instant), _schema(INSTANT, "date-time")]
Month = Annotated[str, Field(pattern=whole(MONTH), examples=["2026-06"])]
DivisionCode = Annotated[str, Field(pattern=whole(DIVISION), examples=["530302"], description="6, 9 or 12 digits")]
ItemCode = Annotated[str, Field(pattern=whole(ITEM), max_length=100, examples=["longevity_allowance"])]
# A code from a list, a document number or an id of another system: never a name or free text.
Code = Annotated[str, Field(pattern="^[A-Za-z0-9:_./-]{1,100}$")]
Uscc = Annotated[str, Field(pattern="^[0-9A-Z]{18}$", description="unified social credit code (GB 32100)")]
# An id as it is stored and sent: lower case, with hyphens.
UuidText = Annotated[str, Field(pattern=whole(UUID))]
# An id in a body. Any usual text form of a UUID is accepted.
Id = Annotated[Uuid, Strict(False)]
# The reason that a person gives for a decision.
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=LINES)]
# The `next` of a page, given back as `after`.
Cursor = Annotated[str, Field(max_length=500, pattern=ONE_LINE)]
Sequence = Annotated[int, Field(ge=0, le=INT64_MAX)]


def _clean(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object unchanged. Raise PydanticCustomError for a control character, a number that is not finite or
    has more than 64 bits, and more than NODES_MAX parts."""
    left: list[Any] = [value]
    for _ in range(NODES_MAX):
        if not left:
            return value
        part = left.pop()
        if isinstance(part, dict):
            left += [*part.keys(), *part.values()]
        elif isinstance(part, list):
            left += part
        elif isinstance(part, str) and _CONTROL.search(part):
            raise PydanticCustomError("control_character", "a text in it holds a control character")
        elif isinstance(part, float) and not isfinite(part):
            raise PydanticCustomError("not_finite", "a number in it is not finite")
        elif isinstance(part, int) and abs(part) > INT64_MAX:
            raise PydanticCustomError("number_too_large", "a number in it has more than 64 bits")
    raise PydanticCustomError("too_long", "the value has too many parts")


# An object whose form is checked elsewhere. Its texts hold no control characters.
Json = Annotated[dict[str, Any], AfterValidator(_clean), Field(max_length=1_000)]
