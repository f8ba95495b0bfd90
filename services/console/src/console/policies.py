"""A list on its way into force, for those who answer for it: what it changes, for whom, what it costs, who signed."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Annotated, Any, Final
from uuid import UUID

from common.codes import divisions
from common.errors import NotAllowed, NotFound, Unauthenticated
from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from shell.access.route_marks import needs_no_credential

from console import names
from console.asking import ask
from console.page import render
from console.session import Viewer, area_name, area_of, viewer

router = APIRouter(tags=["console"])
PAGE: Final = 500
PAGES_MAX: Final = 10  # of each state
SHOWN_MAX: Final = 100
SEEDER: Final = "contracts/policy"  # proposes a changed file
TOLD_MAX: Final = 20  # faults, and people who would get less
COUNTS: Final = ("people", "changed", "winners", "losers", "mixed", "asked")
FEN: Final = ("fen_before", "fen_after")
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get("/policies", include_in_schema=False)
@needs_no_credential
async def show_policies(request: Request) -> Response:
    try:
        caller = viewer(request)
    except (Unauthenticated, NotAllowed):
        return RedirectResponse("/login", status_code=303)
    values = {"area": escape(area_name(caller)), "role": escape(names.ROLES[caller.role])}
    return HTMLResponse(render("policies.html", **values))


@router.get("/api/policies")
async def policies(caller: Viewer, request: Request) -> dict[str, Any]:
    """The lists of the caller's area that came to the gate, the newest first; seeds never did."""
    found = [
        policy
        for state in names.POLICY_STATES
        for policy in await _of_state(request, state)
        if caller.may_see(policy["jurisdiction"]) and (state != "published" or policy["approvals"])
    ]
    found.sort(key=lambda policy: (policy["proposed_at"], policy["version"]), reverse=True)
    return {"policies": [_policy(one) for one in found[:SHOWN_MAX]], "more": len(found) > SHOWN_MAX}


