"""Compare the effect of a published list with its signed simulation while people are decided again.

Every step of the job `redecide_people` is checked before it is stored. So no decision outside the band (the permitted
difference) is emitted. At the end, all people are checked together. The comparison covers the same people and the
effect of this list only. After another publication or a live change, people are decided under the lists before and
after this one to find that effect.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec
from common.events import EntitlementsDecided
from rules.money.effects import Figures, Window, figures_of
from shell.store.transaction import Tx

from identification.deciding.domain.cases import Decided
from identification.deciding.domain.decision import decide_person
from identification.deciding.domain.person import Person, decision_of, inputs_of
from identification.deciding.store import people as people_store
from identification.lists.domain.content import ListSet
from identification.lists.in_force import load_set
from identification.lists.store import publications
from identification.lists.store.publications import Publication
from identification.redeciding.store import parts, watches
from identification.redeciding.store.watches import WatchedFigures
from identification.simulating.domain.band import Tolerance, outside
from identification.simulating.store import load_window

_tolerance = msgspec.json.Decoder(Tolerance).decode


class LeftBand(Exception):
    """Raised if the effect of a list leaves the band. `text`: the figures in Chinese. `live`: the effect."""

    def __init__(self, publication: Publication, text: str, live: Figures) -> None:
        super().__init__(text)
        self.area, self.version = publication.jurisdiction, publication.version
        self.text, self.live = text, live


class _Sides(NamedTuple):
    """The lists before and after a publication."""

    before: ListSet
    after: ListSet
    window: Window


async def watch_step(
    tx: Tx, seq: int, decided: Sequence[Decided], live_ids: Collection[str], in_force: ListSet
) -> None:
    """Store the figures of one step and check the sum of all steps. Raises LeftBand.

    `seq`: the publication of the step. `decided`: people of the step who are decided again. `live_ids`: people of the
    step whom a live change has already decided by the lists `in_force`.
    """
    publication = await publications.load_watched(tx.sql, seq)
    if publication is None or in_force.versions.get(publication.jurisdiction) != publication.version:
        return  # a replaced list has no effect any more
    assert publication.simulation_id is not None
    live_people = await people_store.load_people(tx.sql, list(live_ids)) if live_ids else []
    step = await _figures(tx, publication, decided, live_people, in_force)
    person_ids = [*(d.person.person_id for d in decided), *live_ids]
    simulated = await watches.simulated_for(tx.sql, publication.simulation_id, person_ids)
    await watches.append_step(tx, seq, WatchedFigures(step, simulated))
    _need_in_band(publication, await watches.sum_steps(tx.sql, seq))


async def watch_end(tx: Tx, publication: Publication) -> None:
    """Compare all people who were decided again with the whole simulation. Raises LeftBand."""
    assert publication.simulation_id is not None
    live = (await watches.sum_steps(tx.sql, publication.seq)).live
    simulated = await watches.simulated_in_all(tx.sql, publication.simulation_id)
    _need_in_band(publication, WatchedFigures(live, simulated))


def _need_in_band(publication: Publication, figures: WatchedFigures) -> None:
    """Raise LeftBand if the figures leave the band of a publication."""
    assert publication.band is not None
    found = outside(figures.live, figures.simulated, _tolerance(publication.band))
    if found:
        raise LeftBand(publication, "；".join(one.text for one in found), figures.live)


async def _figures(
    tx: Tx, publication: Publication, decided: Sequence[Decided], live_people: Sequence[Person], in_force: ListSet
) -> Figures:
    """Return the effect of this publication alone on these people."""
    sides = await _sides(tx, publication)
    alone = sides.after.digest == in_force.digest and len(await parts.open_redecisions(tx.sql)) == 1
    total = Figures()
    for d in decided:
        if not alone:
            total = total.plus(_effect_of_list(d.person, sides))
        elif d.event is not None:
            total = total.plus(_effect_of_step(d.case.person, d.event, sides.window))
    for person in live_people:
        total = total.plus(_effect_of_list(person, sides))
    return total


async def _sides(tx: Tx, publication: Publication) -> _Sides:
    assert publication.simulation_id is not None
    window = await load_window(tx.sql, publication.simulation_id)
    before = await load_set(tx.sql, await publications.set_before(tx.sql, publication.seq))
    return _Sides(before, await load_set(tx.sql, publication.set_id), window)


def _effect_of_step(person: Person, now: EntitlementsDecided, window: Window) -> Figures:
    """Return the effect on one person. Only this list may differ between the stored decision and `now`."""
    stored = decision_of(person)
    return figures_of(stored.entitlements if stored else (), now.entitlements, window, now.died_on)


def _effect_of_list(person: Person, sides: _Sides) -> Figures:
    """Return the effect on one person, decided by the lists before and after the publication."""
    inputs = inputs_of(person)
    if inputs is None:
        return Figures()
    before = decide_person(inputs, sides.before.lists).event
    after = decide_person(inputs, sides.after.lists).event
    return figures_of(before.entitlements, after.entitlements, sides.window, after.died_on)
