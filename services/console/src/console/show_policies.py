"""Show lists before and after their publication: changes, checks, simulated figures, costs and signatures."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

from common.errors import NotAllowed, NotFound
from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from shell.access.route_marks import needs_no_credential

from console.domain import names
from console.domain.policy_pages import (
    items_of,
    progress_out,
    review_out,
    shown_simulation,
    simulation_out,
    unpaid_out,
    version_out,
)
from console.peers import fetch
from console.session import Viewer, area_of, signed_in_page
from console.titles import titles_for

router = APIRouter(tags=["console"])
PAGE: Final = 500
PAGES_MAX: Final = 10  # of each state
VERSIONS_MAX: Final = 100
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$")]


@router.get("/policies", include_in_schema=False)
@needs_no_credential
async def show_policies(request: Request) -> Response:
    """The page of lists."""
    return await signed_in_page(request, "policies.html")


@router.get("/api/policies")
async def policies(caller: Viewer, request: Request) -> dict[str, Any]:
    """Versions of lists of the caller's area and of areas below it, at most 100, the newest first.

    A published list without signatures, such as one of the first installation, is left out.
    """
    found: list[dict[str, Any]] = []
    for state in names.POLICY_STATES:
        found += [one for one in await _of_state(request, state) if _is_shown(one, caller)]
    found.sort(key=lambda version: (version["proposed_at"], version["version"]), reverse=True)
    return {"policies": [version_out(one) for one in found[:VERSIONS_MAX]], "more": len(found) > VERSIONS_MAX}


def _is_shown(version: Mapping[str, Any], caller: Viewer) -> bool:
    is_seed = version["state"] == "published" and not version["approvals"]
    return caller.may_see(version["jurisdiction"]) and not is_seed


async def _of_state(request: Request, state: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    for _ in range(PAGES_MAX):
        page = await fetch(request, "identification", "/v1/policies", state=state, limit=PAGE, **after)
        found += page["policies"]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    return found


@router.get("/api/unpaid-items")
async def unpaid_items(caller: Viewer, request: Request) -> dict[str, Any]:
    """Unpaid cash items of the lists in force, for the caller's area and the areas above and below it."""
    found = await fetch(request, "identification", "/v1/unpaid-items", division=area_of(caller))
    return {"unpaid": [unpaid_out(one, one["jurisdiction"]) for one in found["unpaid"]], "more": found["more"]}


@router.get("/api/policies/{version}")
async def policy(version: Version, caller: Viewer, request: Request) -> dict[str, Any]:
    """The review of a version, with Chinese names. `simulation_id`: the simulation to show, null for none."""
    review = await fetch(request, "identification", f"/v1/policies/{version}/review")
    _need_area(caller, review["policy"]["jurisdiction"])
    found = await fetch(request, "identification", "/v1/simulations", version=version)
    titles = await titles_for(request, items_of(review))
    published = review["policy"]["published_at"]
    return {
        **review_out(review, titles),
        "simulation_id": shown_simulation(review, found["simulations"]),
        "redecision": await _redecision(request, version) if published else None,
    }


@router.get("/api/policies/{version}/redecision")
async def redecision(version: Version, caller: Viewer, request: Request) -> dict[str, Any]:
    """The progress of the redecision after a publication. It costs little to ask often."""
    found = await fetch(request, "identification", f"/v1/policies/{version}/redecision")
    _need_area(caller, found["jurisdiction"])
    return progress_out(found)


async def _redecision(request: Request, version: str) -> dict[str, Any] | None:
    try:
        return progress_out(await fetch(request, "identification", f"/v1/policies/{version}/redecision"))
    except NotFound:
        return None


@router.get("/api/simulations/{simulation_id}")
async def simulation(simulation_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """The progress and the result of a simulation: sums over persons, and no single person."""
    found = await fetch(request, "identification", f"/v1/simulations/{simulation_id}")
    _need_area(caller, found["jurisdiction"])
    return simulation_out(found)


def _need_area(caller: Viewer, division: str) -> None:
    if not caller.may_see(division):
        raise NotAllowed("outside your area")
