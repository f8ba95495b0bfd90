"""Access to imports, and the file of rejects."""

import csv
import io
import json
import logging
import os
import stat
from datetime import timedelta

from ingestion.files import spool
from ingestion.files.forget_imports import forget_imports
from shell import clock
from shell.access.auth import issue_token

HEADER = "姓名,身份证号,认证日期,认证方式,备注"


def alive(people, n, note="", name="张三丰", day="2026-11-01"):
    return f"{name},{people.number(n)},{day},上门,{note}"


async def get(imports, path, token):
    async with imports.client(token=token) as client:
        return await client.get(path)


async def test_a_source_sees_its_own_files_and_an_officer_those_of_the_area(imports, people):
    mine = await imports.run(f"{HEADER}\n坏,1,2,3\n{alive(people, 1)}\n", "alive", office="grid")
    path = f"/v1/imports/{mine['import_id']}"
    own = issue_token("source", source="urn:cn:exchange:530300:grid")
    other = issue_token("source", source="urn:cn:exchange:530300:psb")
    inside, outside = issue_token("officer", division="530300"), issue_token("officer", division="110000")
    county = issue_token("officer", division="530302")
    for token, status, listed in (
        (own, 200, 1),
        (other, 404, 0),
        (inside, 200, 1),
        (outside, 404, 0),
        (county, 404, 0),
    ):
        assert (await get(imports, path, token)).status_code == status
        assert (await get(imports, f"{path}/rejects", token)).status_code == status
        assert len((await get(imports, "/v1/imports", token)).json()["imports"]) == listed
    auditor = issue_token("auditor", division="530300")
    assert (await get(imports, path, auditor)).status_code == 200
    assert (await get(imports, f"{path}/rejects", auditor)).status_code == 403
    missing = f"/v1/imports/{'0' * 8}-0000-4000-8000-{'0' * 12}"
    assert (await get(imports, missing, own)).status_code == 404


async def test_every_download_of_rejected_rows_is_audited(imports, people, database):
    found = await imports.run(f"{HEADER}\n坏,1,2,3\n", "alive", office="grid")
    token = issue_token("officer", division="530300", subject="li")
    assert (await get(imports, found["rejects"], token)).status_code == 200
    (row,) = await database.pool.fetch("SELECT actor, role, action, cause FROM audits")
    assert tuple(row) == ("li", "officer", "import_rejects", found["import_id"])


async def test_a_spreadsheet_runs_no_formula_of_a_rejected_row(imports, people):
    evil = ['=HYPERLINK("http://x","y")', "+1+1", "-2", "@SUM(A1)"]
    rows = [
        alive(people, n, name="=cmd|x", day="?", note=json.dumps(e) if '"' not in e else "=1")
        for n, e in enumerate(evil, 1)
    ]
    text = "\n".join([HEADER, *rows])
    found = await imports.run(text, "alive", office="grid")
    assert found["rejected"] == 4
    for row in csv.reader(io.StringIO(await imports.rejects(found["import_id"]))):
        assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
        assert row[0] in ("姓名", "'=cmd|x")


async def test_rejected_rows_can_be_corrected_in_the_file_of_rejects_and_sent_again(imports, people, heads):
    good, bad = alive(people, 1), alive(people, 2, day="2026-02-30", note="-")
    found = await imports.run(f"{HEADER}\n{good}\n{bad}\n", "alive", office="grid")
    assert (found["accepted"], found["rejected"]) == (1, 1)
    text = await imports.rejects(found["import_id"])
    header, row = text.splitlines()
    assert header == f"{HEADER},行号,原因,原因代码"
    assert row.endswith("'-,3,认证日期：日期不存在或未按 YYYY-MM-DD 书写,date /data/valid_from")
    again = await imports.run(text.replace("2026-02-30", "2026-02-28"), "alive", office="grid")
    assert (again["rows_read"], again["accepted"]) == (1, 1)
    assert len(await heads()) == 2


