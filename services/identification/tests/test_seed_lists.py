"""The files under contracts/policy fill an empty database; afterwards they only propose."""

import shutil
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.events import EntitlementsDecided, PolicyVersionProposed, PolicyVersionPublished
from identification import verify
from identification.lists.seed_lists import seed
from identification.main import service
from shell import clock
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import Driver, migrated_database

NATION, CITY, QILIN, NEW_AREA = "000000", "530300", "530302", "530304"
ALLOWANCE = "longevity_allowance"
FILE = f"{QILIN}/{ALLOWANCE}.yaml"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the test lists, which a test may edit."""
    return Path(shutil.copytree(Path(__file__).parent / "policy", tmp_path / "policy"))


def edit(file: Path, was: str, now: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert was in text
    file.write_text(text.replace(was, now), encoding="utf-8")


def dearer(files: Path, fen: int = 8000) -> None:
    edit(files / FILE, "amount_fen: 5000", f"amount_fen: {fen}")


async def states(database: Database, area: str) -> list[tuple[str, str]]:
    """(state, proposed by) of every version of an area's list, the oldest first."""
    rows = await database.pool.fetch(
        "SELECT state, proposed_by FROM policies WHERE jurisdiction = $1 ORDER BY proposed_at, version", area
    )
    return [tuple(row) for row in rows]


async def published(database: Database) -> set[str]:
    return {row[0] for row in await database.pool.fetch("SELECT jurisdiction FROM publications")}


