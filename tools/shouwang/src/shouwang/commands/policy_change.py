"""`shouwang policy diff` and `simulate`: what a proposed list changes, and what it would do to whom.

A proposed list is an area's folder, one item's file (which takes its place in the list there is), or the whole list as
JSON. It is held against the files in contracts/policy, or against what is in force on a running platform.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from common.codes import divisions
from common.money import yuan
from rules.deciding.wording import area_name
from rules.form.items import ITEM_TITLES
from rules.form.policy import PolicyError, PolicyList, load_item, load_list
from rules.words.list_changes import ListChange, list_changes
from shell.access.auth import issue_token

from shouwang.runtime.paths import REPOSITORY
from shouwang.runtime.problems import LocalProblem
from shouwang.terminal import aligned

FOLDER = REPOSITORY / "contracts" / "policy"
SECONDS_MAX = 60
ASK_SECONDS = 0.5


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """`against`: what the proposed list was held against."""

    jurisdiction: str
    against: str
    changes: list[ListChange]


def add_commands(actions: Any) -> None:
    for name, told in (
        ("diff", "what a proposed list changes, item by item"),
        ("simulate", "what a proposed list would do to whom, and cost, on the running platform"),
    ):
        command = actions.add_parser(name, help=told)
        command.add_argument("path", type=Path, help="an area's folder, one item's YAML, or a whole list as JSON")
        command.add_argument("--area", metavar="D", help="whose list an item is of, where its folder does not say it")
        command.add_argument("--json", action="store_true", help="the answer as JSON")
        if name == "diff":
            command.add_argument("--running", action="store_true", help="against the list in force on the platform")
        else:
            command.add_argument("--from", dest="first", metavar="YYYY-MM", help="first service month")
            command.add_argument("--months", type=int, default=12, metavar="N", help="how many, at most 36")


def diff(given: argparse.Namespace) -> int:
    """Exit 0; 1 when something that decides is changed."""
    before, proposed = _both_lists(given, running=given.running)
    against = "平台上生效的清单" if given.running else "contracts/policy"
    changes = list_changes(before, proposed)
    found = Difference(jurisdiction=proposed.jurisdiction, against=against, changes=changes)
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(_diff_lines(found, _titles(before, proposed))))
    return int(any(change.on is not None for change in changes))


def _diff_lines(found: Difference, titles: Mapping[str, str]) -> Iterator[str]:
    yield f"{area_name(found.jurisdiction)}（{found.jurisdiction}），对照{found.against}："
    rows = [
        [str(change.on or "不影响决定"), titles.get(change.item, change.item) if change.item else "—", change.text]
        for change in found.changes
    ]
    yield from (f"  {line}" for line in aligned(rows))
    yield f"共{len(found.changes)}处，其中影响决定的{sum(c.on is not None for c in found.changes)}处"


def simulate(given: argparse.Namespace) -> int:
    """Exit 0; 1 when the simulation failed. Raises LocalProblem where it could not be asked for."""
    _, proposed = _both_lists(given, running=True)
    body: dict[str, Any] = {"list": msgspec.to_builtins(proposed, str_keys=True), "months": given.months}
    if given.first:
        body["from_month"] = given.first
    with _platform(proposed.jurisdiction) as client:
        found = _answer(client, "POST", "/v1/simulations", json=body)
        while found["state"] in ("waiting", "running"):
            time.sleep(ASK_SECONDS)
            found = _answer(client, "GET", f"/v1/simulations/{found['simulation_id']}")
            _say_progress(found)
    if given.json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print("\n".join(_simulation_lines(found)))
    return 0 if found["state"] == "complete" else 1


def _simulation_lines(found: dict[str, Any]) -> Iterator[str]:
    if found["state"] != "complete":
        yield f"模拟未完成：{found['fault']}"
        return
    result = found["result"]
    yield from result["summary"]
    yield ""
    yield from _groups(result["groups"])
    changed = [m for m in result["money"] if m["fen_before"] != m["fen_after"]]
    if changed:
        yield ""
        yield from _money(changed)
    yield ""
    yield f"模拟 {found['simulation_id']}，清单版本 {found['version']}"


_GROUP_COUNTS: Final = {
    "people": "人数",
    "changed": "有变化",
    "winners": "只增",
    "losers": "只减",
    "mixed": "有增有减",
    "asked": "需补充",
}


def _groups(groups: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [["地区", "年龄", *_GROUP_COUNTS.values(), "原金额（元）", "新金额（元）"]]
    for g in groups:
        counts = [_count(g[name]) for name in _GROUP_COUNTS]
        rows.append([g["name"], g["age_name"], *counts, _yuan(g["fen_before"]), _yuan(g["fen_after"])])
    return aligned(rows, numbers=range(2, len(rows[0])))


def _money(money: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [["月份", "地区", "资金", "项目", "状态", "原人数", "新人数", "原金额（元）", "新金额（元）"]]
    for m in money:
        names = [m[name] for name in ("month", "name", "fund_name", "title", "state_name")]
        people = [_count(m["payees_before"]), _count(m["payees_after"])]
        rows.append([*names, *people, _yuan(m["fen_before"]), _yuan(m["fen_after"])])
    return aligned(rows, numbers=range(5, len(rows[0])))


def _count(people: int | None) -> str:
    """None: too few to be told."""
    return "—" if people is None else str(people)


def _yuan(fen: int | None) -> str:
    return "—" if fen is None else yuan(fen)


def _titles(*lists: PolicyList) -> dict[str, str]:
    """An area may have items of its own, which only its list can name."""
    own = {code: item.title for one in lists for code, item in one.items.items()}
    return own | ITEM_TITLES


def _both_lists(given: argparse.Namespace, *, running: bool) -> tuple[PolicyList, PolicyList]:
    """What the proposed list is held against, and the proposed list."""
    path: Path = given.path
    try:
        if path.is_dir():
            proposed: PolicyList | None = load_list(path)
        elif path.suffix == ".json":
            proposed = msgspec.json.decode(path.read_bytes(), type=PolicyList)
        else:
            proposed = None
        area = proposed.jurisdiction if proposed else given.area or path.absolute().parent.name
        if not divisions.known(area):
            raise LocalProblem(f"There is no area {area}: name it with --area.")
        before = _running(area) if running else _filed(area)
        if proposed is None:
            item = load_item(path)
            proposed = msgspec.structs.replace(before, items={**before.items, item.item: item})
    except OSError as error:
        raise LocalProblem(f"{path} cannot be read ({error.strerror}).") from None
    except (PolicyError, msgspec.MsgspecError) as fault:
        raise LocalProblem(f"{path} is not a list: {fault}") from None
    return before, proposed


def _filed(area: str) -> PolicyList:
    folder = FOLDER / area
    return load_list(folder) if folder.is_dir() else PolicyList(jurisdiction=area)


def _running(area: str) -> PolicyList:
    with _platform(area) as client:
        found = _answer(client, "GET", f"/v1/policies/{area}", missing_ok=True)
    return msgspec.convert(found["list"], PolicyList) if found else PolicyList(jurisdiction=area)


def _platform(area: str) -> httpx.Client:
    from shouwang.runtime.machine import local_runtime

    headers = {"authorization": f"Bearer {issue_token('officer', division=area)}"}
    url = local_runtime().service_url("identification")
    return httpx.Client(base_url=url, headers=headers, timeout=SECONDS_MAX, trust_env=False)


def _answer(client: httpx.Client, method: str, path: str, *, missing_ok: bool = False, **more: Any) -> dict[str, Any]:
    try:
        answer = client.request(method, path, **more)
    except httpx.HTTPError as error:
        raise LocalProblem(
            f"Identification at {client.base_url} does not answer ({type(error).__name__}): run `shouwang up`."
        ) from None
    if answer.status_code == httpx.codes.NOT_FOUND and missing_ok:
        return {}
    if answer.is_error:
        raise LocalProblem(f"Identification refused with {answer.status_code}: {answer.text[:500]}")
    found: dict[str, Any] = answer.json()
    return found


def _say_progress(found: dict[str, Any]) -> None:
    if sys.stderr.isatty():
        print(f"\r{found['chunks_done']}/{found['chunks']} parts, {found['people']} people", end="", file=sys.stderr)
