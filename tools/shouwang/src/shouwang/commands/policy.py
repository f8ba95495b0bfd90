"""`shouwang policy lint`: whether the lists under contracts/policy can be law, and give what those above them give.

`diff` and `simulate` are in `shouwang.commands.policy_change`."""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from common.codes import divisions
from rules.form.names import area_name
from rules.form.policy import PolicyError, load_lists
from rules.proof.inclusion import COVERED, NOT_COVERED, Inclusion, Narrower, prove_all
from rules.proof.lint import CODES, Finding, items_told, lint

from shouwang.commands import policy_change
from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem

_WEIGHT = {"error": "错误", "warning": "提醒"}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`ok`: no error, and no list gives less than it may."""

    ok: bool
    findings: list[Finding]
    inclusions: list[Inclusion]
    covered: tuple[str, ...] = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED


def main(arguments: Sequence[str]) -> int:
    """Exit 0; 1 when a list has errors or gives less than the lists above it (`lint`)."""
    parser = argparse.ArgumentParser(prog="shouwang policy", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    linted = actions.add_parser("lint", help="faults of the lists, and people to whom a list gives too little")
    linted.add_argument("--area", metavar="D", help="only this area and what lies in it")
    linted.add_argument("--json", action="store_true", help="the report as JSON")
    linted.add_argument("--folder", type=Path, default=REPOSITORY / "contracts" / "policy", help="another set of lists")
    policy_change.add_commands(actions)
    given = parser.parse_args(arguments)
    if given.action == "diff":
        return policy_change.diff(given)
    if given.action == "simulate":
        return policy_change.simulate(given)
    found = report(given.folder, given.area)
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(_lines(found)))
    return 0 if found.ok else 1


def report(folder: Path, area: str | None = None) -> Report:
    """Lint and inclusion of all lists in a folder, or of those of an area and of what lies in it.

    Files may hold examples, so example deviations count here. The report marks them; the publish gate of a platform
    that is no demonstration rejects them.
    """
    if area is not None and not divisions.known(area):
        raise LocalProblem(f"There is no area {area}.")
    if not folder.is_dir():
        raise LocalProblem(f"There is no folder {folder}.")
    try:
        lists = load_lists(folder)
        stories = [s for path in sorted(folder.glob("cases/*.yaml")) for s in _stories(path)]
    except PolicyError as fault:
        unreadable = Finding(severity="error", code="malformed", area=area or "", pointer="", text=str(fault))
        return Report(ok=False, findings=[unreadable], inclusions=[])
    wanted = [code for code in lists if area is None or divisions.within(code, area)]
    findings = lint(lists, areas=wanted, told=items_told(stories))
    inclusions = [i for i in prove_all(lists, demo=True) if area is None or divisions.within(i.child, area)]
    ok = all(f.severity != "error" for f in findings) and all(i.holds for i in inclusions)
    return Report(ok=ok, findings=findings, inclusions=inclusions)


def _stories(path: Path) -> list[dict[str, Any]]:
    try:
        stories: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    except (yaml.YAMLError, ValueError) as fault:
        raise PolicyError(f"{path}: {fault}") from fault
    return stories


def _lines(found: Report) -> Iterator[str]:
    for finding in found.findings:
        place = finding.place if finding.pointer else ""
        yield f"{_WEIGHT[finding.severity]} {finding.code}（{CODES[finding.code][1]}）{place} {finding.text}"
    for inclusion in found.inclusions:
        yield from _about(inclusion)
    yield "比较了：" + "；".join(COVERED)
    yield "没有比较：" + "；".join(NOT_COVERED)
    deviating = sum(len(i.deviating) for i in found.inclusions)
    errors = sum(f.severity == "error" for f in found.findings)
    narrower = sum(len(i.narrower) + len(i.undecided) for i in found.inclusions)
    verdict = "通过" if found.ok else "不通过"
    counts = f"错误{errors}处，低于上级{narrower}处，在有效期内的偏离{deviating}处"
    yield f"{verdict}：{len(found.inclusions)}份清单，{counts}"


def _about(inclusion: Inclusion) -> Iterator[str]:
    name = f"{inclusion.child} {area_name(inclusion.child)}"
    above = "、".join(area_name(area) for area in inclusion.above)
    verdict = "低于上级" if not inclusion.holds else "除偏离外不低于上级" if inclusion.deviating else "不低于上级"
    yield f"{name}：{verdict}（{above}）"
    for item in inclusion.undecided:
        yield f"  未能判定 {item}：条件组合太多，无法逐一核对"
    for narrower in inclusion.narrower:
        yield f"  低于上级 {narrower.item} {narrower.code} {_days(narrower)} {narrower.sentence}"
    for narrower in inclusion.deviating:
        yield f"  偏离 {narrower.item} {narrower.code} {_days(narrower)} {narrower.sentence}"
        if d := narrower.deviation:
            example = "（示例，只在演示中算数）" if d.is_example else ""
            yield f"    依据{d.clause}，{d.signer}签批{example}，{d.valid_from}至{d.valid_to or '今后'}：{d.reason}"
    for idle in inclusion.idle:
        yield f"  提醒 用不上的偏离 {idle.item}：{idle.clause}"


def _days(narrower: Narrower) -> str:
    return f"[{narrower.from_}, {narrower.to or '今后'})"
