"""While people are decided again by a published list: does it do what was simulated and signed?

Asked before each step is stored, so that nothing outside the band is ever told to anybody, and once more when all are
done. Held against each other are the same people: what the list does to them now, and what it was to do. What counts is
the effect of this one list; where another was published beside it, or live news came first, both sides are decided for
the purpose.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from rules.money.effects import Figures, Window, figures_of
from shell.store.transaction import Tx

from identification.deciding.decisions import Decided, decision_of, inputs_of
from identification.deciding.domain.decision import Person, decide_person
from identification.deciding.store import people as people_store
from identification.lists.in_force import Running, running_at
from identification.lists.store import lists as lists_store
from identification.redeciding import store as redecisions
from identification.simulating import store
from identification.simulating.chunks import window_of
from identification.simulating.domain.band import Tolerance, outside

_tolerance = msgspec.json.Decoder(Tolerance).decode


class LeftBand(Exception):
    """What would have been done leaves the band; `text` says by how much, `live` what it came to."""

    def __init__(self, job: Any, text: str, live: Figures) -> None:
        super().__init__(text)
        self.area, self.version, self.text, self.live = job["jurisdiction"], job["version"], text, live


async def watch_step(tx: Tx, seq: int, decided: Sequence[Decided], live: Collection[str], running: Running) -> None:
    """Raises LeftBand. `seq`: the publication for which people are decided again. `live`: those among them whom live
    news have had decided by the present lists before."""
    job = await lists_store.load_watched(tx.sql, seq)
    if job is None or running.versions.get(job["jurisdiction"]) != job["version"]:
        return  # a list that was replaced meanwhile no longer does anything
    people = await people_store.load_people(tx.sql, list(live)) if live else []
    step = await _figures(tx, job, decided, people, running)
    person_ids = [*(d.person.person_id for d in decided), *live]
    await store.append_step(tx, seq, step, await store.simulated_for(tx.sql, job["simulation_id"], person_ids))
    _need_in_band(job, *await store.sum_steps(tx.sql, seq))


async def watch_end(tx: Tx, job: Any) -> None:
    """Raises LeftBand. All people whom the list may touch are decided again: was anybody left out who was to change?"""
    live, _ = await store.sum_steps(tx.sql, job["seq"])
    _need_in_band(job, live, await store.simulated_in_all(tx.sql, job["simulation_id"]))


def _need_in_band(job: Any, live: Figures, simulated: Figures) -> None:
    if found := outside(live, simulated, _tolerance(job["band"])):
        raise LeftBand(job, "；".join(one.text for one in found), live)


async def _figures(tx: Tx, job: Any, decided: Sequence[Decided], live: Sequence[Person], running: Running) -> Figures:
    window = window_of(await store.load_window(tx.sql, job["simulation_id"]))
    before = await running_at(tx.sql, await lists_store.publication_before(tx.sql, job["seq"]))
    after = await running_at(tx.sql, (job["seq"], job["running_digest"]))
    alone = after.digest == running.digest and len(await redecisions.open_redecisions(tx.sql)) == 1
    total = Figures()
    for d in decided:
        if not alone:
            total = total.plus(_compared(d.person, before, after, window))
        elif d.event is not None:
            was = decision_of(d.case.person)
            now = d.event
            total = total.plus(figures_of(was.entitlements if was else (), now.entitlements, window, now.died_on))
    for person in live:
        total = total.plus(_compared(person, before, after, window))
    return total


def _compared(person: Person, before: Running, after: Running, window: Window) -> Figures:
    inputs = inputs_of(person)
    if inputs is None:
        return Figures()
    was, now = (decide_person(inputs, side.lists)[0] for side in (before, after))
    return figures_of(was.entitlements, now.entitlements, window, now.died_on)
