import os

os.environ.setdefault("SHOUWANG_SIMULATION_WORKERS", "0")  # the tests about worker processes ask for them

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest
from common.events import AbilitiesDetermined, Ability, Entitlement, EntitlementsDecided, PersonFactsRecorded, Statement
from common.events.facts import (
    Alive,
    Application,
    Death,
    Disability,
    HospitalStay,
    Household,
    Identity,
    IdentityChange,
    LivingSituation,
    LowIncome,
    Registration,
    Residence,
    RiskIncident,
    StandingChange,
)
from identification.lists.seed_lists import seed
from identification.main import service
from identification.redeciding.close_watches import close_watches
from identification.redeciding.redecide_people import redecide_people
from identification.simulating.run_simulations import run_simulations
from shell import clock
from shell.access.auth import issue_token
from shell.store.database import Database
from shell.testing import Driver, migrated_database

LISTS = Path(__file__).parent / "policy"
VALUES = {
    "registration": Registration,
    "residence": Residence,
    "death": Death,
    "alive": Alive,
    "application": Application,
    "disability": Disability,
    "low_income": LowIncome,
    "household": Household,
    "living_situation": LivingSituation,
    "hospital_stay": HospitalStay,
    "risk_incident": RiskIncident,
    "identity_change": IdentityChange,
}
REPORTED_AT = datetime(2026, 11, 1, tzinfo=UTC)


class Elder:
    """A synthetic person. Sources report facts one after the other; each report is a new version."""

    def __init__(self, born: date = date(1940, 3, 5), hukou: str = "530302", lives: str | None = "530302001") -> None:
        self.person_id = str(uuid4())
        self.statements: list[Statement] = []
        self.abilities: list[Ability] = []
        self.identities: list[Identity] = []
        self.version = 0
        self.born = self.registered(born, hukou)
        if lives:
            self.say("residence", division=lives)

    def registered(self, born: date, hukou: str, valid_from: date | None = None) -> str:
        return self.say(
            "registration",
            valid_from,
            sex="2",
            birth_date=born,
            hukou_division=hukou,
            hukou_kind="rural",
        )

    def say(
        self,
        kind: str,
        valid_from: date | None = None,
        valid_to: date | None = None,
        via: str | None = None,
        **value: Any,
    ) -> str:
        """A new fact; returns its event id."""
        event_id = str(uuid4())
        return self._add(event_id, event_id, "created", kind, valid_from, valid_to, VALUES[kind](**value), via)

    def change(
        self,
        event_id: str,
        action: str,
        valid_from: date | None = None,
        valid_to: date | None = None,
        **value: Any,
    ) -> str:
        """An action on an earlier fact: `corrected`, `annulled` or `ended`. Returns the event id."""
        old = next(s for s in self.statements if s.event_id == event_id)
        new = VALUES[old.kind](**value) if value else None
        return self._add(str(uuid4()), old.chain, action, old.kind, valid_from, valid_to, new, old.via)

    def _add(
        self,
        event_id: str,
        chain: str,
        action: Any,
        kind: Any,
        valid_from: date | None,
        valid_to: date | None,
        value: Any,
        via: str | None,
    ) -> str:
        at = REPORTED_AT + timedelta(minutes=len(self.statements))
        self.statements.append(
            Statement(
                event_id=event_id,
                chain=chain,
                action=action,
                kind=kind,
                source="urn:cn:exchange:530300:test",
                rank=1,
                time=at,
                recorded_at=at,
                valid_from=valid_from,
                valid_to=valid_to,
                value=value,
                via=via,
            )
        )
        return event_id

    def stands(self, event_id: str, standing: Any, at: datetime | None = None) -> None:
        """From an instant on, the fact has this standing. None: from its record or its last change."""
        for n, s in enumerate(self.statements):
            if s.event_id == event_id:
                change = StandingChange(at or (s.standing[-1].at if s.standing else s.recorded_at), standing)
                self.statements[n] = msgspec.structs.replace(s, standing=(*s.standing, change))

    def facts(self, **more: Any) -> PersonFactsRecorded:
        """All facts so far, as the next version."""
        self.version += 1
        return PersonFactsRecorded(
            person_id=self.person_id,
            version=self.version,
            recorded_at=self.statements[-1].recorded_at,
            statements=tuple(self.statements),
            **more,
        )

    def merged(self, other: "Elder", minutes: int = 60) -> PersonFactsRecorded:
        """The next version: some minutes after the first report, this identity is merged into `other`."""
        since = Identity(recorded_at=REPORTED_AT + timedelta(minutes=minutes), merged_into=other.person_id)
        return msgspec.structs.replace(self.facts(), **self._known(since))

    def united(self, other: "Elder", minutes: int = 60) -> PersonFactsRecorded:
        """The next version: some minutes after the first report, `other` is merged into this identity."""
        since = Identity(recorded_at=REPORTED_AT + timedelta(minutes=minutes), aliases=(other.person_id,))
        of_other = [msgspec.structs.replace(s, of=other.person_id) for s in other.statements]
        own = self.facts()
        return msgspec.structs.replace(own, statements=(*own.statements, *of_other), **self._known(since))

    def split(self, minutes: int = 120) -> PersonFactsRecorded:
        """The next version: the merge is annulled."""
        return msgspec.structs.replace(
            self.facts(), **self._known(Identity(recorded_at=REPORTED_AT + timedelta(minutes=minutes)))
        )

    def _known(self, now: Identity) -> dict[str, Any]:
        self.identities.append(now)
        known = {"identities": tuple(self.identities), "recorded_at": now.recorded_at}
        return known | {"aliases": now.aliases, "merged_into": now.merged_into}

    def assessed(self, level: int, valid_from: date, version: int = 1) -> AbilitiesDetermined:
        at = REPORTED_AT + timedelta(hours=version)
        self.abilities.append(
            Ability(
                assessment_id=str(uuid4()),
                scale="GB/T 42195",
                scale_version="2022",
                level=level,
                valid_from=valid_from,
                recorded_at=at,
            )
        )
        return AbilitiesDetermined(
            person_id=self.person_id, version=version, recorded_at=at, abilities=tuple(self.abilities)
        )


