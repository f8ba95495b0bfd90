"""The forms for the source of a value of a list: its citation, and whether a document states the value."""

from datetime import date
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Status = Literal["documented", "example"]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class Strict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """The base of all forms of a list. Unknown fields are rejected."""


class Citation(Strict, frozen=True, kw_only=True):
    """The document of a value. `locator`: clause, table row or list number. `date`: of issue."""

    title: Text
    issuer: Text
    date: date
    locator: Text
