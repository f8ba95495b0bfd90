"""Show one person's steps and entitlements, and the chain of one change, with Chinese names."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request

from console.domain import names
from console.domain.item_titles import ItemTitles
from console.peers import fetch
from console.session import Viewer
from console.titles import titles_for

router = APIRouter(tags=["console"])
STEPS_MAX: Final = 200


@router.get("/api/trace/{event_id}")
async def trace(event_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """The chain of one change, oldest first, with Chinese names."""
    answer = await fetch(request, "supervision", f"/v1/trace/{event_id}")
    return {"steps": [_step(step) for step in answer["steps"]]}


@router.get("/api/persons/{person_id}/steps")
async def person_steps(person_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """The last steps of one person, at most 200, newest first, with Chinese names. `more`: there are earlier ones."""
    answer = await fetch(request, "supervision", f"/v1/persons/{person_id}/steps", limit=STEPS_MAX)
    return {"steps": [_step(step) for step in answer["steps"]], "more": answer["next"] is not None}


def _step(step: dict[str, Any]) -> dict[str, Any]:
    stage = names.BY_GROUP.get(step["service"])
    return {**step, "stage": stage.id if stage else None, "text": names.event(step["what"])}


@router.get("/api/persons/{person_id}/entitlements")
async def person_entitlements(person_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """The person's entitlements of today, with Chinese names."""
    answer = await fetch(request, "identification", f"/v1/persons/{person_id}/entitlements")
    found = answer["entitlements"]
    titles = await titles_for(request, [entitlement["item"] for entitlement in found])
    gaps = [gap["text"] for gap in answer["gaps"]]
    return {"on": answer["on"], "entitlements": [_entitlement(one, titles) for one in found], "gaps": gaps}


def _entitlement(e: Mapping[str, Any], titles: ItemTitles) -> dict[str, Any]:
    policy = e.get("policy") or {}
    amount = e.get("amount_fen_per_month")
    return {
        "name": titles.title(e["item"]),
        "state": e["state"],
        "state_name": names.STATES.get(e["state"], e["state"]),
        "from": e["from"],
        "to": e.get("to"),
        "amount_fen_per_month": amount,
        "unset": e.get("kind") == "cash" and e["state"] == "granted" and amount is None,
        "unpaid": names.UNPAID.get(e.get("unpaid") or ""),
        "interval_days": e.get("interval_days"),
        "title": policy.get("title"),
        "locator": policy.get("locator"),
        "example": policy.get("status") == "example",
    }
