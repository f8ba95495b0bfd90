"""Simulates a proposed list on the running platform and shows the result in Chinese tables."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from common.money import yuan
from rules.form.policy import PolicyList

from shouwang.policies.proposals import identification
from shouwang.terminal import aligned, show_progress

ASK_SECONDS = 0.5
_GROUP_COUNTS: Final = {
    "people": "人数",
    "changed": "有变化",
    "winners": "只增",
    "losers": "只减",
    "mixed": "有增有减",
    "asked": "需补充",
}


def run(proposed: PolicyList, *, first_month: str | None, months: int) -> dict[str, Any]:
    """Request a simulation and wait for its end; returns the answer of identification (JSON). Raises LocalProblem.

    `first_month`: `YYYY-MM`; None lets identification choose it. `months`: the number of service months.
    """
    body: dict[str, Any] = {"list": msgspec.to_builtins(proposed, str_keys=True), "months": months}
    if first_month:
        body["from_month"] = first_month
    with identification(proposed.jurisdiction) as client:
        found = client.json("POST", "/v1/simulations", json=body)
        while found["state"] in ("waiting", "running"):
            time.sleep(ASK_SECONDS)
            found = client.json("GET", f"/v1/simulations/{found['simulation_id']}")
            show_progress(f"{found['chunks_done']}/{found['chunks']} parts, {found['people']} people")
    show_progress("")
    return found


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield the summary, a table of the people, a table of the money that changes, and the ids.

    Without a change of money its table is missing. A failed simulation gives one line.
    """
    if found["state"] != "complete":
        yield f"模拟未完成：{found['fault']}"
        return
    result = found["result"]
    yield from result["summary"]
    yield ""
    yield from _people_table(result["groups"])
    changed = [row for row in result["money"] if row["fen_before"] != row["fen_after"]]
    if changed:
        yield ""
        yield from _money_table(changed)
    yield ""
    yield f"模拟 {found['simulation_id']}，清单版本 {found['version']}"


def _people_table(groups: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [["地区", "年龄", *_GROUP_COUNTS.values(), "原金额（元）", "新金额（元）"]]
    for group in groups:
        counts = [_count(group[name]) for name in _GROUP_COUNTS]
        amounts = [_yuan(group["fen_before"]), _yuan(group["fen_after"])]
        rows.append([group["name"], group["age_name"], *counts, *amounts])
    return aligned(rows, numbers=range(2, len(rows[0])))


def _money_table(money: Sequence[dict[str, Any]]) -> Iterator[str]:
    rows = [["月份", "地区", "资金", "项目", "状态", "原人数", "新人数", "原金额（元）", "新金额（元）"]]
    for row in money:
        names = [row[name] for name in ("month", "name", "fund_name", "title", "state_name")]
        people = [_count(row["payees_before"]), _count(row["payees_after"])]
        rows.append([*names, *people, _yuan(row["fen_before"]), _yuan(row["fen_after"])])
    return aligned(rows, numbers=range(5, len(rows[0])))


def _count(people: int | None) -> str:
    """Return the number as text, or `—` for None: the platform hides numbers that are too small."""
    return "—" if people is None else str(people)


def _yuan(fen: int | None) -> str:
    return "—" if fen is None else yuan(fen)
