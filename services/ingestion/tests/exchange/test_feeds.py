"""Files of feeds, access to feeds, and a PostgreSQL as the front-end database."""

import os
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from ingestion.exchange import feeds, table_runs
from ingestion.exchange.feeds import Setup, read_feed
from ingestion.register import quotas, sources
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from shell.access.auth import issue_token
from shell.settings import repository_root

DIBAO = ("dibao", "2026-01-01", None)


def read(feed):
    return read_feed(msgspec.json.encode(feed))


def test_the_examples_are_feeds_that_are_never_read():
    files = sorted((repository_root() / "contracts" / "tables").glob("*.yaml"))
    assert files
    for path in files:
        found = read_feed(path.read_bytes())
        assert isinstance(found, Setup), found
        assert (found.feed.status, found.feed.feed) == ("example", path.stem)


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"source": "nobody"}, "/source", "schema"),
        ({"kind": "weather"}, "/mapping/kind", "kind_unknown"),
        ({"query": "SELECT 1"}, "/table", "table_or_query"),
        ({"table": None}, "/table", "table_or_query"),
        ({"watermark": None}, "/watermark", "required"),
        ({"mode": "full"}, "/watermark", "not_for_full"),
        ({"watermark": {"columns": ["GXSJ"], "format": "%Y%Y"}}, "/watermark/format", "date_format"),
        ({"watermark": {"columns": ["GXSJ"], "format": "%H:%M"}}, "/watermark/format", "date_format"),
        ({"watermark": {"columns": ["GXSJ"], "format": "%Q"}}, "/watermark/format", "date_format"),
        ({"mapping": {"columns": {"value.colour": "X"}}}, "/mapping/columns/value.colour", "field_unknown"),
        ({"mapping": {"columns": {"action": "OP"}}}, "/mapping/columns/action", "not_for_tables"),
        ({"mapping": {"sheet": "名单"}}, "/mapping/sheet", "not_for_tables"),
        ({"url_env": "PATH"}, "/url_env", "schema"),
        ({"key": []}, "/key", "schema"),
        ({"every_seconds": 0}, "/every_seconds", "schema"),
        ({"password": "x"}, "", "schema"),
    ],
)
def test_a_wrong_feed_has_a_pointer_to_its_fault(tables, change, pointer, code):
    problems = read(tables.CHANGES | change)
    assert (pointer, code) in [(p.pointer, p.code) for p in problems]


@pytest.mark.parametrize("change", [{"source": "urn:cn:exchange:530300:nobody"}, {"kind": "disability"}])
async def test_a_source_that_is_not_registered_for_the_kind_is_not_read(tables, change):
    tables.configure(tables.CHANGES | change | {"mapping": {"columns": {"person.id_number": "SFZH"}}})
    assert (await tables.work())["problem"]["code"] == "not_registered"


async def test_a_source_over_its_quota_is_read_later_and_no_row_is_lost(tables, incomes, admin, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 10)
    await seed_register(tables.database)
    urn = tables.CHANGES["source"]
    entry = seed()[urn].model_dump(mode="json") | {"quota": {"per_minute": 20, "per_day": 1_000}}
    answer = await admin.put(f"/v1/sources/{urn}", json={"entry": entry, "reason": "x", "replaces": 1})
    assert answer.status_code == 200, answer.text
    for n in range(40):
        tables.put(n)
    feed = await tables.work()
    assert feed["state"] == "reading"
    assert 20 <= feed["last_run"]["rows_read"] < 40
    for _ in range(3):
        await tables.database.pool.execute("UPDATE quotas SET at = at - interval '5 minutes'")
        quotas.forget()
        feed = await tables.work()
    assert (feed["state"], feed["last_run"]["accepted"]) == ("idle", 40)
    assert await incomes() == [[DIBAO]] * 40


