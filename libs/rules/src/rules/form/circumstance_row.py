"""The form of a row in the table of circumstances (`rules.form.circumstances`)."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from common.events.facts import Kind
from common.words_zh import FACT_KINDS


class FactKind(NamedTuple):
    """A kind of fact. `at_hukou`: sources at the hukou report it; if False, sources at the residence do."""

    code: Kind
    at_hukou: bool = False

    @property
    def name(self) -> str:
        """The Chinese name of the kind."""
        return FACT_KINDS[self.code]


def _never(_argument: Any, _value: Any) -> bool:
    return False


class Test(NamedTuple):
    """A test of a condition. `argument` is the value of the condition's field, `value` the person's value.

    `holds`: the answer; None if the fact does not contain it, only for kinds whose missing facts mean no.
    `text`: the condition in Chinese. `denied`: only for a circumstance with several values; whether the known values
    make the answer no, even if other facts are missing.
    """

    holds: Callable[[Any, Any], bool | None]
    text: Callable[[Any], str]
    denied: Callable[[Any, Any], bool] = _never


class Circumstance(NamedTuple):
    """A row: one circumstance of a person. `name`: its public name. `fact`: the kind of fact that gives its value.

    `tests`: by field of `Condition`. `text`: a value in Chinese.
    `read`: turns the value of a fact into the person's value, never into None: None means that there is no fact, and
    for some kinds the platform would ask for a fact that it has. A part that a fact leaves out is a value of its own,
    such as "", which no test accepts. The rows of age, ability and places have no `read`; `rules.deciding.changes`
    reads them.
    `letter`, `encode`, `parse`: how a value is written in a traits line (`rules.deciding.traits`). No letter: the line
    leaves it out, or writes it with a place.
    `known`: every possible value, the mildest first.
    `element`: set if several facts may hold at once, and the value is a frozenset. It turns a name in a condition into
    the member of the set that a proof tries.
    """

    name: str
    fact: FactKind
    tests: Mapping[str, Test]
    text: Callable[[Any], str]
    read: Callable[[Any], Any] | None = None
    letter: str | None = None
    encode: Callable[[Any], str] = str
    parse: Callable[[str], Any] = str
    known: tuple[Any, ...] = ()
    element: Callable[[str], Any] | None = None
