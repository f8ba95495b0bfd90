"""Check that a proposed list is sound: it has no fault, and nobody gets less by it than by the lists above it."""

from collections.abc import Mapping
from typing import Final

import msgspec
from common.errors import Conflict, Malformed, Problem
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.form.policy import PolicyList
from rules.proof.inclusion import Inclusion, lists_above, prove_inclusion
from rules.proof.lint import lint

_SHOWN_MAX: Final = 20  # faults or people in one answer
UNSIGNED: Final = "清单为此写的偏离只是示例，没有人签批，不算数。"
UNDECIDED: Final = "条件组合太多，无法逐一核对"


def need_sound(
    proposed: PolicyList,
    lists: Mapping[str, PolicyList],
    coverage: Coverage = NOTHING_DECLARED,
    *,
    demo: bool,
) -> None:
    """Check that a proposed list is sound. `lists`: the lists in force by area. Warnings are allowed.

    A shortfall is a benefit that is less than by the lists above. Deviations of the proposed list permit it; example
    deviations do so only in a demonstration (`demo`). Raises Malformed (`policy_faulty`) with the faults. Raises
    Conflict (`narrower_than_above`) with the shortfalls and, as `counter_examples`, people who would get less.
    """
    _need_faultless(proposed, lists)
    inclusion = prove_inclusion(proposed, lists_above(proposed.jurisdiction, lists), coverage=coverage, demo=demo)
    if not inclusion.holds:
        raise Conflict(
            "this list gives some people less than the lists above it",
            code="narrower_than_above",
            problems=_problems(inclusion)[:_SHOWN_MAX],
            counter_examples=[msgspec.to_builtins(n) for n in inclusion.narrower[:_SHOWN_MAX]],
        )


def _need_faultless(proposed: PolicyList, lists: Mapping[str, PolicyList]) -> None:
    area = proposed.jurisdiction
    faults = lint({**lists, area: proposed}, areas=[area])
    errors = [fault for fault in faults if fault.severity == "error"]
    if errors:
        problems = [Problem(pointer=f.pointer, code=f.code, detail=f.text) for f in errors[:_SHOWN_MAX]]
        raise Malformed("this list is faulty", code="policy_faulty", problems=problems)


def _problems(inclusion: Inclusion) -> list[Problem]:
    found: list[Problem] = []
    for narrower in inclusion.narrower:
        detail = narrower.sentence + (UNSIGNED if narrower.deviation else "")
        found.append(Problem(pointer=f"/items/{narrower.item}", code=narrower.code, detail=detail))
    for item in inclusion.undecided:
        found.append(Problem(pointer=f"/items/{item}", code="undecided", detail=UNDECIDED))
    return found