async def test_a_suspended_source_is_not_read_and_no_row_is_missing(tables, incomes, monkeypatch):
    tables.configure(tables.FULL)
    tables.put(1)
    await tables.work()
    known = sources.registered()
    monkeypatch.setitem(known, tables.FULL["source"], replace(known[tables.FULL["source"]], active=False))
    feed = await tables.again()
    assert (feed["problem"]["code"], feed["state"]) == ("source_suspended", "idle")
    assert await incomes() == [[DIBAO]]


def test_a_file_that_is_no_yaml_gives_its_reason():
    assert read_feed(b"feed: [")[0].code == "not_yaml"
    assert read_feed(b"mapping: {defaults: {valid_from: 2026-13-01}}")[0].code == "not_yaml"
    assert read_feed(b"x" * (feeds.FILE_BYTES_MAX + 1))[0].code == "length"


async def test_a_faulty_file_is_shown_to_the_administrator_and_stops_no_feed(tables, incomes):
    tables.configure(tables.CHANGES | {"feed": "Falsch"}, tables.CHANGES)
    tables.put(1)
    await tables.work()
    assert await incomes() == [[DIBAO]]
    shown = (await tables.get("/v1/feeds")).json()
    assert [f["feed"] for f in shown["feeds"]] == ["mca_low_income"]
    assert shown["faulty"][0]["problems"][0]["pointer"] == "/feed"
    officer = (await tables.get("/v1/feeds", issue_token("officer", division="530300"))).json()
    assert officer["faulty"] == []


async def test_a_source_sees_its_own_feeds_and_an_officer_those_of_the_area(tables):
    tables.put(1, LB="不知道")
    await tables.work()
    own = issue_token("source", source="urn:cn:exchange:530300:mca")
    other = issue_token("source", source="urn:cn:exchange:530300:psb")
    inside, outside = issue_token("officer", division="530300"), issue_token("officer", division="110000")
    path = "/v1/feeds/mca_low_income"
    for token, status in ((own, 200), (other, 404), (inside, 200), (outside, 404)):
        for each in (path, f"{path}/runs", f"{path}/rejects"):
            assert (await tables.get(each, token)).status_code == status
        assert len((await tables.get("/v1/feeds", token)).json()["feeds"]) == (status == 200)
    auditor = issue_token("auditor", division="530300")
    assert (await tables.get(path, auditor)).status_code == 200
    assert (await tables.get(f"{path}/rejects", auditor)).status_code == 403


async def test_only_an_officer_of_the_area_may_start_a_reading_or_confirm(tables, incomes):
    path = "/v1/feeds/mca_low_income"
    tokens = {
        issue_token("source", source="urn:cn:exchange:530300:mca"): 403,
        issue_token("auditor", division="530300"): 403,
        issue_token("officer", division="110000"): 404,
        issue_token("officer", division="530302"): 404,
    }
    for token, status in tokens.items():
        assert (await tables.post(f"{path}/run", {}, token)).status_code == status
        assert (await tables.post(f"{path}/confirm", {"missing": 0, "reason": "x"}, token)).status_code == status
    await tables.work()
    tables.put(1)
    await tables.work()
    assert await incomes() == []
    officer = issue_token("officer", division="530300")
    assert (await tables.post(f"{path}/run", {"from_start": True}, officer)).status_code == 202
    await tables.work()
    assert await incomes() == [[DIBAO]]


async def test_every_download_of_rejected_rows_is_audited_and_nothing_is_stored_in_plain_text(tables, database):
    tables.put(1, LB="不知道")
    tables.put(2)
    await tables.work()
    await tables.rejects()
    (audit,) = await database.pool.fetch("SELECT action, cause FROM audits")
    assert tuple(audit) == ("feed_rejects", "mca_low_income")
    for table in ("feeds", "feed_runs", "feed_rows", "feed_rejects"):
        for row in await database.pool.fetch(f"SELECT t::text AS text, * FROM {table} t"):
            stored = row["text"].encode() + b"".join(v for v in row.values() if isinstance(v, bytes))
            for secret in (tables.number(1), tables.number(2), "张三丰"):
                assert secret.encode() not in stored
                assert secret.encode().hex().encode() not in stored


