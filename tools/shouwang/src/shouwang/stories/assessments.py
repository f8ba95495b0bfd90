"""The list asks for an assessment, two people make it, a third signs it, and the money follows."""

from __future__ import annotations

from pathlib import Path

import yaml
from common.events import AbilitiesDetermined, AssessmentRequested, DuesDetermined, EntitlementsDecided
from shell.settings import repository_root

from shouwang.stories import people
from shouwang.stories.money import owed
from shouwang.stories.platform import Json, Platform, in_month, month_text
from shouwang.stories.transcript import Teller, expect, only, yuan

NURSING = "nursing_subsidy"
SCALE: Path = repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml"


def form(points: int) -> dict[str, int]:
    """Points by item, as many as fit from the front until `points` are given."""
    scale = yaml.safe_load(SCALE.read_text(encoding="utf-8"))
    found = {}
    for item in (item for dimension in scale["dimensions"] for item in dimension["items"]):
        found[item["code"]] = min(item["max"], points)
        points -= found[item["code"]]
    return found


async def assessed(platform: Platform, tell: Teller, *, until_due: bool = True) -> None:
    """Needs demonstration mode: the amount is an example. `until_due`: move the clock to the next month."""
    today = platform.today()
    elder = platform.cast.aged(76, today)
    with tell.story("An assessment that nobody applied for", "76 years old, on low income, no longer manages alone."):
        now = platform.now()
        began = tell.happens("the registers and the low income are loaded")
        await platform.push(*people.arrives(elder, now), people.low_income(elder, now, in_month(today, -6)))
        person_id = await platform.find(elder)
        asked = await platform.watch.event(AssessmentRequested, person_id)
        tell.seen(f"老年人能力综合评估 is requested, due on {asked.data.due_on}", began, asked.at)
        began = tell.happens("two assessors hand in a form of 40 points; a third person signs")
        signed = await _sign(platform, person_id, asked.data.assessment_id)
        expect((signed["total"], signed["level"]), (40, 3), "total and level")
        determined = await platform.watch.event(AbilitiesDetermined, person_id)
        tell.seen("ability level 3, 重度失能", began, determined.at)
        decided = await platform.watch.event(
            EntitlementsDecided,
            person_id,
            lambda e: any(h.item == NURSING and h.state == "granted" for h in e.entitlements),
        )
        held = only([e for e in await platform.entitlements(person_id) if e["item"] == NURSING], "护理补贴")
        expect((held["state"], held["amount_fen_per_month"]), ("granted", 20000), "护理补贴")
        tell.seen(f"护理补贴 {yuan(20000)}/月 is granted (an example amount)", began, decided.at)
        if until_due:
            await _first_due(platform, tell, person_id)


async def _sign(platform: Platform, person_id: str, assessment_id: str) -> Json:
    body = {
        "person_id": person_id,
        "assessed_on": platform.today().isoformat(),
        "assessors": ["assessor-11", "assessor-12"],
        "items": form(40),
    }
    scored = await platform.post("assessment", "/v1/assessments", body, role="assessor", subject="assessor-11")
    expect(scored["assessment_id"], assessment_id, "the case that the form belongs to")
    path = f"/v1/assessments/{assessment_id}/sign"
    signed: Json = await platform.post("assessment", path, role="assessor", subject="assessor-20")
    return signed


async def _first_due(platform: Platform, tell: Teller, person_id: str) -> None:
    first = platform.next_month()
    month = month_text(first)
    began = tell.happens(f"the clock moves to {first} 00:00")
    await platform.move_to_day(first)
    dues = await platform.watch.event(
        DuesDetermined, person_id, lambda e: any(d.item == NURSING and d.service_month == month for d in e.lines)
    )
    due = {m: amount for (m, _), amount in owed(await platform.ledger(person_id), NURSING).items()}
    expect(due, {month: 20000}, "what is due")
    tell.seen(f"the first month is due: {month}", began, dues.at)