async def test_a_tab_before_a_number_does_not_matter_in_the_file_of_rejects_either(imports, people, heads):
    row = alive(people, 1, day="2026-02-30").replace(people.number(1), f"\t{people.number(1)}")
    found = await imports.run(f"{HEADER}\n{row}\n", "alive", office="grid")
    text = await imports.rejects(found["import_id"])
    assert f"'\t{people.number(1)}" in text
    again = await imports.run(text.replace("2026-02-30", "2026-02-28"), "alive", office="grid")
    assert (again["accepted"], again["rejected"]) == (1, 0)


async def test_many_rejected_rows_come_in_the_order_of_the_file(imports, people):
    rows = [alive(people, n % 1000, day="?", note=str(n)) for n in range(1_203)]
    found = await imports.run("\n".join([HEADER, *rows]), "alive", office="grid")
    rejects = list(csv.DictReader(io.StringIO(await imports.rejects(found["import_id"]))))
    assert [row["备注"] for row in rejects] == [str(n) for n in range(1_203)]
    assert [int(row["行号"]) for row in rejects] == list(range(2, 1_205))


async def test_pages_of_files_are_bounded(imports, people):
    for n in range(3):
        await imports.run(f"{HEADER}\n{alive(people, n)}\n", "alive", office="grid")
    async with imports.client(None) as client:
        first = (await client.get("/v1/imports?limit=2")).json()
        rest = (await client.get(f"/v1/imports?limit=2&after={first['next']}")).json()
        assert (await client.get("/v1/imports?limit=501")).status_code == 422
    assert (len(first["imports"]), len(rest["imports"]), rest["next"]) == (2, 1, None)


async def test_nothing_of_a_file_is_readable_in_the_database_or_the_logs(imports, people, database, caplog):
    caplog.set_level(logging.DEBUG)
    secret = "合成村五号"
    text = f'{HEADER}\n{alive(people, 1)}\n{alive(people, 2, day="?", note=secret)}\n"坏,{people.number(3)}\n'
    found = await imports.run(text, "alive", office="grid")
    assert found["rejected"] == 2
    assert secret in await imports.rejects(found["import_id"])
    dump = []
    for table in ("imports", "import_rejects", "rejections", "received", "audits", "outbox"):
        for row in await database.pool.fetch(f"SELECT * FROM {table}"):
            dump += [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in row.values()]
    everything = "\n".join(dump) + caplog.text
    for name in (secret, "张三丰", people.number(1), people.number(2), people.number(3), "备注"):
        assert name not in everything


def test_only_the_owner_can_read_a_spooled_file():
    before = os.umask(0)
    try:
        writer = spool.SealedWriter()
        assert stat.S_IMODE(spool.path_of(writer.spool).stat().st_mode) == 0o600
        assert stat.S_IMODE(spool.spool_folder().stat().st_mode) == 0o700
        writer.discard()
    finally:
        os.umask(before)


async def test_rejected_rows_and_files_without_an_import_are_deleted_after_their_time(imports, people, database):
    found = await imports.run(f"{HEADER}\n坏,1,2,3\n", "alive", office="grid")
    await imports.send(f"{HEADER}\n{alive(people, 1)}\n", "alive", office="grid")
    (waiting,) = spool.spool_folder().glob("*")
    orphan = spool.SealedWriter()
    orphan.write(b"orphan")
    orphan.finish()
    for path in spool.spool_folder().glob("*"):
        os.utime(path, (0, 0))
    assert await forget_imports(database) == 0
    assert list(spool.spool_folder().glob("*")) == [waiting]
    clock.advance(timedelta(days=91))
    assert await forget_imports(database) == 1
    assert await imports.rejects(found["import_id"]) == f"{HEADER},行号,原因,原因代码\r\n"
    assert (await imports.show(found["import_id"]))["rejected"] == 1
