"""What other services know of people, changes and alerts, with Chinese words."""

from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request

from console import names
from console.asking import ask
from console.session import Viewer

router = APIRouter(tags=["console"])
STEPS_MAX: Final = 200
GAPS_MAX: Final = 10


def _with_words(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    told = []
    for step in steps:
        stage = names.BY_GROUP.get(step["service"])
        told.append({**step, "stage": stage.id if stage else None, "text": names.event(step["what"])})
    return told


@router.get("/api/trace/{event_id}")
async def trace(event_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """The chain of one change, oldest first, with Chinese words."""
    answer = await ask(request, "supervision", f"/v1/trace/{event_id}")
    return {"steps": _with_words(answer["steps"])}


@router.get("/api/persons/{person_id}/steps")
async def person_steps(person_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """What happened to one person lately, newest first, with Chinese words."""
    answer = await ask(request, "supervision", f"/v1/persons/{person_id}/steps", limit=STEPS_MAX)
    return {"steps": _with_words(answer["steps"]), "more": answer["next"] is not None}


@router.get("/api/persons/{person_id}/entitlements")
async def person_entitlements(person_id: UUID, caller: Viewer, request: Request) -> dict[str, Any]:
    """What the person is entitled to today, with Chinese words."""
    answer = await ask(request, "identification", f"/v1/persons/{person_id}/entitlements")
    found = [
        {
            "name": names.item(e["item"]),
            "state": e["state"],
            "state_name": names.STATES.get(e["state"], e["state"]),
            "from": e["from"],
            "to": e.get("to"),
            "amount_fen_per_month": e.get("amount_fen_per_month"),
            "unset": e.get("kind") == "cash" and e["state"] == "granted" and e.get("amount_fen_per_month") is None,
            "unpaid": names.UNPAID.get(e.get("unpaid") or ""),
            "interval_days": e.get("interval_days"),
            "title": (e.get("policy") or {}).get("title"),
            "locator": (e.get("policy") or {}).get("locator"),
            "example": (e.get("policy") or {}).get("status") == "example",
        }
        for e in answer["entitlements"]
    ]
    gaps = [gap["text"] for gap in answer["gaps"]]
    return {"on": answer["on"], "entitlements": found, "gaps": gaps}


@router.get("/api/alerts/gaps")
async def open_gaps(caller: Viewer, request: Request) -> dict[str, Any]:
    """The newest gaps of moves out of the caller's area, or into it, that nobody has decided."""
    answer = await ask(
        request, "supervision", "/v1/alerts", check="move_gap", state=["raised", "explained"], limit=GAPS_MAX
    )
    return {"gaps": [_gap(alert) for alert in answer["alerts"]]}


def _gap(alert: dict[str, Any]) -> dict[str, Any]:
    gap = alert["gap"]
    clauses = [gap[side] and f"{gap[side]['title']} {gap[side]['locator']}" for side in ("old_clause", "new_clause")]
    told = {name: alert[name] for name in ("alert_id", "person_id", "overdue")}
    return {**told, "text": gap["text"], "old_clause": clauses[0], "new_clause": clauses[1]}


@router.get("/api/alerts/open")
async def open_alerts(caller: Viewer, request: Request) -> dict[str, Any]:
    """How many alerts of the caller's area are not closed."""
    answer = await ask(request, "supervision", "/v1/alerts/open")
    by_name = {names.CHECKS.get(check, check): count for check, count in answer["by_check"].items()}
    return {"open": answer["open"], "by_name": by_name}
