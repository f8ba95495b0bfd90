"""Lines in Chinese, from the records of topics."""

from datetime import UTC, date, datetime
from typing import Any, get_args

import pytest
from common.events import (
    AccountChanged,
    AlertRaised,
    AssessmentSigned,
    DueLine,
    DuesDetermined,
    ForeignEventsGrouped,
    PersonFactsRecorded,
    PlaceClaimed,
    PlaceSettled,
    PolicyVersionHalted,
    PolicyVersionPublished,
    RecordParked,
    RecoveryOpened,
    SourceSilent,
    Statement,
    VisitDisputed,
    all_events,
)
from common.events.facts import Kind
from common.message import Record
from common.words_zh import FACT_KINDS, ITEMS
from console.domain import names
from console.domain.item_titles import ItemTitles
from console.domain.steps import learn_titles, step_of
from shell.kafka.topics import load_topics

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


def statement(event_id: str, kind: Any, action: Any = "created") -> Statement:
    return Statement(
        event_id=event_id,
        chain=event_id,
        action=action,
        kind=kind,
        source="urn:cn:exchange:530300:psb",
        rank=1,
        time=NOON,
        recorded_at=NOON,
    )


def due(amount_fen: int, state: Any = "due") -> DueLine:
    return DueLine(
        item="longevity_allowance",
        jurisdiction="530302",
        service_month="2026-11",
        amount_fen=amount_fen,
        state=state,
    )


def test_new_facts_are_shown_by_kind_and_action(make: Any) -> None:
    event = PersonFactsRecorded(
        person_id=make.id(),
        version=3,
        recorded_at=NOON,
        statements=(statement("1", "registration"), statement("2", "disability"), statement("3", "death", "annulled")),
        causes=("2", "3"),
    )
    assert make.step(event).text == "事实更新：残疾人证、死亡撤销"


@pytest.mark.parametrize(
    ("given", "text", "tone"),
    [
        ({"changed": ("longevity_allowance", "visiting_care")}, "资格认定：高龄津贴、探访服务", "plain"),
        ({"changed": ("110000.family_planning_subsidy",)}, "资格认定：110000.family_planning_subsidy", "plain"),
        ({}, "资格认定：复核无变化", "plain"),
        ({"died_on": date(2026, 11, 1)}, "资格认定：身故确认，即停", "stop"),
        ({"death_suspected_on": date(2026, 11, 1)}, "资格认定：疑似身故，资金暂缓", "plain"),
    ],
)
def test_a_decision_shows_the_changed_items(make: Any, given: Any, text: str, tone: str) -> None:
    step = make.step(make.decided(make.id(), **given))
    assert (step.stage, step.text, step.tone) == ("decide", text, tone)


def test_an_own_item_of_an_area_has_the_title_of_the_published_list(make: Any) -> None:
    titles, own = ItemTitles(), "530302.meal_aid"
    event = make.decided(make.id(), changed=(own, "longevity_allowance"))
    assert make.step(event, titles=titles).text == f"资格认定：{own}、高龄津贴"
    items = {own: {"title": "助餐补贴"}, "530303.meal_aid": {"title": "不属于本地"}}
    published = PolicyVersionPublished(
        jurisdiction="530302", version="1f", published_on=NOON.date(), list={"items": items}
    )
    learn_titles(make.record_of(published), titles)
    assert make.step(event, titles=titles).text == "资格认定：助餐补贴、高龄津贴"
    assert titles.title("530303.meal_aid") == "530303.meal_aid"


def test_an_own_item_keeps_its_title_after_a_list_has_removed_it(make: Any) -> None:
    titles, own = ItemTitles(), "530302.meal_aid"
    titles.learn("530302", {own: "助餐补贴", "530302.bath_aid": "助浴"})
    titles.learn("530302", {"530302.bath_aid": "助浴补贴"})
    assert [titles.title(code) for code in (own, "530302.bath_aid")] == ["助餐补贴", "助浴补贴"]
    assert make.step(make.decided(make.id(), changed=(own,)), titles=titles).text == "资格认定：助餐补贴"


@pytest.mark.parametrize("body", [b"", b"{", b'{"jurisdiction":"530302","list":{"items":[]}}', b'"\xff"'])
def test_an_unreadable_list_changes_no_title(make: Any, body: bytes) -> None:
    titles = ItemTitles()
    learn_titles(Record("policy.release", 0, 0, b"530302", body, []), titles)
    assert titles.unread_area("530302.meal_aid") == "530302"


def test_money_is_shown_in_yuan(make: Any) -> None:
    dues = DuesDetermined(person_id=make.id(), entitlements_version=1, lines=(due(5000), due(5000), due(8000, "held")))
    assert make.step(dues).text == "补贴应发：高龄津贴 50.00 元、暂缓"
    recovery = RecoveryOpened(
        person_id=make.id(),
        recovery_id=make.id(),
        item="longevity_allowance",
        jurisdiction="530302",
        service_month="2026-10",
        amount_fen=123450,
        reason="died",
    )
    assert (make.step(recovery).text, make.step(recovery).tone) == ("立案追回：高龄津贴 1,234.50 元", "alert")