async def test_an_example_is_shown_and_never_read(tables, incomes):
    tables.configure(tables.CHANGES | {"status": "example"})
    tables.put(1)
    feed = await tables.work()
    assert (feed["state"], await incomes()) == ("example", [])
    answer = await tables.post("/v1/feeds/mca_low_income/run", {})
    assert (answer.status_code, answer.json()["code"]) == (409, "feed_is_example")


async def test_of_readings_without_a_change_only_the_last_is_kept(tables):
    tables.put(1)
    await tables.work()
    for _ in range(3):
        await tables.again()
    runs = (await tables.get("/v1/feeds/mca_low_income/runs")).json()["runs"]
    assert [(run["run"], run["accepted"]) for run in runs] == [(4, 0), (1, 1)]


# ── a real PostgreSQL ───────────────────────────────────────────────────────────────────────────────────────

FRONT = """
CREATE SCHEMA front;
CREATE TABLE front."People" (
  "Id" numeric(20), sfzh char(30), xm text, lb varchar(20), ksrq date, op char(4), gxsj timestamp(0) with time zone);
CREATE TABLE front.visits (at timestamptz);
CREATE FUNCTION front.spying() RETURNS TABLE (sfzh text, lb text, ksrq date, id int, gxsj timestamptz, op text)
  LANGUAGE sql AS $$ INSERT INTO front.visits VALUES (now()) RETURNING '', '', NULL::date, 1, now(), 'I' $$;
"""


def of_postgres(tables, database, **changes):
    os.environ[tables.VARIABLE] = database.url.replace("postgresql://", "postgresql+psycopg://", 1)
    mapping = {"columns": {"person.id_number": "sfzh", "value.category": "lb", "valid_from": "ksrq"}}
    names = {"schema": "front", "table": "People", "key": ["Id"], "watermark": {"columns": ["gxsj"]}}
    feed = tables.CHANGES | names | {"operation": {"column": "op"}, "mapping": mapping} | changes
    tables.configure(feed)
    os.environ[tables.VARIABLE] = database.url.replace("postgresql://", "postgresql+psycopg://", 1)


async def test_a_postgresql_with_its_own_types_gives_the_same_facts(tables, database, incomes, monkeypatch):
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 3)
    await database.pool.execute(FRONT)
    of_postgres(tables, database)
    insert = "INSERT INTO front.\"People\" VALUES ($1, $2, '张三丰', '低保', '2026-01-01', $3, $4::text::timestamptz)"
    for n in range(8):
        await database.pool.execute(insert, n, tables.number(n), "I", "2026-11-21T09:00:00+08:00")
    feed = await tables.work()
    assert (feed["problem"], feed["last_run"]["rows_read"], feed["last_run"]["accepted"]) == (None, 8, 8)
    await database.pool.execute(
        """UPDATE front."People" SET op = 'D', gxsj = '2026-11-22T09:00:00+08:00' WHERE "Id" < 2"""
    )
    await tables.again()
    assert await incomes() == sorted([[DIBAO]] * 6 + [[("dibao", "2026-01-01", "2026-11-22")]] * 2, key=str)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("1e5000", "number /data/person/name"),
        ("jsonb_build_object('x', repeat('长', 100000))", "row_too_long"),
        ("to_jsonb(array_fill('长'::text, ARRAY[60000]))", "row_too_long"),
    ],
)
async def test_a_value_without_limit_rejects_only_its_row(tables, database, incomes, value, problem):
    kind = "numeric" if "1e5000" in value else "jsonb"
    await database.pool.execute(FRONT)
    await database.pool.execute(f'ALTER TABLE front."People" ADD COLUMN menge {kind}')
    of_postgres(tables, database)
    columns = {"person.id_number": "sfzh", "value.category": "lb", "valid_from": "ksrq", "person.name": "menge"}
    of_postgres(tables, database, mapping={"columns": columns})
    insert = "INSERT INTO front.\"People\" VALUES ($1, $2, NULL, '低保', '2026-01-01', 'I', '2026-11-21 09:00+08')"
    for n in range(3):
        await database.pool.execute(insert, n, tables.number(n))
    await database.pool.execute(f"""UPDATE front."People" SET menge = ({value})::{kind} WHERE "Id" = 1""")
    feed = await tables.work()
    assert feed["problem"] is None
    assert (feed["last_run"]["accepted"], feed["last_run"]["rejected"]) == (2, 1)
    rejects = await tables.rejects()
    assert tables.number(1) in rejects
    assert problem in rejects
    assert await incomes() == [[DIBAO]] * 2


