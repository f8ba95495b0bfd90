"""What others find out about somebody: a certificate, and its correction; the low income of a household."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from common.events import DuesDetermined, EntitlementsDecided, VisitCancelled, VisitOffered

from shouwang.stories import people
from shouwang.stories.money import owed
from shouwang.stories.people import Elder, Event
from shouwang.stories.platform import Platform, in_month, month_text
from shouwang.stories.transcript import Teller, expect, need, only, yuan

NURSING = "severe_disability_nursing_subsidy"
CARE = "care_service_subsidy"
VISITS = "visiting_care"


async def corrected_certificate(platform: Platform, tell: Teller) -> None:
    """Needs a visiting provider in the county, and demonstration mode: the amount is an example."""
    today = platform.today()
    elder = platform.cast.aged(72, today)
    with tell.story("A certificate, then its correction", "72 years old, holds a disability certificate of level 2."):
        issued_on, month = in_month(today, -2), month_text(today)
        began = tell.happens(f"the Disabled Persons' Federation reports the certificate of {issued_on}: level 2")
        now = platform.now()
        said = people.certificate(elder, now, 2, issued_on)
        await platform.push(*people.arrives(elder, now), said)
        person_id = await platform.find(elder)
        decided = await platform.watch.event(
            EntitlementsDecided, person_id, lambda e: any(held.item == NURSING for held in e.entitlements)
        )
        tell.seen(f"重度残疾人护理补贴 {yuan(9000)}/月 (an example amount) and 探访服务 are granted", began, decided.at)
        offered = await platform.watch.event(VisitOffered, person_id)
        tell.seen("the first visit is offered", began, offered.at)
        dues = await platform.watch.event(DuesDetermined, person_id)
        expect(
            sum(a for (m, _), a in owed(await platform.ledger(person_id), NURSING).items() if m == month), 9000, month
        )
        tell.seen(f"{month} is due", began, dues.at)
        await _corrected(platform, tell, elder, person_id, said, decided.data.recorded_at)


async def _corrected(
    platform: Platform, tell: Teller, elder: Elder, person_id: str, said: Event, known_then: datetime
) -> None:
    since, issued_on = platform.watch.mark, in_month(platform.today(), -2)
    began = tell.happens("the Federation corrects it: level 3, from the beginning")
    corrected = people.certificate(elder, platform.now(), 3, issued_on, corrects=said)
    (event_id,) = await platform.push(corrected)
    decided = await platform.watch.event(EntitlementsDecided, person_id, since=since)
    items = {held.item for held in decided.data.entitlements}
    expect(items & {NURSING, VISITS}, set(), "what a certificate of level 3 still brings")
    tell.seen("both are decided again: never due", began, decided.at)
    gone = await platform.watch.event(VisitCancelled, person_id, since=since)
    expect(gone.data.reason, "not_entitled", "why the visit is cancelled")
    tell.seen("the visit is cancelled", began, gone.at)
    dues = await platform.watch.event(DuesDetermined, person_id, since=since)
    expect(owed(await platform.ledger(person_id), NURSING), {}, "what is still due")
    tell.seen("what was due is taken back before anybody was paid", began, dues.at)
    before = await platform.explanation(person_id, NURSING, known_at=known_then.isoformat())
    after = await platform.explanation(person_id, NURSING)
    expect((before["outcome"], after["outcome"]), ("granted", "refused"), "the two explanations")
    facts = [fact["event_id"] for condition in after["conditions"] for fact in condition["facts"]]
    need(event_id in facts, "the refusal rests on the corrected certificate")
    tell.seen(f"as known before: {before['sentence']}")
    tell.seen(f"as known now:    {after['sentence']}")


async def household_low_income(platform: Platform, tell: Teller) -> None:
    """Needs demonstration mode: the amount is an example."""
    today = platform.today()
    husband, wife = platform.cast.aged(84, today, sex="1"), platform.cast.aged(82, today, sex="2")
    wife = wife.in_town(husband.town)
    with tell.story("A household's low income reaches its members", "A couple of 84 and 82 in one household."):
        now, month = platform.now(), month_text(today)
        await platform.push(*people.arrives(husband, now), *people.arrives(wife, now))
        hers = await platform.find(wife)
        await platform.watch.event(EntitlementsDecided, hers)
        since, household_no = platform.watch.mark, f"H{uuid4().hex[:12]}"
        began = tell.happens("Civil Affairs reports low income of the household, under the husband's name alone")
        recognised = people.low_income(husband, now, in_month(today, -2), household_no=household_no)
        (event_id,) = await platform.push(recognised)
        his = await platform.find(husband)
        decided = await platform.watch.event(EntitlementsDecided, his, _has_care, since=since)
        tell.seen("养老服务补贴 and 探访服务 are granted to him", began, decided.at)
        expect([e for e in await platform.entitlements(hers) if e["item"] == CARE], [], "hers before the list")
        began = tell.happens("then the household's list arrives: it names her too")
        listed = people.household(husband, [husband, wife], household_no, platform.now(), in_month(today, -3))
        await platform.push(listed)
        decided = await platform.watch.event(EntitlementsDecided, hers, _has_care, since=since)
        tell.seen("养老服务补贴 and 探访服务 are granted to her", began, decided.at)
        held = only([e for e in await platform.entitlements(hers) if e["item"] == CARE], "her 养老服务补贴")
        expect((held["state"], held["amount_fen_per_month"]), ("granted", 5000), "her 养老服务补贴")
        why = await platform.explanation(hers, CARE)
        facts = [fact["event_id"] for condition in why["conditions"] for fact in condition["facts"]]
        need(event_id in facts, "her entitlement rests on the recognition of the household")
        dues = await platform.watch.event(DuesDetermined, hers, _owes_care, since=since)
        due = owed(await platform.ledger(hers), CARE)
        expect({m: a for (m, _), a in due.items()}.get(month), 5000, f"due to her for {month}")
        tell.seen(f"{yuan(5000)} is due to her for {month}", began, dues.at)
        tell.seen(why["sentence"])


def _has_care(event: EntitlementsDecided) -> bool:
    return any(held.item == CARE and held.state == "granted" for held in event.entitlements)


def _owes_care(event: DuesDetermined) -> bool:
    return any(line.item == CARE for line in event.lines)
