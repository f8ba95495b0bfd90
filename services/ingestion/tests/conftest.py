"""Synthetic people, the routes over a real database, and the events that they emit."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import httpx
import msgspec
import pytest
import yaml
from common.codes.id_number import make
from common.events import PersonFactsRecorded
from common.message import derived_id
from ingestion.files.run_imports import run_imports
from ingestion.files.spool import spool_folder
from ingestion.main import service
from ingestion.register import sources
from ingestion.register.seed_register import seed_register
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.access.auth import issue_token
from shell.privacy import vault
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import Driver, migrated_database

BATCH = "application/cloudevents-batch+json"
SINGLE = "application/cloudevents+json"
CITY = "530300"
NOW = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)
Event = dict[str, Any]


@pytest.fixture(autouse=True)
def fixed_clock() -> Iterator[None]:
    clock.set_now(NOW)
    yield
    clock.set_offset(timedelta())


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with migrated_database("ingestion") as found:
        before, service.database = service.database, found
        yield found
        service.database = before
        sources.forget()  # of the next test's database


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


@pytest.fixture
async def admin(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with _client(issue_token("admin")) as client:
        yield client


def _client(token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(service.app, raise_app_exceptions=False),
        base_url="http://x",
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.fixture
async def vault_user(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A service with its own identity: only such a caller may read the vault. Only tests create such a token."""
    async with _client(issue_token("service", subject="subsidy")) as client:
        yield client


@pytest.fixture
def client_for(database: Database) -> Callable[[str], httpx.AsyncClient]:
    return _client


def first_offices() -> dict[str, str]:
    """Per kind, the first office of `contracts/sources.yaml` that states it with rank 1."""
    offices = yaml.safe_load((repository_root() / "contracts" / "sources.yaml").read_text())["offices"]
    ranked = [(kind, name) for name, office in offices.items() for kind, rank in office["kinds"].items() if rank == 1]
    return dict(reversed(ranked))


class People:
    """Numbers and events of synthetic people."""

    SINGLE = SINGLE
    BATCH = BATCH
    NOW = NOW

    def number(self, n: int, born: date = date(1940, 2, 29)) -> str:
        return make("530302", born, n)

    def event(
        self,
        kind: str,
        number: str,
        value: Any = None,
        *,
        id: str,
        action: str = "created",
        office: str = "",
        previous: str | None = None,
        time: str = "2026-11-20T09:30:00+08:00",
        valid_from: str | None = "2026-11-01",
        valid_to: str | None = None,
        name: str | None = "张三丰",
    ) -> Event:
        office = office or self.offices[kind]
        person: dict[str, Any] = {"id_number": number}
        if name is not None:
            person["name"] = name
        return {
            "specversion": "1.0",
            "id": id,
            "source": f"urn:cn:exchange:{CITY}:{office}",
            "type": f"cn.eldercare.population.{kind}.v1",
            "time": time,
            "datacontenttype": "application/json",
            "data": {
                "action": action,
                "previous_event_id": previous,
                "person": person,
                "valid_from": valid_from,
                "valid_to": valid_to,
                "value": value,
            },
        }

    # The office that states a kind: the first of rank 1, unless several offices have it and tests need a certain one.
    offices: ClassVar[dict[str, str]] = first_offices() | {
        "alive": "grid",
        "benefit_elsewhere": "hrss",
        "risk_incident": "grid",
        "hospital_stay": "nhsa",
    }
    # the office of another area that states a kind
    foreign_offices: ClassVar[dict[str, str]] = offices | dict.fromkeys(
        ("alive", "contact", "living_situation", "risk_incident"), "mca"
    )
    county_offices: ClassVar[tuple[str, ...]] = (
        "psb",
        "mca",
        "health",
        "funeral",
        "cdpf",
        "grid",
        "hrss",
        "nhsa",
        "va",
        "nhc",
    )

    further: ClassVar[dict[str, Event]] = {
        "merit": {"merit": "special_contribution"},
        "ability_result": {
            "scale": "ltc",
            "scale_version": "2021",
            "code": "3",
            "document_no": "护鉴2026-0815",
            "sub_scores": {"进食": 5, "穿衣": 0},
        },
        "benefit_elsewhere": {"benefit": "work_injury_care", "amount_fen_per_month": 180_000},
        "risk_incident": {"incident": "fall"},
        "hospital_stay": {"institution": "合成市精神病医院"},
        "contact": {
            "phone": "0874-3123456",
            "contacts": [{"name": "李四光", "relation": "女儿", "phone": "+86 139 0000 1234"}],
        },
        "application": {"item": "concentrated_support", "wish": "apply", "channel": "visit"},
        "bank_account": {"account_no": "6217003860012345678", "bank": "合成农商银行", "holder_name": "张三丰"},
    }

    # One row of a file per further kind, with its usual column names; `{}` is the ID number.
    further_rows: ClassVar[dict[str, str]] = {
        "merit": "身份证号,优抚类别,认定日期\n{},作出特殊贡献,2026年3月1日",
        "ability_result": "身份证号,量表,量表版本,等级代码,结论书编号,评估日期\n{},长护险,2021,3,鉴-15,2026-03-01",
        "benefit_elsewhere": "公民身份号码,待遇名称,享受开始日期\n{},工伤保险生活护理费,2026-03-01",
        "risk_incident": "身份证号,风险事件,发生日期\n{},跌倒,2026-03-01",
        "hospital_stay": "身份证号,医院名称,入院日期,出院日期\n{},合成医院,2026-03-01,2026-03-09",
        "contact": "身份证号,本人电话,紧急联系人,与联系人关系,紧急联系人电话,联系人2,联系人2关系,联系人2电话,登记日期\n"
        "{},0874-3123456,李四光,女儿,13900001234,王五,邻居,13900005678,2026-03-01",
        "application": "身份证号,申请项目,意愿,渠道,申请日期\n{},护理补贴,放弃,窗口,2026-03-01",
        "bank_account": "身份证号,姓名,银行卡号,开户行,户名,启用日期\n"
        "{},张三丰,6217003860012345678,合成银行,张三丰,2026-03-01",
    }

    def registration(self, number: str, **options: Any) -> Event:
        value = {
            "name": options.get("name") or "张三丰",
            "sex": "1",
            "birth_date": "1940-02-29",
            "hukou_division": "530302",
            "hukou_kind": "rural",
        }
        options.setdefault("id", f"psb-registration-{number[-6:]}")
        return self.event("registration", number, value, **options)

    def renumbered(self, number: str, new: str, **options: Any) -> Event:
        options.setdefault("id", f"psb-number-{number[-6:]}-{new[-6:]}")
        return self.event("identity_change", number, {"new_id_number": new}, name=None, **options)

    def same(self, number: str, other: str, **options: Any) -> Event:
        options.setdefault("id", f"psb-same-{number[-6:]}-{other[-6:]}")
        return self.event("identity_change", number, {"same_person_as": other}, name=None, **options)

    def annulled(self, event: Event, **options: Any) -> Event:
        """The annulment of an event by its source, one hour later. `id` and `number` may differ."""
        number = options.pop("number", event["data"]["person"]["id_number"])
        options.setdefault("id", f"{event['id']}-annulled")
        options.setdefault("time", event["time"].replace("T09", "T10"))
        kind, office = event["type"].split(".")[-2], event["source"].rpartition(":")[2]
        back = {"action": "annulled", "previous": event["id"], "office": office, "valid_from": None, "name": None}
        return self.event(kind, number, **(back | options))

    def residence(self, number: str, division: str = "530302001", **options: Any) -> Event:
        options.setdefault("id", f"psb-residence-{number[-6:]}")
        value = {"division": division, "address": "曲靖市麒麟区合成村五号", "place": "home"}
        return self.event("residence", number, value, **options)


