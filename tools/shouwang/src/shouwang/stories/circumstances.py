"""Stories of changed circumstances: a certificate and its correction; the low income of a household."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from common.events import DuesDetermined, EntitlementsDecided, VisitCancelled, VisitOffered

from shouwang.stories import people
from shouwang.stories.people import Event
from shouwang.stories.platform import Json, Platform, in_month, month_text
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, need, yuan

NURSING = "severe_disability_nursing_subsidy"
CARE = "care_service_subsidy"
VISITS = "visiting_care"
NURSING_FEN = 9000
CARE_FEN = 5000


async def corrected_certificate(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a certificate whose level is corrected: subsidy and visits are taken back from the first day.

    It needs a visiting provider in the county, and demonstration mode, because the amount is an example.
    """
    today = platform.today()
    elder = platform.cast.aged(72, today)
    person = "72 years old, holds a disability certificate of level 2."
    with transcript.story("A certificate, then its correction", person):
        scene = Scene(platform, transcript, elder)
        certificate = people.certificate(elder, platform.now(), 2, in_month(today, -2))
        decided = await _certified(scene, certificate)
        correction_id = await _correct(scene, certificate)
        await _compare_explanations(scene, correction_id, decided.recorded_at)


async def _certified(scene: Scene, certificate: Event) -> EntitlementsDecided:
    """Push the certificate and check that the subsidy is due and a visit is offered; returns the decision."""
    month = month_text(scene.platform.today())
    issued_on = certificate["data"]["valid_from"]
    scene.action(f"the Disabled Persons' Federation reports the certificate of {issued_on}: level 2")
    await scene.register(certificate)
    decided = await scene.observe(
        EntitlementsDecided,
        f"重度残疾人护理补贴 {yuan(NURSING_FEN)}/月 (an example amount) and 探访服务 are granted",
        lambda event: any(held.item == NURSING for held in event.entitlements),
    )
    await scene.observe(VisitOffered, "the first visit is offered")
    dues = await scene.event(DuesDetermined)
    expect((await scene.owed_by_month(NURSING)).get(month), NURSING_FEN, month)
    scene.observed(f"{month} is due", dues)
    return decided.data


async def _correct(scene: Scene, certificate: Event) -> str:
    """Push the correction and check that subsidy and visits are taken back from the first day; returns its event id."""
    now = scene.platform.now()
    scene.action("the Federation corrects it: level 3, from the beginning")
    corrected = people.certificate(scene.elder, now, 3, in_month(now.date(), -2), corrects=certificate)
    (correction_id,) = await scene.push(corrected)
    decided = await scene.event(EntitlementsDecided)
    items = {held.item for held in decided.data.entitlements}
    expect(items & {NURSING, VISITS}, set(), "the items of a certificate of level 3")
    scene.observed("both are decided again: never due", decided)
    await _taken_back(scene)
    return correction_id


async def _taken_back(scene: Scene) -> None:
    """Check that the visit is cancelled and no subsidy is owed."""
    cancelled = await scene.event(VisitCancelled)
    expect(cancelled.data.reason, "not_entitled", "the reason of the cancelled visit")
    scene.observed("the visit is cancelled", cancelled)
    dues = await scene.event(DuesDetermined)
    expect(await scene.owed(NURSING), {}, "the remaining dues")
    scene.observed("the dues are taken back before any payment", dues)


async def _compare_explanations(scene: Scene, correction_id: str, known_then: datetime) -> None:
    """Check and print the explanation as known at `known_then` and as known at present."""
    before = await scene.explanation(NURSING, known_at=known_then.isoformat())
    after = await scene.explanation(NURSING)
    expect((before["outcome"], after["outcome"]), ("granted", "refused"), "the two explanations")
    need(correction_id in _facts_of(after), "the refusal rests on the corrected certificate")
    scene.note(f"as known before: {before['sentence']}")
    scene.note(f"as known now:    {after['sentence']}")


async def household_low_income(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a couple: low income is reported for the husband, and the list of members adds the wife.

    It needs demonstration mode, because the amount is an example.
    """
    today = platform.today()
    husband = platform.cast.aged(84, today, sex="1")
    wife = platform.cast.aged(82, today, sex="2").in_town(husband.town)
    household_no = f"H{uuid4().hex[:12]}"
    with transcript.story("A household's low income reaches its members", "A couple of 84 and 82 in one household."):
        his, hers = Scene(platform, transcript, husband), Scene(platform, transcript, wife)
        await his.register()
        await hers.register()
        await hers.event(EntitlementsDecided)
        recognition_id = await _recognise(his, household_no)
        expect(await hers.entitlements(CARE), [], "her entitlements before the list of members")
        await _list_members(his, hers, household_no)
        await _granted_to_her(hers, recognition_id)


async def _recognise(his: Scene, household_no: str) -> str:
    """Push low income for the husband alone and check his subsidy; returns the event id."""
    platform = his.platform
    his.action("Civil Affairs reports low income of the household, under the husband's name alone")
    since = in_month(platform.today(), -2)
    recognition = people.low_income(his.elder, platform.now(), since, household_no=household_no)
    (event_id,) = await his.push(recognition)
    await his.observe(EntitlementsDecided, "养老服务补贴 and 探访服务 are granted to him", _grants_care)
    return event_id


async def _list_members(his: Scene, hers: Scene, household_no: str) -> None:
    """Push the list of members and check that the wife gets the subsidy."""
    platform = hers.platform
    hers.action("then the household's list arrives: it names her too")
    members = [his.elder, hers.elder]
    since = in_month(platform.today(), -3)
    await hers.push(people.household(his.elder, members, household_no, platform.now(), since))
    await hers.observe(EntitlementsDecided, "养老服务补贴 and 探访服务 are granted to her", _grants_care)


async def _granted_to_her(hers: Scene, recognition_id: str) -> None:
    """Check that her subsidy is based on the event `recognition_id` and is due."""
    held = await hers.entitlement(CARE)
    expect((held["state"], held["amount_fen_per_month"]), ("granted", CARE_FEN), "her 养老服务补贴")
    explanation = await hers.explanation(CARE)
    need(recognition_id in _facts_of(explanation), "her entitlement rests on the recognition of the household")
    await _due_to_her(hers)
    hers.note(explanation["sentence"])


async def _due_to_her(hers: Scene) -> None:
    month = month_text(hers.platform.today())
    dues = await hers.event(DuesDetermined, lambda event: any(line.item == CARE for line in event.lines))
    expect((await hers.owed_by_month(CARE)).get(month), CARE_FEN, f"due to her for {month}")
    hers.observed(f"{yuan(CARE_FEN)} is due to her for {month}", dues)


def _facts_of(explanation: Json) -> set[str]:
    """The event ids that an explanation cites."""
    return {fact["event_id"] for condition in explanation["conditions"] for fact in condition["facts"]}


def _grants_care(event: EntitlementsDecided) -> bool:
    return any(held.item == CARE and held.state == "granted" for held in event.entitlements)
