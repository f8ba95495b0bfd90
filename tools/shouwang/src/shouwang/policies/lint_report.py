"""Checks the lists, compares each with the lists of higher areas, and reports in Chinese sentences."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from common.codes import divisions
from rules.form.names import area_name
from rules.form.policy import PolicyError, load_lists
from rules.proof.inclusion import COVERED, NOT_COVERED, Inclusion, Narrower, prove_all
from rules.proof.lint import CODES, Finding, items_told, lint

from shouwang.runtime.problems import LocalProblem

_SEVERITY = {"error": "错误", "warning": "提醒"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The result of the check.

    `ok`: no list has an error, and none gives less than the lists above it, except by a permitted deviation.

    `findings`: faults of the lists. `inclusions`: the comparison of each list with the lists above it. `covered` and
    `not_covered`: the subjects that the comparison covers or leaves out, in Chinese.
    """

    ok: bool
    findings: list[Finding]
    inclusions: list[Inclusion]
    covered: tuple[str, ...] = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED


def report(folder: Path, area: str | None = None) -> Report:
    """Lint all lists of a folder and compare each with the lists above it. `area`: only this area and the areas in it.

    Example deviations count here, and the report marks them. A platform outside demonstration mode rejects a list that
    needs them. A malformed file gives one finding and no comparison. Raises LocalProblem for an unknown area or
    folder.
    """
    if area is not None and not divisions.known(area):
        raise LocalProblem(f"There is no area {area}.")
    if not folder.is_dir():
        raise LocalProblem(f"There is no folder {folder}.")
    try:
        lists = load_lists(folder)
        cases = [case for path in sorted(folder.glob("cases/*.yaml")) for case in _load_cases(path)]
    except PolicyError as fault:
        unreadable = Finding(severity="error", code="malformed", area=area or "", pointer="", text=str(fault))
        return Report(ok=False, findings=[unreadable], inclusions=[])
    findings = lint(lists, areas=[code for code in lists if _is_in(code, area)], told=items_told(cases))
    inclusions = [inclusion for inclusion in prove_all(lists, demo=True) if _is_in(inclusion.child, area)]
    return Report(ok=_is_ok(findings, inclusions), findings=findings, inclusions=inclusions)


def _is_in(code: str, area: str | None) -> bool:
    return area is None or divisions.within(code, area)


def _is_ok(findings: list[Finding], inclusions: list[Inclusion]) -> bool:
    has_errors = any(finding.severity == "error" for finding in findings)
    return not has_errors and all(inclusion.holds for inclusion in inclusions)


def _load_cases(path: Path) -> list[dict[str, Any]]:
    try:
        cases: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (yaml.YAMLError, ValueError) as fault:
        raise PolicyError(f"{path}: {fault}") from fault
    return cases


def lines(found: Report) -> Iterator[str]:
    """Yield the report as text: findings, comparison of each list, compared and not compared subjects, verdict."""
    for finding in found.findings:
        yield _finding_line(finding)
    for inclusion in found.inclusions:
        yield from _inclusion_lines(inclusion)
    yield "比较了：" + "；".join(COVERED)
    yield "没有比较：" + "；".join(NOT_COVERED)
    yield _verdict(found)


def _finding_line(finding: Finding) -> str:
    place = finding.place if finding.pointer else ""
    meaning = CODES[finding.code][1]
    return f"{_SEVERITY[finding.severity]} {finding.code}（{meaning}）{place} {finding.text}"


def _verdict(found: Report) -> str:
    deviating = sum(len(inclusion.deviating) for inclusion in found.inclusions)
    errors = sum(finding.severity == "error" for finding in found.findings)
    narrower = sum(len(inclusion.narrower) + len(inclusion.undecided) for inclusion in found.inclusions)
    verdict = "通过" if found.ok else "不通过"
    counts = f"错误{errors}处，低于上级{narrower}处，在有效期内的偏离{deviating}处"
    return f"{verdict}：{len(found.inclusions)}份清单，{counts}"


def _inclusion_lines(inclusion: Inclusion) -> Iterator[str]:
    above = "、".join(area_name(area) for area in inclusion.above)
    yield f"{inclusion.child} {area_name(inclusion.child)}：{_relation(inclusion)}（{above}）"
    yield from (f"  未能判定 {item}：条件组合太多，无法逐一核对" for item in inclusion.undecided)
    yield from (f"  低于上级 {_narrower_text(narrower)}" for narrower in inclusion.narrower)
    for narrower in inclusion.deviating:
        yield from _deviation_lines(narrower)
    yield from (f"  提醒 用不上的偏离 {idle.item}：{idle.clause}" for idle in inclusion.idle)


def _relation(inclusion: Inclusion) -> str:
    if not inclusion.holds:
        return "低于上级"
    return "除偏离外不低于上级" if inclusion.deviating else "不低于上级"


def _narrower_text(narrower: Narrower) -> str:
    days = f"[{narrower.from_}, {narrower.to or '今后'})"
    return f"{narrower.item} {narrower.code} {days} {narrower.sentence}"


def _deviation_lines(narrower: Narrower) -> Iterator[str]:
    yield f"  偏离 {_narrower_text(narrower)}"
    if deviation := narrower.deviation:
        example = "（示例，只在演示中算数）" if deviation.is_example else ""
        days = f"{deviation.valid_from}至{deviation.valid_to or '今后'}"
        yield f"    依据{deviation.clause}，{deviation.signer}签批{example}，{days}：{deviation.reason}"