async def test_a_changed_file_becomes_a_proposal_and_decides_nothing(
    database: Database, driver: Driver, files: Path, elder: Any, of_item: Any, redecide: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    dearer(files)
    await seed(database, files)
    await redecide()
    assert await states(database, QILIN) == [("published", "contracts/policy"), ("proposed", "contracts/policy")]
    (proposed,) = await driver.emitted()
    assert isinstance(proposed, PolicyVersionProposed)
    assert (proposed.jurisdiction, proposed.changed_from) == (QILIN, date(2023, 1, 1))
    other = elder()
    await driver.deliver(other.facts())  # after the start, still by the list in force
    (decided,) = await driver.emitted(EntitlementsDecided)
    assert {e.amount_fen_per_month for e in of_item(decided, ALLOWANCE)} == {5000, 10000}  # from 80 and from 90
    assert await verify.check(database, clock.today()) == []


async def test_a_content_is_proposed_once_for_any_number_of_starts(
    database: Database, driver: Driver, files: Path
) -> None:
    dearer(files)
    for _ in range(3):
        await seed(database, files)
    assert len(await driver.emitted(PolicyVersionProposed)) == 1
    edit(files / FILE, "amount_fen: 8000", "amount_fen: 9000")
    await seed(database, files)
    assert [state for state, _ in await states(database, QILIN)] == ["published", "proposed", "proposed"]
    assert len(await driver.emitted(PolicyVersionProposed)) == 2


async def test_an_unchanged_file_is_not_proposed_after_a_newer_publication(
    database: Database, driver: Driver, publish: Any, raised: Any
) -> None:
    await publish(raised)
    await driver.clear_outbox()
    await seed(database, Path(__file__).parent / "policy")
    assert await driver.emitted() == []


async def test_a_file_that_returns_to_an_earlier_content_is_proposed_again(
    database: Database, driver: Driver, files: Path, publish: Any, client: Any, bearer: Any
) -> None:
    dearer(files)
    await seed(database, files)
    content = await database.pool.fetchval("SELECT list FROM policies WHERE state = 'proposed'")
    await publish(msgspec.json.decode(content))
    await driver.clear_outbox()
    await seed(database, Path(__file__).parent / "policy")
    (proposed,) = await driver.emitted(PolicyVersionProposed)
    headers = bearer("officer", CITY)
    running = (await client.get(f"/v1/policies/{QILIN}", headers=headers)).json()
    assert running["version"] != proposed.version


async def test_the_first_file_of_an_area_is_a_proposal_too(database: Database, driver: Driver, files: Path) -> None:
    shutil.copytree(files / QILIN, files / NEW_AREA)
    await seed(database, files)
    assert await states(database, NEW_AREA) == [("proposed", "contracts/policy")]
    assert NEW_AREA not in await published(database)


async def test_a_proposed_file_becomes_law_by_simulation_and_two_signatures(
    database: Database, files: Path, client: Any, bearer: Any, simulated: Any
) -> None:
    dearer(files)
    await seed(database, files)
    found = (await client.get("/v1/policies", headers=bearer(), params={"state": "proposed"})).json()["policies"]
    version = found[0]["version"]

    async def act(what: str, who: str) -> Any:
        headers = bearer("approver", CITY, subject=who)
        return await client.post(f"/v1/policies/{version}/{what}", headers=headers)

    assert (await act("approve", "first")).json()["code"] == "simulation_missing"
    assert (await act("publish", "first")).json()["code"] == "not_approved"
    await simulated(version)
    await act("approve", "first")
    assert (await act("publish", "first")).json()["code"] == "not_approved"
    await act("approve", "second")
    assert (await act("publish", "first")).json()["running"]


@pytest.fixture
async def empty() -> AsyncIterator[Database]:
    async with migrated_database("identification") as fresh:
        yield fresh


async def test_on_an_empty_database_files_are_published_that_give_no_less_than_those_above(empty: Database) -> None:
    root = repository_root() / "contracts" / "policy"
    await seed(empty, root)
    unsigned = {"110000", CITY, "140700", "141125"}  # narrower by unsigned deviations
    areas = {folder.name for folder in root.iterdir() if folder.name.isdigit()}
    assert await published(empty) == areas - unsigned
    for area in unsigned:
        assert await states(empty, area) == [("proposed", "contracts/policy")]
    driver = Driver(empty, service.handlers)
    assert {e.jurisdiction for e in await driver.emitted(PolicyVersionProposed)} == unsigned
    assert {e.jurisdiction for e in await driver.emitted(PolicyVersionPublished)} == areas - unsigned
    await seed(empty, root)
    assert len(await driver.emitted(PolicyVersionProposed)) == len(unsigned)


async def test_until_a_narrower_list_is_published_the_list_above_governs(
    empty: Database, elder: Any, of_item: Any
) -> None:
    await seed(empty, repository_root() / "contracts" / "policy")
    driver = Driver(empty, service.handlers)
    await driver.clear_outbox()
    person = elder()
    await driver.deliver(person.assessed(3, date(2026, 1, 1)), person.facts())
    decided = (await driver.emitted(EntitlementsDecided))[-1]
    care = of_item(decided, "nursing_subsidy")[-1]  # Qujing's list gives it to the poor only
    assert (care.jurisdiction, care.state, care.amount_fen_per_month) == (NATION, "granted", None)
    assert {e.jurisdiction for e in of_item(decided, ALLOWANCE)} == {QILIN}
    assert {e.jurisdiction for e in of_item(decided, "visiting_care")} == {NATION}


@pytest.mark.usefixtures("demonstration")
async def test_in_a_demonstration_all_files_are_published(empty: Database) -> None:
    root = repository_root() / "contracts" / "policy"
    await seed(empty, root)
    assert await published(empty) == {folder.name for folder in root.iterdir() if folder.name.isdigit()}


@pytest.mark.parametrize("demo", [False, True])
async def test_an_unsigned_deviation_permits_a_shortfall_only_in_a_demonstration(
    client: Any, bearer: Any, simulated: Any, request: pytest.FixtureRequest, demo: bool, raised: Any
) -> None:
    if demo:
        request.getfixturevalue("demonstration")
    care = (await client.get(f"/v1/policies/{NATION}", headers=bearer())).json()["list"]["items"]["nursing_subsidy"]
    care["versions"][0]["conditions"] = {"all_of": [care["versions"][0]["conditions"], {"age_years_min": 90}]}
    deviation = {"item": "nursing_subsidy", "narrows": ["refused"], "clause": "某办法", "signer": "示例：某局"}
    deviation |= {"reason": "仅限高龄", "status": "example", "valid_from": "2020-01-01"}
    raised["items"]["nursing_subsidy"] = care
    headers = bearer("officer", CITY, subject="proposer")
    body = {**raised, "deviations": [deviation]}
    version = (await client.post("/v1/policies", headers=headers, json=body)).json()["version"]
    await simulated(version)
    path = f"/v1/policies/{version}/approve"
    answer = await client.post(path, headers=bearer("approver", CITY, subject="first"))
    assert answer.status_code == (200 if demo else 409)
    review = (await client.get(f"/v1/policies/{version}/review", headers=bearer("approver", CITY))).json()
    assert review["inclusion"]["included"] is demo
    if not demo:
        assert answer.json()["code"] == "narrower_than_above"
        assert "示例" in answer.json()["problems"][0]["detail"]
        assert review["inclusion"]["narrower"][0]["deviation"]["signer"] == "示例：某局"