async def test_a_number_without_limit_cannot_order_a_table(tables, database):
    await database.pool.execute(FRONT)
    await database.pool.execute('ALTER TABLE front."People" ALTER COLUMN "Id" TYPE numeric')
    of_postgres(tables, database)
    insert = "INSERT INTO front.\"People\" VALUES (1e5000, $1, NULL, '低保', '2026-01-01', 'I', '2026-11-21 09:00+08')"
    await database.pool.execute(insert, tables.number(1))
    assert (await tables.work())["problem"]["code"] == "order_unusable"


async def test_nothing_is_ever_written_into_a_front_end_database(tables, database):
    await database.pool.execute(FRONT)
    of_postgres(tables, database, schema=None, table=None, query="SELECT * FROM front.spying();", key=["id"])
    assert (await tables.work())["problem"]["code"] == "table_unreadable"
    assert await database.pool.fetchval("SELECT count(*) FROM front.visits") == 0


async def test_a_feed_may_read_a_query(tables, database, incomes):
    await database.pool.execute(FRONT)
    await database.pool.execute(
        """INSERT INTO front."People" VALUES (1, $1, '', '低保', '2026-01-01', 'I', '2026-11-21T09:00:00+08:00')""",
        tables.number(1),
    )
    query = """SELECT p."Id" AS rid, p.sfzh, p.lb, p.ksrq::date, p.op, p.gxsj FROM front."People" p
               WHERE p.op <> ' :x' -- 关联"""
    of_postgres(tables, database, schema=None, table=None, query=query + "\n", key=["rid"])
    assert (await tables.work())["problem"] is None
    assert await incomes() == [[DIBAO]]


async def test_a_reading_continues_after_a_lost_connection_between_two_pages(tables, database, incomes, monkeypatch):
    from ingestion.exchange.reader import Reader

    monkeypatch.setattr(table_runs, "PAGE_ROWS", 4)
    await database.pool.execute(FRONT)
    of_postgres(tables, database)
    insert = "INSERT INTO front.\"People\" VALUES ($1, $2, '', '低保', '2026-01-01', 'I', '2026-11-21T09:00:00+08:00')"
    for n in range(10):
        await database.pool.execute(insert, n, tables.number(n))
    real, pages = Reader.next, []

    async def cut(self, *given):
        pages.append(1)
        if len(pages) == 2:
            await database.pool.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name <> 'ingestion'"
            )
        return await real(self, *given)

    monkeypatch.setattr(Reader, "next", cut)
    feed = await tables.work()
    assert (feed["state"], feed["problem"]["code"], feed["last_run"]["accepted"]) == ("reading", "source_away", 3)
    feed = await tables.again()
    assert (feed["state"], feed["problem"], feed["last_run"]["accepted"]) == ("idle", None, 10)
    assert feed["last_run"]["rows_read"] == 10
    assert await incomes() == [[DIBAO]] * 10


def test_the_folder_of_the_feeds_can_be_another_one(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("SHOUWANG_FEEDS_FOLDER", str(tmp_path))
    assert feeds.configured().setups == {}