async def _of_state(request: Request, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = await ask(request, "identification", "/v1/policies", state=state, limit=PAGE, **after)
        found += page["policies"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    return found


@router.get("/api/unpaid-items")
async def unpaid_items(caller: Viewer, request: Request) -> dict[str, Any]:
    """Money of the lists in force that nobody is paid, for the caller's area and the areas above and below it."""
    division = area_of(caller)
    found = await ask(request, "identification", "/v1/unpaid-items", division=division)
    return {"unpaid": [_unpaid(one, one["jurisdiction"]) for one in found["unpaid"]], "more": found["more"]}


@router.get("/api/policies/{version}")
async def policy(version: Version, caller: Viewer, request: Request) -> dict[str, Any]:
    """What stands at the gate, with Chinese words. `simulation_id`: the one to look at, which can be signed upon where
    there is such a one."""
    review = await ask(request, "identification", f"/v1/policies/{version}/review")
    one = review["policy"]
    _need_area(caller, one["jurisdiction"])
    page = await ask(request, "identification", "/v1/simulations", version=version)
    simulations = [s["simulation_id"] for s in page["simulations"] if not s["replayed"]]
    sound = review["sound"]
    signed = [a["simulation_id"] for a in one["approvals"]]
    undecided = one["state"] in ("proposed", "approved")
    approvals = [{**a, "counts": not undecided or a["simulation_id"] in sound} for a in one["approvals"]]
    inclusion = review["inclusion"]
    return {
        **_policy(one),
        "approvals": approvals,
        "approvals_needed": review["approvals_needed"],
        "blocked": names.BLOCKED.get(review["blocked"], review["blocked"]),
        "changes": review["changes"],
        "faults": review["faults"][:TOLD_MAX],
        "inclusion": {
            "included": inclusion["included"],
            "above": [divisions.name(code) or code for code in inclusion["above"]],
            "narrower": [_narrower(n, names.DEVIATION_UNSIGNED) for n in inclusion["narrower"][:TOLD_MAX]],
            "deviating": [_narrower(n, names.DEVIATION_COUNTS) for n in inclusion["deviating"][:TOLD_MAX]],
            "undecided": [names.item(item) for item in inclusion["undecided"]],
        },
        "unpaid": [_unpaid(item, one["jurisdiction"]) for item in review["unpaid"]],
        "simulation_id": next(iter([*sound, *(signed[-1:] if not undecided else []), *simulations]), None),
        "redecision": await _redecision(request, version) if one["published_at"] else None,
    }


@router.get("/api/policies/{version}/redecision")
async def redecision(version: Version, caller: Viewer, request: Request) -> dict[str, Any]:
    """How far the people are decided again; cheap to ask often."""
    found = await ask(request, "identification", f"/v1/policies/{version}/redecision")
    _need_area(caller, found["jurisdiction"])
    return _progress(found)


async def _redecision(request: Request, version: str) -> Any:
    try:
        found = await ask(request, "identification", f"/v1/policies/{version}/redecision")
    except NotFound:
        return None
    return _progress(found)


def _progress(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: found[name] for name in ("people_touched", "people", "people_changed", "redecided_at")}


@router.get("/api/simulations/{simulation_id}")
async def simulation(simulation_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """How far it is, and what it found: sums over people, and nobody among them."""
    found = await ask(request, "identification", f"/v1/simulations/{simulation_id}")
    _need_area(caller, found["jurisdiction"])
    told = {name: found[name] for name in ("simulation_id", "state", "fault", "first_month", "months", "people")}
    told |= {name: found[name] for name in ("chunks", "chunks_done", "requested_at", "completed_at")}
    result = found["result"]
    return {
        **told,
        "state_name": names.SIMULATION_STATES.get(found["state"], found["state"]),
        "result": _result(result, found["jurisdiction"]) if result else None,
    }


def _need_area(caller: Viewer, division: str) -> None:
    if not caller.may_see(division):
        raise NotAllowed("outside your area")


def _policy(one: Mapping[str, Any]) -> dict[str, Any]:
    halt = one["halt"]
    return {
        "version": one["version"],
        "area": one["jurisdiction"],
        "area_name": divisions.name(one["jurisdiction"]) or one["jurisdiction"],
        "state": one["state"],
        "state_name": names.POLICY_STATES.get(one["state"], one["state"]),
        "running": one["running"],
        "proposed_by": names.SEEDER if one["proposed_by"] == SEEDER else one["proposed_by"],
        "proposed_at": one["proposed_at"],
        "published_at": one["published_at"],
        "signatures": len(one["approvals"]),
        "halt": {**halt, "by_itself": halt["by"] == "band"} if halt and one["state"] == "halted" else None,
    }


def _unpaid(item: Mapping[str, Any], area: str) -> dict[str, Any]:
    return {
        "area_name": divisions.name(area) or area,
        "title": item["title"],
        "from": item["valid_from"],
        "to": item["valid_to"],
        "text": item["text"],
    }


def _narrower(n: Mapping[str, Any], words: str) -> dict[str, Any]:
    """`words`: how the deviation that names it stands."""
    deviation = n["deviation"]
    return {
        "name": names.item(n["item"]),
        "parent_name": divisions.name(n["parent"]) or n["parent"],
        "from": n["from"],
        "to": n["to"],
        "person": n["person"]["text"],
        "parent_gives": n["parent_gives"],
        "child_gives": n["child_gives"],
        "sentence": n["sentence"],
        "deviation": f"{words}：{deviation['clause']}（{deviation['signer']}）" if deviation else None,
    }


def _result(result: Mapping[str, Any], area: str) -> dict[str, Any]:
    """Without the examples, who are people, and without the sums of areas above, which say the same once more."""
    top = [g for g in result["groups"] if g["age_band"] is None and g["division"] in (divisions.NATION, "")]
    return {
        "suppressed": result["suppressed"],
        "summary": result["summary"],
        "total": {name: total(g[name] for g in top) for name in (*COUNTS, *FEN)},
        "groups": [g for g in result["groups"] if g["division"] not in divisions.ancestors(area)],
        "items": result["items"],
        "months": by_level(result["money"], ("month", "name", "fund_name")),
        "levels": by_level(result["money"], ("name", "fund_name")),
        "barred_fen": total(m["fen_after"] for m in result["money"] if m["state"] == "barred"),
        "earlier": result["earlier"],
    }


def by_level(money: Iterable[Mapping[str, Any]], key: Sequence[str]) -> list[dict[str, Any]]:
    """Money that is payable, summed over the items of one `key`; null where a part is too small to be told."""
    parts: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for line in money:
        if line["state"] != "barred":
            parts.setdefault(tuple(line[name] for name in key), []).append(line)
    return [
        {**dict(zip(key, of, strict=True)), **{name: total(line[name] for line in lines) for name in FEN}}
        for of, lines in sorted(parts.items())
    ]


def total(numbers: Iterable[int | None]) -> int | None:
    found = 0
    for number in numbers:
        if number is None:
            return None
        found += number
    return found
