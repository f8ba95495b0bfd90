"""Random weeks of decisions, batches, returns and recoveries: each person finally receives exactly their dues."""

from collections import Counter
from datetime import date, timedelta
from random import Random
from typing import Any

from common.calendar import add_months, month_of
from common.codes import divisions
from common.events import Entitlement
from rules.money.due import due
from shell.clock import today

_areas = iter(code for code in divisions.codes() if not code.endswith("00"))
# Step and frequency. Deaths, moves and holds come after payments only if payments are frequent.
_STEPS = {
    "decide": 8,
    "repeat": 2,
    "reserve": 5,
    "approve": 5,
    "reject": 1,
    "bank": 5,
    "collect": 2,
    "write_off": 3,
    "month": 2,
}
_EVENTS = ("none", "none", "none", "death", "death", "suspicion", "suspicion", "move", "band", "end", "nothing_at_all")


def _life(chance: Random) -> dict[str, Any]:
    """Mostly the same beginning, so that later decisions correct earlier payments."""
    start = date(2025, 12, 10) + timedelta(days=chance.choice((0, 0, 0, 0, chance.randrange(150))))
    return {
        "start": start,
        "on": start + timedelta(days=chance.randrange(1, 250)),
        "fen": chance.choice((5000, 5000, 8000)),
        "event": chance.choice(_EVENTS),
    }


def _step(chance: Random) -> tuple[Any, ...]:
    name = chance.choices(list(_STEPS), list(_STEPS.values()))[0]
    arguments = {
        "decide": lambda: (chance.randrange(2), _life(chance)),
        "repeat": lambda: (chance.randrange(50),),
        "reserve": lambda: (chance.choice((-2, 0, 0, 0, 1)), chance.choice((0, 0, 1))),
        "bank": lambda: (chance.choice(("settled", "settled", "settled", "returned")),),
    }
    return (name, *arguments.get(name, tuple)())


class World:
    """Two people, two areas, and the money that really moved."""

    def __init__(self, town: Any) -> None:
        self.town = town
        self.areas = [next(_areas), next(_areas)]
        self.people = [town.person() for _ in range(2)]
        self.last: dict[str, Any] = {}
        self.decisions: list[Any] = []
        self.money: Counter[tuple[str, str, str]] = Counter()

    def intervals(self, life: Any) -> list[Entitlement]:
        start, on, fen = life["start"], life["on"], life["fen"]
        entitled, event = self.town.entitled, life["event"]
        here = {"jurisdiction": self.areas[0], "fen": fen}
        if event == "nothing_at_all":
            return []
        if event == "none":
            return [entitled(f"{start}", **here)]
        first = entitled(f"{start}", f"{on}", **here)
        after = {
            "suspicion": {**here, "state": "suspended"},
            "move": {"jurisdiction": self.areas[1], "fen": 6000, "start": "same_month"},
            "band": {**here, "fen": fen + 1500},
        }
        if event == "death":
            return [entitled(f"{start}", f"{date.fromordinal(on.toordinal() + 1)}", **here)]
        return [first, entitled(f"{on}", **after[event])] if event in after else [first]

    async def step(self, name: str, *args: Any) -> None:
        await getattr(self, f"_{name}")(*args)

    async def _decide(self, who: int, life: Any) -> None:
        person = self.people[who]
        died = f"{life['on']}" if life["event"] == "death" else None
        decided = person.decided(*self.intervals(life), died=died)
        self.last[person.id] = decided
        self.decisions.append(decided)
        await self.town.receive(decided)

    async def _repeat(self, which: int) -> None:
        if self.decisions:
            await self.town.receive(self.decisions[which % len(self.decisions)])

    async def _reserve(self, ahead: int, area: int) -> None:
        body = {"month": f"{add_months(month_of(today()), ahead):%Y-%m}", "jurisdiction": self.areas[area]}
        await self.post("/v1/batches", json=body)

    async def post(self, path: str, role: str = "officer", **more: Any) -> Any:
        """409 is a valid answer: the service decides whether the call is possible now."""
        return await self.town.office.call("POST", path, role, status=(200, 201, 409), **more)

    async def batches(self, *states: str) -> list[Any]:
        found = []
        for area in self.areas:
            page = await self.town.office.call("GET", "/v1/batches", params={"jurisdiction": area})
            found += [batch for batch in page["batches"] if batch["state"] in states]
        return found

    async def _approve(self) -> None:
        for batch in (await self.batches("reserved", "submitted"))[:1]:
            await self.town.office.approve(batch)

    async def _reject(self) -> None:
        for batch in (await self.batches("reserved", "submitted"))[:1]:
            await self.post(f"/v1/batches/{batch['batch_id']}/reject", "approver", json={"reason": "no"})

    async def _bank(self, outcome: str) -> None:
        for batch in await self.batches("approved"):
            before = {line["line_id"]: line for line in await self.town.office.lines(batch)}
            await self.town.office.bank_returns(batch, outcome)
            for line in await self.town.office.lines(batch):
                was, key = before[line["line_id"]]["state"], self.key(line)
                if (was, line["state"]) == ("ordered", "settled"):
                    self.money[key] += line["amount_fen"]
                elif (was, line["state"]) == ("settled", "returned"):
                    self.money[key] -= line["amount_fen"]

    @staticmethod
    def key(row: Any) -> tuple[str, str, str]:
        return row["person_id"], row["jurisdiction"], row["service_month"]

    async def cases(self) -> list[Any]:
        found = []
        for area in self.areas:
            asked = {"jurisdiction": area, "state": "open"}
            found += (await self.town.office.call("GET", "/v1/recoveries", params=asked))["recoveries"]
        return found

    async def _collect(self) -> None:
        for case in (await self.cases())[:2]:
            await self.town.office.call("POST", f"/v1/recoveries/{case['recovery_id']}/collect")
            self.money[self.key(case)] -= case["amount_fen"]

    async def _write_off(self) -> None:
        for case in (await self.cases())[:1]:
            path = f"/v1/recoveries/{case['recovery_id']}/write-off"
            await self.town.office.call("POST", path, "approver", json={"reason": "gone"})

    async def _month(self) -> None:
        self.town.at(f"{add_months(today(), 1)}")
        await self.town.month_turns()

    async def finish(self) -> None:
        """Decide, pay and collect everything that is open, until nothing is left to do."""
        for _ in range(3):
            while await self.batches("reserved", "submitted"):
                await self._approve()
            await self._bank("settled")
            while await self.cases():
                await self._collect()
            for area in (0, 1):
                await self._reserve(0, area)
        assert await self.batches("reserved", "submitted") == []


