"""An officer follows changes on the console, in a real Chromium with a real broker."""

import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
SignIn = Callable[..., Awaitable[Page]]


@pytest.fixture
def sign_in(page: Page, town: Any) -> SignIn:
    async def opened(division: str | None = "530300") -> Page:
        await page.context.clear_cookies()  # ends the session of the last user
        await page.goto(f"{town.url}/")
        await page.get_by_label("访问令牌").fill(town.token(division=division))
        await page.get_by_role("button", name="进入").click()
        await expect(page.locator("#link")).to_have_text("实时")
        return page

    return opened


def rows_of(page: Page, person: str) -> Any:
    return page.locator("#steps tr").filter(has_text=person[:8])


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for a person, if the environment names a folder."""
    if folder := os.environ.get("SHOUWANG_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


async def test_a_user_without_a_session_sees_only_the_sign_in_page(page: Page, town: Any) -> None:
    await page.goto(f"{town.url}/")
    await expect(page).to_have_url(f"{town.url}/login")
    await page.get_by_label("访问令牌").fill("nonsense")
    await page.get_by_role("button", name="进入").click()
    await expect(page.get_by_role("alert")).to_have_text("令牌无效或已过期")


async def test_an_officer_sees_a_change_flow_through_the_chain(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    person, _ = await town.visit()
    await expect(rows_of(page, person)).to_have_count(7)  # the topics are read one after another
    texts = await rows_of(page, person).locator("td.what").all_text_contents()
    assert set(texts) == {
        "事实更新：残疾人证",
        "资格认定：护理补贴、探访服务",
        "安排探访：首次",
        "派单给服务机构",
        "探访完成",
        "补贴应发：护理补贴 50.00 元",
        "核验通过",
    }
    for stage in ("intake", "decide", "dispatch", "pay", "supervise"):
        await expect(page.locator(f'[data-stage="{stage}"] .count')).to_have_text(re.compile("[1-9]"))
    await expect(page.locator('[data-stage="supervise"] .wait')).to_have_text("无待处理消息")
    await expect(page.locator(".area")).to_contain_text("曲靖市")
    await picture(page, "chain")


async def open_with(button: Locator, steps: Locator, count: int) -> None:
    """Click until the answer has all steps. It has those that supervision has stored at the moment of the click."""
    for _ in range(60):
        await button.click()
        try:
            await expect(steps).to_have_count(count, timeout=500)
        except AssertionError:
            continue
        return
    await expect(steps).to_have_count(count)


async def test_a_click_shows_the_steps_of_one_change_and_the_history_of_one_person(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    person, _ = await town.visit()
    await expect(rows_of(page, person).filter(has_text="核验通过")).to_have_count(1)
    words = page.locator("#timeline .words")
    await open_with(rows_of(page, person).first.get_by_role("button", name="链路"), words, 7)
    steps = await words.all_text_contents()
    visit = [step for step in steps if step != "补贴应发"]  # the dues follow the decision beside the visit
    assert visit == ["事实更新", "资格认定", "安排探访", "派单给服务机构", "探访完成", "核验通过"]
    assert steps.index("补贴应发") > steps.index("资格认定")
    await picture(page, "trace")
    await rows_of(page, person).first.get_by_role("button", name=person[:8]).click()
    await expect(page.locator("#person-title")).to_have_text(f"老年人 {person[:8]}")
    await expect(words).to_have_count(7)
    await page.get_by_role("button", name="关闭").click()
    await expect(page.locator("#person")).to_be_hidden()


async def test_a_death_and_its_stops_are_shown_at_once(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    before = int(await page.locator("#deaths").inner_text())
    person = await town.death()
    stopped = rows_of(page, person).and_(page.locator("tr.stop"))
    await expect(stopped).to_have_count(2)
    assert set(await stopped.locator("td.what").all_text_contents()) == {"资格认定：身故确认，即停", "任务取消：身故"}
    await expect(page.locator("#deaths")).to_have_text(str(before + 1))
    await expect(page.locator("#stops li").first).to_contain_text(person[:8])
    await expect(page.locator("#stops li").first).to_contain_text("秒")
    await picture(page, "death")


async def test_a_finding_is_counted_among_the_open_alerts(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    await expect(page.locator("#alerts")).to_have_text(re.compile(r"\d"))
    before = int(await page.locator("#alerts").inner_text())
    person, _ = await town.visit(minutes=1)
    await expect(rows_of(page, person).filter(has_text="预警：时长异常")).to_have_count(1)
    await expect(page.locator("#alerts")).to_have_text(str(before + 1))
    await expect(page.locator("#alert-note")).to_contain_text("时长异常")


async def test_only_officers_of_the_two_areas_see_the_gap_of_a_move(sign_in: SignIn, town: Any) -> None:
    person = await town.gap("530302", "140702")
    for division in ("530300", "140702"):
        page = await sign_in(division)
        box = page.locator("#gaps .right").filter(has_text=person[:8])
        await expect(box).to_contain_text("由麒麟区迁到榆次区：高龄津贴2026-10起无人发放")
        await expect(rows_of(page, person).filter(has_text="预警：迁移空档")).to_have_count(1)
    await picture(page, "gaps")
    page = await sign_in("530303")
    await expect(page.locator("#alerts")).to_have_text(re.compile(r"\d"))
    await expect(page.locator("#gap-card")).to_be_hidden()
    await expect(rows_of(page, person)).to_have_count(0)


async def test_an_officer_sees_no_person_of_another_area(sign_in: SignIn, town: Any) -> None:
    page = await sign_in("140700")
    hidden, _ = await town.visit("530302001")
    shown, _ = await town.visit("140702001")
    await expect(rows_of(page, shown).filter(has_text="探访完成")).to_have_count(1)
    await expect(rows_of(page, hidden)).to_have_count(0)
    assert hidden[:8] not in await page.content()


async def test_a_page_opened_later_still_shows_the_last_steps(sign_in: SignIn, town: Any) -> None:
    person, _ = await town.visit()
    page = await sign_in()
    await expect(rows_of(page, person).filter(has_text="探访完成")).to_have_count(1)


async def test_rows_do_not_move_under_the_pointer_or_while_paused(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    first, _ = await town.visit()
    await expect(rows_of(page, first).filter(has_text="核验通过")).to_have_count(1)
    await page.get_by_role("button", name="暂停").click()
    second, _ = await town.visit()
    await expect(page.locator("#total")).to_have_text(re.compile(r"\d"))
    await expect(page.get_by_role("button", name="继续")).to_be_visible()
    await expect(rows_of(page, second)).to_have_count(0)
    await page.get_by_role("button", name="继续").click()
    await expect(rows_of(page, second).filter(has_text="探访完成")).to_have_count(1)


async def test_the_page_fits_a_phone(sign_in: SignIn, page: Page, town: Any) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    await sign_in()
    person, _ = await town.visit()
    await expect(rows_of(page, person).filter(has_text="核验通过")).to_have_count(1)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await rows_of(page, person).first.get_by_role("button", name="链路").click()
    await expect(page.locator("#timeline .words").first).to_be_in_viewport()
    await picture(page, "phone")


async def test_the_console_stops_at_once_with_an_open_page_and_the_page_reconnects(sign_in: SignIn, town: Any) -> None:
    page = await sign_in()
    before = monotonic()
    town.runtime.stop("console")
    assert monotonic() - before < 10
    await expect(page.locator("#link")).to_have_text("连接中断，正在重连")
    town.runtime.start_service("console")
    town.runtime.wait_ready("console")
    await expect(page.locator("#link")).to_have_text("实时")
    person, _ = await town.visit()
    await expect(rows_of(page, person).filter(has_text="探访完成")).to_have_count(1)
