"""The kinds of facts: how facts of one kind follow each other in time, and the meaning of a missing fact.

`one`: one value at a time; a later beginning ends the earlier value. `one_a_line`: one value at a time per line, such
as per benefit or item. `days`: every statement is about one day, and all are kept.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple, get_args

from common.events.facts import Action, Kind

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# Actions that need no value. A value sent with them is ignored: exchanges send the whole row with a flag.
WITHOUT_VALUE: Final[frozenset[Action]] = frozenset(("annulled", "ended"))


class KindRule(NamedTuple):
    """`absence`: the meaning of a missing fact. `false` only counts where the kind is covered in that division (see
    `common.events.coverage`). `line`: the line of a value (`one_a_line` only). `from_required`: a statement needs
    `valid_from`."""

    holds: Literal["one", "one_a_line", "days"]
    absence: Literal["unknown", "false"]
    line: Callable[[Any], str] | None = None
    from_required: bool = False


def _lines(field: str, absence: Literal["unknown", "false"] = "false", *, from_required: bool = False) -> KindRule:
    return KindRule("one_a_line", absence, attrgetter(field), from_required)


RULES: Final[Mapping[Kind, KindRule]] = {
    "registration": KindRule("one", "unknown"),
    "residence": KindRule("one", "unknown"),
    "death": KindRule("days", "false", from_required=True),
    "alive": KindRule("days", "unknown", from_required=True),
    "disability": KindRule("one", "false"),
    "low_income": KindRule("one", "false"),
    "household": _lines("household"),
    "living_situation": KindRule("one", "false"),
    "special_family": KindRule("one", "false"),
    "merit": _lines("merit"),
    "ability_result": _lines("scale", "unknown"),  # a long-term-care grade and a level of GB/T 42195
    "benefit_elsewhere": _lines("benefit"),
    "risk_incident": KindRule("days", "false", from_required=True),
    "hospital_stay": KindRule("one", "false"),  # a person is in one hospital at a time
    "contact": KindRule("one", "unknown"),
    "application": _lines("item", from_required=True),  # per item the last wish counts, from its day on
    "bank_account": KindRule("one", "unknown"),
    "identity_change": KindRule("one_a_line", "unknown", lambda value: "" if value.new_number else value.same_as),
}

FROM_REQUIRED: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.from_required)
ONE_DAY_KINDS: Final[frozenset[str]] = frozenset(kind for kind, rule in RULES.items() if rule.holds == "days")
LINE_OF: Final[Mapping[str, Callable[[Any], str]]] = {
    kind: rule.line for kind, rule in RULES.items() if rule.line is not None
}
