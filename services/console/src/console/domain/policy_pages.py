"""Convert answers of identification to the contents of the pages of lists, with figures and Chinese names."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from common.codes import divisions

from console.domain import names
from console.domain.item_titles import ItemTitles

SEEDER: Final = "contracts/policy"  # the proposer of a changed file
SHOWN_MAX: Final = 20  # faults, and persons who would receive less
COUNTS: Final = ("people", "changed", "winners", "losers", "mixed", "asked")
FEN: Final = ("fen_before", "fen_after")
PROGRESS: Final = ("people_touched", "people", "people_changed", "redecided_at")
UNDECIDED: Final = ("proposed", "approved")


def area_name(code: str) -> str:
    return divisions.name(code) or code


def version_out(one: Mapping[str, Any]) -> dict[str, Any]:
    """Convert one version of a list. `by_itself`: the platform halted it, because its effect left the permitted
    difference from the simulation."""
    halt = one["halt"]
    return {
        "version": one["version"],
        "area": one["jurisdiction"],
        "area_name": area_name(one["jurisdiction"]),
        "state": one["state"],
        "state_name": names.POLICY_STATES.get(one["state"], one["state"]),
        "running": one["running"],
        "proposed_by": names.SEEDER if one["proposed_by"] == SEEDER else one["proposed_by"],
        "proposed_at": one["proposed_at"],
        "published_at": one["published_at"],
        "signatures": len(one["approvals"]),
        "halt": {**halt, "by_itself": halt["by"] == "band"} if halt and one["state"] == "halted" else None,
    }


def review_out(review: Mapping[str, Any], titles: ItemTitles) -> dict[str, Any]:
    """Convert the review of a version: the checks before its publication."""
    one = review["policy"]
    return {
        **version_out(one),
        "approvals": [{**approval, "counts": _counts(approval, review)} for approval in one["approvals"]],
        "approvals_needed": review["approvals_needed"],
        "blocked": names.BLOCKED.get(review["blocked"], review["blocked"]),
        "changes": review["changes"],
        "faults": review["faults"][:SHOWN_MAX],
        "inclusion": _inclusion_out(review["inclusion"], titles),
        "unpaid": [unpaid_out(item, one["jurisdiction"]) for item in review["unpaid"]],
    }


def _counts(approval: Mapping[str, Any], review: Mapping[str, Any]) -> bool:
    """Whether a signature counts. Before the publication it must be on a sound simulation."""
    return review["policy"]["state"] not in UNDECIDED or approval["simulation_id"] in review["sound"]


def items_of(review: Mapping[str, Any]) -> list[str]:
    """Return the codes of the items that a review names."""
    inclusion = review["inclusion"]
    narrowed = [one["item"] for one in (*inclusion["narrower"], *inclusion["deviating"])]
    return [*narrowed, *inclusion["undecided"]]


def _inclusion_out(inclusion: Mapping[str, Any], titles: ItemTitles) -> dict[str, Any]:
    unsigned, signed = names.DEVIATION_UNSIGNED, names.DEVIATION_COUNTS
    return {
        "included": inclusion["included"],
        "above": [area_name(code) for code in inclusion["above"]],
        "narrower": [_narrowing_out(one, unsigned, titles) for one in inclusion["narrower"][:SHOWN_MAX]],
        "deviating": [_narrowing_out(one, signed, titles) for one in inclusion["deviating"][:SHOWN_MAX]],
        "undecided": [titles.title(item) for item in inclusion["undecided"]],
    }


def _narrowing_out(one: Mapping[str, Any], status: str, titles: ItemTitles) -> dict[str, Any]:
    """Convert one narrowing. `status`: Chinese text about its deviation, if there is one."""
    deviation = one["deviation"]
    return {
        "name": titles.title(one["item"]),
        "parent_name": area_name(one["parent"]),
        "from": one["from"],
        "to": one["to"],
        "person": one["person"]["text"],
        "parent_gives": one["parent_gives"],
        "child_gives": one["child_gives"],
        "sentence": one["sentence"],
        "deviation": f"{status}：{deviation['clause']}（{deviation['signer']}）" if deviation else None,
    }


def shown_simulation(review: Mapping[str, Any], simulations: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the id of the simulation on the page; None without any.

    It is a sound one: a signature on it is valid. Else it is the last signed one of a published or halted list, else
    the newest that is no replay. `simulations`: the newest first.
    """
    one = review["policy"]
    signed = [approval["simulation_id"] for approval in one["approvals"]] if one["state"] not in UNDECIDED else []
    newest = [simulation["simulation_id"] for simulation in simulations if not simulation["replayed"]]
    return next(iter([*review["sound"], *signed[-1:], *newest]), None)


def progress_out(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in PROGRESS}


def unpaid_out(item: Mapping[str, Any], area: str) -> dict[str, Any]:
    return {
        "area_name": area_name(area),
        "title": item["title"],
        "from": item["valid_from"],
        "to": item["valid_to"],
        "text": item["text"],
    }


def simulation_out(found: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("simulation_id", "state", "fault", "first_month", "months", "people")
    progress = ("chunks", "chunks_done", "requested_at", "completed_at")
    result = found["result"]
    return {
        **{name: found[name] for name in (*fields, *progress)},
        "state_name": names.SIMULATION_STATES.get(found["state"], found["state"]),
        "result": result_out(result, found["jurisdiction"]) if result else None,
    }


def result_out(result: Mapping[str, Any], area: str) -> dict[str, Any]:
    """Convert the result of a simulation to sums. It leaves out the examples, because they are persons, and the areas
    above, because they repeat the sums."""
    top = [g for g in result["groups"] if g["age_band"] is None and g["division"] in (divisions.NATION, "")]
    return {
        "suppressed": result["suppressed"],
        "summary": result["summary"],
        "total": _sums(top, (*COUNTS, *FEN)),
        "groups": [group for group in result["groups"] if group["division"] not in divisions.ancestors(area)],
        "items": result["items"],
        "months": by_level(result["money"], ("month", "name", "fund_name")),
        "levels": by_level(result["money"], ("name", "fund_name")),
        "barred_fen": total(line["fen_after"] for line in result["money"] if line["state"] == "barred"),
        "earlier": result["earlier"],
    }


def by_level(money: Iterable[Mapping[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    """Sum payable money by the fields `key`. A sum is None if a part of it is suppressed."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for line in money:
        if line["state"] != "barred":
            groups.setdefault(tuple(line[name] for name in key), []).append(line)
    return [{**dict(zip(key, values, strict=True)), **_sums(lines, FEN)} for values, lines in sorted(groups.items())]


def _sums(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> dict[str, int | None]:
    return {field: total(row[field] for row in rows) for field in fields}


def total(numbers: Iterable[int | None]) -> int | None:
    """The sum; None if a number is None."""
    found = 0
    for number in numbers:
        if number is None:
            return None
        found += number
    return found