async def test_each_person_finally_receives_exactly_their_dues(town: Any) -> None:
    happened: Counter[str] = Counter()
    for seed in range(12):
        chance = Random(seed)
        town.at("2026-05-15")
        world = World(town)
        for _ in range(40):
            await world.step(*_step(chance))
        await town.is_sound()
        await world.finish()
        await town.is_sound()
        await _compare(world, seed)
        happened += await _tally(world)
    # without these outcomes the test would prove nothing
    wanted = ("collected", "withdrawn", "written_off", "returned", "taken_out", "rejected", "reissue", "held")
    assert all(happened[name] > 0 for name in wanted), happened


async def _compare(world: World, seed: int) -> None:
    owed: dict[tuple[str, str, str], tuple[int, str]] = {}
    for person_id, decided in world.last.items():
        for line in due(
            decided.entitlements,
            through_month=month_of(today()),
            died_on=decided.died_on,
            demo=False,
            pay_from={"*": date(2026, 1, 1)},
        ):
            owed[person_id, line.jurisdiction, f"{line.service_month:%Y-%m}"] = line.amount_fen, line.state
    rows = await world.town.database.pool.fetch("SELECT * FROM dues WHERE written_off_fen > 0")
    given_up = {(r["person_id"], r["jurisdiction"], f"{r['service_month']:%Y-%m}"): r["written_off_fen"] for r in rows}
    for key in owed.keys() | world.money.keys():
        fen, state = owed.get(key, (0, "due"))
        reached = world.money[key] - given_up.get(key, 0)
        assert reached == fen if state == "due" else reached <= fen, (seed, key)


async def _tally(world: World) -> Counter[str]:
    rows = await world.town.database.pool.fetch(
        """SELECT state, count(*) FROM recoveries WHERE jurisdiction = ANY($1) GROUP BY 1
           UNION ALL SELECT state, count(*) FROM batch_lines WHERE jurisdiction = ANY($1) GROUP BY 1
           UNION ALL SELECT kind, count(*) FROM entries WHERE jurisdiction = ANY($1) AND kind = 'reissue' GROUP BY 1
           UNION ALL SELECT state, count(*) FROM entries WHERE jurisdiction = ANY($1) AND state = 'held' GROUP BY 1""",
        world.areas,
    )
    return Counter({row[0]: row[1] for row in rows})
