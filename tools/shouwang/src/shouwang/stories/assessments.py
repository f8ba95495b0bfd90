"""The story of an assessment: a list asks for it, two people make it, a third signs it, and a subsidy follows."""

from __future__ import annotations

from pathlib import Path

import yaml
from common.events import AbilitiesDetermined, AssessmentRequested, DuesDetermined, EntitlementsDecided
from shell.settings import repository_root

from shouwang.stories import people
from shouwang.stories.platform import Json, Platform, in_month, month_text
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, yuan

NURSING = "nursing_subsidy"
NURSING_FEN = 20000
FORM_POINTS = 40
SCALE: Path = repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml"


def form(points: int) -> dict[str, int]:
    """Return the points by item code of a form with `points` in all. The first items get their maximum."""
    scale = yaml.safe_load(SCALE.read_text(encoding="utf-8"))
    filled = {}
    for dimension in scale["dimensions"]:
        for item in dimension["items"]:
            filled[item["code"]] = min(item["max"], points)
            points -= filled[item["code"]]
    return filled


async def assessed(platform: Platform, transcript: Transcript, *, until_due: bool = True) -> None:
    """Tell the story. It needs demonstration mode, because the amount is an example.

    `until_due`: also move the clock to the next month, for which the subsidy is due.
    """
    elder = platform.cast.aged(76, platform.today())
    person = "76 years old, on low income, no longer manages alone."
    with transcript.story("An assessment that nobody applied for", person):
        scene = Scene(platform, transcript, elder)
        asked = await _request(scene)
        await _assess(scene, asked.assessment_id)
        if until_due:
            await _first_due(scene)


async def _request(scene: Scene) -> AssessmentRequested:
    """Push the person's registers and low income, and wait for the requested assessment."""
    now = scene.platform.now()
    scene.action("the registers and the low income are loaded")
    await scene.register(people.low_income(scene.elder, now, in_month(now.date(), -6)))
    asked = await scene.event(AssessmentRequested)
    scene.observed(f"老年人能力综合评估 is requested, due on {asked.data.due_on}", asked)
    return asked.data


async def _assess(scene: Scene, assessment_id: str) -> None:
    """Score and sign the assessment, and check that the subsidy is granted."""
    scene.action(f"two assessors hand in a form of {FORM_POINTS} points; a third person signs")
    signed = await _sign(scene.platform, scene.person_id, assessment_id)
    expect((signed["total"], signed["level"]), (FORM_POINTS, 3), "total and level")
    await scene.observe(AbilitiesDetermined, "ability level 3, 重度失能")
    decided = await scene.event(EntitlementsDecided, _grants_nursing)
    held = await scene.entitlement(NURSING)
    expect((held["state"], held["amount_fen_per_month"]), ("granted", NURSING_FEN), "护理补贴")
    scene.observed(f"护理补贴 {yuan(NURSING_FEN)}/月 is granted (an example amount)", decided)


async def _sign(platform: Platform, person_id: str, assessment_id: str) -> Json:
    """Hand in the form as assessor and sign it as another person; returns the signed assessment."""
    body = {
        "person_id": person_id,
        "assessed_on": platform.today().isoformat(),
        "assessors": ["assessor-11", "assessor-12"],
        "items": form(FORM_POINTS),
    }
    scored = await platform.post("assessment", "/v1/assessments", body, role="assessor", subject="assessor-11")
    expect(scored["assessment_id"], assessment_id, "the case that the form belongs to")
    path = f"/v1/assessments/{assessment_id}/sign"
    signed: Json = await platform.post("assessment", path, role="assessor", subject="assessor-20")
    return signed


async def _first_due(scene: Scene) -> None:
    """Move the clock to the next month and check that no other month is due."""
    first = scene.platform.next_month()
    month = month_text(first)
    scene.action(f"the clock moves to {first} 00:00")
    await scene.platform.move_to_day(first)

    def has_month(event: DuesDetermined) -> bool:
        return any(line.item == NURSING and line.service_month == month for line in event.lines)

    dues = await scene.event(DuesDetermined, has_month)
    expect(await scene.owed_by_month(NURSING), {month: NURSING_FEN}, "the dues")
    scene.observed(f"the first month is due: {month}", dues)


def _grants_nursing(event: EntitlementsDecided) -> bool:
    return any(held.item == NURSING and held.state == "granted" for held in event.entitlements)