@pytest.fixture(scope="session")
def elder() -> type[Elder]:
    return Elder


@pytest.fixture(autouse=True)
def business_day() -> Iterator[date]:
    """Every test begins at noon of 20 November 2026."""
    clock.set_now(datetime(2026, 11, 20, 4, tzinfo=UTC))
    yield date(2026, 11, 20)
    clock.set_offset(timedelta())


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    """A database with the test lists in force and nothing left to send."""
    async with migrated_database("identification") as fresh:
        await seed(fresh, LISTS)
        while await redecide_people(fresh):
            pass  # there are no people yet
        await fresh.pool.execute("DELETE FROM outbox")
        yield fresh


@pytest.fixture
def driver(database: Database) -> Driver:
    return Driver(database, service.handlers)


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    before, service.database = service.database, database
    async with httpx.AsyncClient(transport=httpx.ASGITransport(service.app), base_url="http://identification") as http:
        yield http
    service.database = before


@pytest.fixture(scope="session")
def bearer() -> Callable[..., dict[str, str]]:
    def headers(role: Any = "officer", division: str | None = "530300", **more: Any) -> dict[str, str]:
        return {"Authorization": f"Bearer {issue_token(role, division=division, **more)}"}

    return headers


@pytest.fixture(scope="session")
def of_item() -> Callable[[EntitlementsDecided, str], list[Entitlement]]:
    return lambda event, item: [e for e in event.entitlements if e.item == item]


@pytest.fixture
async def raised(client: Any, bearer: Any) -> dict[str, Any]:
    """The list of Qilin with 80 yuan instead of 50 for the eldest."""
    body: dict[str, Any] = (await client.get("/v1/policies/530302", headers=bearer())).json()["list"]
    body["items"]["longevity_allowance"]["versions"][0]["amount"]["bands"][0]["amount_fen"] = 8000
    return body


@pytest.fixture
def simulated(client: httpx.AsyncClient, database: Database, bearer: Any) -> Callable[..., Any]:
    """`await simulated(version)`: request the simulation and run it; its answer."""

    async def simulate(version: str, division: str = "000000", **more: Any) -> dict[str, Any]:
        headers = bearer("officer", division)
        asked = await client.post("/v1/simulations", headers=headers, json={"version": version, **more})
        assert asked.status_code == 202, asked.text
        while await run_simulations(database):
            pass
        path = f"/v1/simulations/{asked.json()['simulation_id']}"
        found: dict[str, Any] = (await client.get(path, headers=headers)).json()
        return found

    return simulate


@pytest.fixture
def publish(client: httpx.AsyncClient, bearer: Any, simulated: Any) -> Callable[..., Any]:
    """Propose, simulate, sign twice and publish a list; its version."""

    async def act(version: str, what: str, who: str, division: str) -> None:
        headers = bearer("approver", division, subject=who)
        assert (await client.post(f"/v1/policies/{version}/{what}", headers=headers)).status_code == 200

    async def go(body: Any, division: str = "530300") -> str:
        headers = bearer("officer", division, subject="proposer")
        version: str = (await client.post("/v1/policies", headers=headers, json=body)).json()["version"]
        await simulated(version)
        for what, who in (("approve", "first"), ("approve", "second"), ("publish", "second")):
            await act(version, what, who, division)
        return version

    return go


@pytest.fixture
def redecide(database: Database) -> Callable[..., Any]:
    """Decide again and close watches until no work is left; the number of steps."""

    async def go(**limits: int) -> int:
        steps = 0
        while (done := await redecide_people(database, **limits)) or await close_watches(database):
            steps += done > 0
        return steps

    return go