@pytest.fixture
def people() -> People:
    return People()


@pytest.fixture
def push(admin: httpx.AsyncClient) -> Callable[..., Any]:
    """Push events as one batch; return the receipts."""

    async def _push(*events: Event, expect: str | None = None) -> list[dict[str, Any]]:
        answer = await admin.post("/v1/events", content=msgspec.json.encode(events), headers={"content-type": BATCH})
        assert answer.status_code == 202, answer.text
        results: list[dict[str, Any]] = answer.json()["results"]
        if expect is not None:
            assert {r["status"] for r in results} == {expect}, results
        return results

    return _push


@pytest.fixture
def heads(driver: Driver) -> Callable[[], Any]:
    """The newest state of every person, as it waits to be sent."""

    async def _heads() -> dict[str, PersonFactsRecorded]:
        return {m.person_id: m for m in await driver.emitted(PersonFactsRecorded)}

    return _heads


@pytest.fixture
def facts_of(heads: Callable[[], Any]) -> Callable[[], Any]:
    """The facts of every person."""

    async def _facts() -> dict[str, Any]:
        return {person: facts_known_at(head.statements) for person, head in (await heads()).items()}

    return _facts


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────────


class Imports:
    """Files sent to the import route and worked by its job, as a source or (None) as the administrator."""

    def __init__(self, client_for: Callable[[str], httpx.AsyncClient], database: Database) -> None:
        self._client_for, self.database = client_for, database

    def client(self, office: str | None = "cdpf", token: str | None = None) -> httpx.AsyncClient:
        if token is None:
            source = f"urn:cn:exchange:{CITY}:{office}"
            token = issue_token("source", source=source) if office else issue_token("admin")
        return self._client_for(token)

    async def send(
        self, content: Any, kind: str | None, *, office: str | None = "cdpf", **query: Any
    ) -> httpx.Response:
        if isinstance(query.get("mapping"), dict):
            query["mapping"] = msgspec.json.encode(query["mapping"]).decode()
        if isinstance(content, str):
            content = content.encode()
        params = {"kind": kind, **query} if kind else query
        async with self.client(office) as client:
            return await client.post("/v1/imports", params=params, content=content)

    async def work(self) -> None:
        """Run the job until nothing is left to do."""
        while await run_imports(self.database):
            pass

    async def run(self, content: Any, kind: str | None, *, office: str | None = "cdpf", **query: Any) -> dict[str, Any]:
        """Send a file, work it, and return its state."""
        answer = await self.send(content, kind, office=office, **query)
        assert answer.status_code == 202, answer.text
        await self.work()
        return await self.show(answer.json()["import_id"])

    async def show(self, import_id: str) -> dict[str, Any]:
        async with self.client(None) as client:
            answer = await client.get(f"/v1/imports/{import_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def rejects(self, import_id: str) -> str:
        async with self.client(None) as client:
            answer = await client.get(f"/v1/imports/{import_id}/rejects")
        assert answer.status_code == 200, answer.text
        return answer.content.decode("utf-8-sig")


@pytest.fixture
def imports(client_for: Callable[[str], httpx.AsyncClient], database: Database) -> Iterator[Imports]:
    yield Imports(client_for, database)
    for spooled in spool_folder().glob("*"):  # of files that a test left unread
        spooled.unlink()


# ── sources of other areas ──────────────────────────────────────────────────────────────────────────────────


class Abroad:
    """A person of 麒麟区 (530302), sources of another province, and officers of any area."""

    HOME = "530302"
    AREA, THERE = "140700", "140702"

    def __init__(self, client_for: Callable[[str], httpx.AsyncClient], push: Callable[..., Any]) -> None:
        self._client_for, self._push = client_for, push

    def sent(self, event: Event, area: str = AREA) -> Event:
        """The same event, sent by the same office of another area."""
        office = event["source"].rpartition(":")[2]
        return event | {"source": f"urn:cn:exchange:{area}:{office}"}

    def person_id(self, number: str) -> str:
        return derived_id("person", vault().blind_index(number).hex())

    async def call(self, name: str, area: str, method: str, path: str, **options: Any) -> httpx.Response:
        """One call by an officer of an area."""
        async with self._client_for(issue_token("officer", division=area, subject=name)) as client:
            return await client.request(method, path, **options)

    async def get(self, path: str, area: str = HOME) -> Any:
        answer = await self.call("王科员", area, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, *, by: str = "王科员", area: str = HOME, **body: Any) -> httpx.Response:
        return await self.call(by, area, "POST", path, json={"reason": "已核实"} | body)

    async def move(self, people: People, number: str, **options: Any) -> str:
        """Claim a residence in the other province; return the event id."""
        options = {"id": f"claim-{number[-6:]}", "valid_from": "2026-11-10"} | options
        event = self.sent(people.residence(number, self.THERE, **options))
        (receipt,) = await self._push(event, expect="accepted")
        assert [p["code"] for p in receipt["problems"]] == ["place_claimed"]
        found: str = receipt["event_id"]
        return found


@pytest.fixture
def abroad(client_for: Callable[[str], httpx.AsyncClient], push: Callable[..., Any]) -> Abroad:
    return Abroad(client_for, push)


@pytest.fixture
async def resident(push: Callable[..., Any], people: People) -> str:
    """The number of a person who is registered and lives in 麒麟区."""
    number = people.number(1)
    await push(people.registration(number), people.residence(number), expect="accepted")
    return number


# ── a victim and foreign sources ────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def counties(admin: httpx.AsyncClient, database: Database) -> None:
    """Sources of single counties, in addition to those of the city."""
    await seed_register(database)
    for area in ("530303", Abroad.HOME):
        for office in People.county_offices:
            urn = f"urn:cn:exchange:{area}:{office}"
            kinds = {kind: 1 for kind, of in People.foreign_offices.items() if of == office} | {"death": 1}
            entry = {"name": office, "area": area, "kinds": kinds}
            answer = await admin.put(f"/v1/sources/{urn}", json={"entry": entry, "reason": "建立"})
            assert answer.status_code == 200, answer.text


@pytest.fixture
async def victim(push: Any, people: Any, counties: None) -> str:
    number: str = people.number(1)
    since = {"valid_from": "2026-01-01"}
    await push(people.registration(number, **since), people.residence(number, **since), expect="accepted")
    return number


@pytest.fixture
def officer(client_for: Any) -> Callable[..., Any]:
    def client(name: str = "王科员", division: str = Abroad.HOME) -> httpx.AsyncClient:
        found: httpx.AsyncClient = client_for(issue_token("officer", division=division, subject=name))
        return found

    return client


@pytest.fixture
def quarantine(officer: Any) -> Callable[..., Any]:
    async def rows(division: str = Abroad.HOME) -> list[dict[str, Any]]:
        async with officer(division=division) as client:
            found: list[dict[str, Any]] = (await client.get("/v1/quarantine")).json()["quarantine"]
            return found

    return rows


@pytest.fixture
def settle(officer: Any) -> Callable[..., Any]:
    async def _settle(event_id: str, act: str = "release", *names: str, **body: Any) -> list[Any]:
        answers = []
        for name in names or ("王科员",):
            async with officer(name) as client:
                json = {"reason": "已核实"} | body
                answers.append(await client.post(f"/v1/quarantine/{event_id}/{act}", json=json))
        return answers

    return _settle
