"""Show the open alerts of the caller's area, with Chinese names."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request

from console.domain import names
from console.peers import fetch
from console.session import Viewer

router = APIRouter(tags=["console"])
GAPS_MAX: Final = 10


@router.get("/api/alerts/gaps")
async def open_gaps(caller: Viewer, request: Request) -> dict[str, Any]:
    """The newest undecided gaps of moves out of the caller's area, or into it, at most ten."""
    answer = await fetch(
        request, "supervision", "/v1/alerts", check="move_gap", state=["raised", "explained"], limit=GAPS_MAX
    )
    return {"gaps": [_gap(alert) for alert in answer["alerts"]]}


def _gap(alert: Mapping[str, Any]) -> dict[str, Any]:
    gap = alert["gap"]
    return {
        "alert_id": alert["alert_id"],
        "person_id": alert["person_id"],
        "overdue": alert["overdue"],
        "text": gap["text"],
        "old_clause": _clause(gap["old_clause"]),
        "new_clause": _clause(gap["new_clause"]),
    }


def _clause(clause: Mapping[str, Any] | None) -> str | None:
    return f"{clause['title']} {clause['locator']}" if clause else None


@router.get("/api/alerts/open")
async def open_alerts(caller: Viewer, request: Request) -> dict[str, Any]:
    """The number of open alerts of the caller's area, in total and by check."""
    answer = await fetch(request, "supervision", "/v1/alerts/open")
    by_name = {names.CHECKS.get(check, check): count for check, count in answer["by_check"].items()}
    return {"open": answer["open"], "by_name": by_name}
