"""A list is simulated from the command line, signed by two approvers, published and halted."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from common.events import EntitlementsDecided
from shouwang.cli import main
from shouwang.stories import people
from shouwang.stories.platform import Answer, Platform

MALONG = "530303"
ALLOWANCE = "longevity_allowance"


async def act(platform: Platform, version: str, step: str, subject: str, body: Any = None) -> Any:
    return await platform.post(
        "identification", f"/v1/policies/{version}/{step}", body, role="approver", subject=subject, division=MALONG
    )


async def simulated(file: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """`shouwang policy simulate` against the running platform, in its own worker processes."""
    assert await asyncio.to_thread(main, ["policy", "simulate", "--json", str(file)]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


async def test_a_list_with_higher_amounts_is_simulated_signed_published_and_halted(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elder = platform.cast.aged(85, platform.today(), MALONG)
    await platform.push(*people.register_entries(elder, platform.now()))
    person_id = await platform.find(elder)
    await platform.watch.event(EntitlementsDecided, person_id)

    async def amount() -> int:
        found = [e for e in await platform.entitlements(person_id) if e["item"] == ALLOWANCE]
        return int(found[0]["amount_fen_per_month"])

    async def is_paid(fen: int) -> bool:
        return await amount() == fen

    before = await amount()
    policy_list = (await platform.get("identification", f"/v1/policies/{MALONG}"))["list"]
    for band in policy_list["items"][ALLOWANCE]["versions"][-1]["amount"]["bands"]:
        band["amount_fen"] += 1000
    file = tmp_path / "list.json"
    file.write_text(json.dumps(policy_list, ensure_ascii=False), encoding="utf-8")
    proposed = await platform.post("identification", "/v1/policies", policy_list, subject="proposer", division=MALONG)
    version = proposed["version"]
    with pytest.raises(Answer, match="simulation_missing"):
        await act(platform, version, "approve", "first")
    found = await simulated(file, capsys)
    assert (found["version"], found["state"]) == (version, "complete")
    assert found["result"]["people_changed"] >= 1
    assert found["result"]["raised_fen"] >= 11 * 1000  # the new amount applies from this month or the next
    for step, subject in (("approve", "first"), ("approve", "second"), ("publish", "second")):
        await act(platform, version, step, subject)
    await platform.until("the new amount", lambda: is_paid(before + 1000))
    halted = await act(platform, version, "halt", "second", {"reason": "标准有误"})
    assert halted["state"] == "halted"
    await platform.until("the old amount", lambda: is_paid(before))

    async def case() -> Any:
        alerts = (await platform.get("supervision", "/v1/alerts"))["alerts"]
        return next((a for a in alerts if a["check"] == "policy_halted" and a["division"] == MALONG), None)

    await platform.until("a case for the officers of the city", case)