def test_findings_and_results_are_shown_by_name(make: Any) -> None:
    person = make.id()
    disputed = VisitDisputed(
        person_id=person, task_id=make.id(), provider="", visited_on=NOON.date(), checks=("V01", "V03")
    )
    assert make.step(disputed).text == "核验存疑：身故后服务、同一人员时间重叠"
    raised = AlertRaised(person_id=person, alert_id=make.id(), check="V06", severity="warn", subject="t")
    assert make.step(raised).text == "预警：时长异常"
    signed = AssessmentSigned(
        person_id=person,
        assessment_id=make.id(),
        scale="s",
        scale_version="1",
        total=20,
        level=3,
        assessed_on=NOON.date(),
    )
    assert make.step(signed).text == "评估签署：重度失能"
    assert make.step(make.cancelled(person)).text == "任务取消：身故"


def test_cases_about_places_and_accounts_are_shown_by_name(make: Any) -> None:
    person = make.id()
    claimed = PlaceClaimed(
        case_id=make.id(),
        person_id=person,
        event_id=make.id(),
        source="urn:cn:exchange:110000:psb",
        kind="residence",
        division="110105",
        county_left="530302",
        owner="530302",
        opened_at=NOON,
        silent_on=date(2026, 12, 11),
    )
    step = make.step(claimed)
    assert (step.stage, step.text, step.tone, step.person_id) == ("intake", "迁入地址待确认：居住地", "plain", person)
    for outcome, text in names.PLACES.items():
        settled = PlaceSettled(case_id=make.id(), person_id=person, outcome=outcome, settled_at=NOON)
        assert make.step(settled).text == f"迁入地址办结：{text}"
    changed = AccountChanged(
        person_id=person, event_id=make.id(), before=make.id(), source="s", holder="other", changed_at=NOON
    )
    assert (make.step(changed).text, make.step(changed).tone) == ("收款账户变更：户名不是本人", "alert")
    grouped = ForeignEventsGrouped(
        group_id=make.id(),
        source="urn:cn:exchange:110000:psb",
        kind="death",
        day=NOON.date(),
        holds="events",
        owner="000000",
        opened_at=NOON,
    )
    step = make.step(grouped)
    assert (step.text, step.tone, step.person_id) == ("辖区外信息并案：死亡", "alert", None)


def test_a_parked_record_belongs_to_its_service_and_to_no_person(make: Any) -> None:
    parked = RecordParked(parked_id=make.id(), service="subsidy", reason="bug", topic_name="x", partition=0, offset=0)
    step = make.step(parked, topic="subsidy.parked")
    assert (step.stage, step.person_id, step.tone) == ("pay", None, "alert")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_type", b"cn.eldercare.dispatch.v1.VisitPlanned")],
        [("ce_type", b"x.VisitPlanned"), ("ce_id", b"1"), ("ce_time", b"noon")],
        [("ce_type", b"x.VisitPlanned"), ("ce_id", b"1"), ("ce_time", b"2026-11-20T04:00:00")],
        [("ce_type", b"x.SomethingNew"), ("ce_id", b"1"), ("ce_time", b"2026-11-20T04:00:00+00:00")],
        [("ce_type", b"\xff"), ("ce_id", b"1"), ("ce_time", b"2026-11-20T04:00:00+00:00")],
        [("ce_type", None), ("ce_id", b"1"), ("ce_time", b"2026-11-20T04:00:00+00:00")],
    ],
)
def test_a_record_that_is_no_event_of_the_chain_is_left_out(headers: Any) -> None:
    assert step_of(Record("dispatch.visit", 0, 0, b"p", b"{}", headers), ItemTitles()) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b'{"level":"high"}', b"[" * 10_000, b'{"reason":"\xff"}'])
def test_an_unreadable_body_still_gives_a_line(make: Any, value: bytes | None) -> None:
    record = make.record_of(make.cancelled(make.id()))
    step = step_of(Record(record.topic, 0, 0, record.key, value, record.headers), ItemTitles())
    assert step is not None
    assert step.text == "任务取消"


def test_an_event_about_a_source_or_a_list_names_no_person(make: Any) -> None:
    silent = SourceSilent(source="urn:cn:exchange:530300:psb", kind="death", heard_at=NOON, silent_since=NOON)
    halted = PolicyVersionHalted(
        jurisdiction="530302",
        version="1f",
        back_to="2e",
        by="band",
        reason="people_changed",
        people=2,
        people_changed=2,
        raised_fen=0,
        cut_fen=0,
    )
    for event, text in ((silent, "来源静默"), (halted, "清单停用")):
        step = make.step(event)
        assert (step.person_id, step.text, step.tone) == (None, text, "alert")


def test_every_event_topic_item_and_check_has_its_chinese_name() -> None:
    events = {cls.__name__: cls for cls in all_events().values() if not cls.topic.startswith("dispatch.provider")}
    assert set(names.EVENTS) == set(events)
    assert {cls.topic for cls in events.values()} - set(names.BY_TOPIC) == {"access", "audit", "parked"}
    topics = {topic.name for topic in load_topics() if "ReadBudgetUsed" in topic.events}
    assert topics
    assert topics <= set(names.BY_TOPIC) & names.OF_NO_PERSON
    from shell.settings import repository_root

    glossary = (repository_root() / "contracts" / "glossary.md").read_text(encoding="utf-8")
    checks = (repository_root() / "contracts" / "checks.yaml").read_text(encoding="utf-8")
    rows = [line.split("|")[1:3] for line in glossary.splitlines() if line.count("|") > 3]
    listed = {code: name for code, name in ITEMS.items() for _, english in rows if f"`{code}`" in english}
    assert len(listed) > 10
    for code, name in listed.items():
        assert any(name.removeprefix("老年人") in chinese for chinese, english in rows if f"`{code}`" in english), code
    assert set(FACT_KINDS) == set(get_args(Kind))
    for check in names.CHECKS:
        assert f"id: {check}," in checks
