"""What a list must pass before it can be signed or published: no fault, and nobody worse off than without it."""

from collections.abc import Mapping
from typing import Final

import msgspec
from common.errors import Conflict, Malformed, Problem
from rules.facts.coverage import NOTHING_DECLARED, Coverage
from rules.form.policy import PolicyList
from rules.proof.inclusion import Inclusion, lists_above, prove_inclusion
from rules.proof.lint import lint

_TOLD_MAX: Final = 20  # faults or people named in one answer
UNSIGNED: Final = "清单为此写的偏离只是示例，没有人签批，不算数。"


def need_sound(
    proposed: PolicyList,
    lists: Mapping[str, PolicyList],
    coverage: Coverage = NOTHING_DECLARED,
    *,
    demo: bool,
) -> None:
    """`lists` in force, by area, and what is told where. Warnings pass. What the list's own deviations allow passes;
    an example deviation allows something only in a demonstration (`demo`).

    Raises Malformed (`policy_faulty`) and Conflict (`narrower_than_above`), each with the places; the latter with the
    people who would get less as `counter_examples`.
    """
    area = proposed.jurisdiction
    errors = [f for f in lint({**lists, area: proposed}, areas=[area]) if f.severity == "error"]
    if errors:
        problems = [Problem(pointer=f.pointer, code=f.code, detail=f.text) for f in errors[:_TOLD_MAX]]
        raise Malformed("this list cannot be law", code="policy_faulty", problems=problems)
    inclusion = prove_inclusion(proposed, lists_above(area, lists), coverage=coverage, demo=demo)
    if not inclusion.holds:
        raise Conflict(
            "this list gives some people less than the lists above it",
            code="narrower_than_above",
            problems=_problems(inclusion)[:_TOLD_MAX],
            counter_examples=[msgspec.to_builtins(n) for n in inclusion.narrower[:_TOLD_MAX]],
        )


def _problems(inclusion: Inclusion) -> list[Problem]:
    narrower = [
        Problem(pointer=f"/items/{n.item}", code=n.code, detail=n.sentence + (UNSIGNED if n.deviation else ""))
        for n in inclusion.narrower
    ]
    detail = "条件组合太多，无法逐一核对"
    return narrower + [Problem(pointer=f"/items/{i}", code="undecided", detail=detail) for i in inclusion.undecided]
