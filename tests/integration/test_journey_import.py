"""A file of the police passes the import route, the import job and the whole chain."""

import argparse
import asyncio
from pathlib import Path

import pytest
from common.events import EntitlementsDecided
from shouwang.commands.import_file import import_file
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.people import Elder
from shouwang.stories.platform import Platform

ELDERS = 30
POLICE = "urn:cn:exchange:530300:psb"


async def run(platform: Platform, file: Path, kind: str) -> bool:
    given = {"kind": kind, "source": POLICE, "mapping": None, "format": None, "no_wait": False}
    asked = argparse.Namespace(file=file, **given)
    return await asyncio.to_thread(import_file, asked, platform.urls["ingestion"])


def written(path: Path, title: str, header: str, rows: list[str]) -> Path:
    """A typical file: a title, the header below it, GB18030, and one wrong row."""
    path.write_bytes("\r\n".join([title, "", header, *rows, ""]).encode("gb18030"))
    return path


async def test_every_person_in_a_register_file_receives_the_allowance(
    platform: Platform, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elders = [platform.cast.aged(85, platform.today()) for _ in range(ELDERS)]

    def hukou(elder: Elder) -> str:
        return f"{elder.name},{elder.number},{elder.town},农村"

    def home(elder: Elder) -> str:
        return f"{elder.name},{elder.number},{elder.town},2020/1/1"

    wrong = f"无名氏,{elders[0].number[:17]},530302,农村"
    register = written(
        tmp_path / "a.csv", "户籍人口", "姓名,公民身份号码,户籍地区划代码,户口性质", [*map(hukou, elders), wrong]
    )
    homes = written(tmp_path / "b.csv", "常住人口", "姓名,身份证号,居住地区划代码,入住日期", list(map(home, elders)))
    assert not await run(platform, register, "registration")
    assert f"{ELDERS + 1} rows, {ELDERS} accepted, 0 duplicates, 0 quarantined, 1 rejected" in capsys.readouterr().out
    assert await run(platform, homes, "residence")
    for elder in elders:
        person_id = await platform.find(elder)
        await platform.watch.event(
            EntitlementsDecided, person_id, lambda e: any(i.item == LONGEVITY for i in e.entitlements)
        )
    capsys.readouterr()
    assert await run(platform, homes, "residence")
    assert f"{ELDERS} accepted, 0 duplicates" in capsys.readouterr().out  # the same job, unchanged
