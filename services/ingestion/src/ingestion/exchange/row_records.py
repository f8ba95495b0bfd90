"""What the rows of a page say, recorded through the core that every door shares, with what is remembered of each."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
from common.events.kinds import WITHOUT_VALUE
from shell.privacy import vault
from shell.store.transaction import Tx

from ingestion.domain.problems import Fault, fault
from ingestion.domain.pushed import Pushed
from ingestion.domain.receipts import Receipt, Rejected
from ingestion.exchange.domain import Deed, Seen, decide_missing, decide_row, is_late
from ingestion.exchange.feeds import Setup
from ingestion.exchange.lines import Layout, Line, mark_of, read_line
from ingestion.exchange.store import feed_rows as store
from ingestion.exchange.store.feed_rows import KnownRow
from ingestion.files.rejects import keep
from ingestion.files.row_events import Sender, Shaped, refused
from ingestion.files.table import bounded
from ingestion.reading.events import read_event, reopen
from ingestion.recording.recorder import record
from ingestion.recording.rejections import record_rejections
from ingestion.recording.store.statements import load_sealed

_encode = msgspec.json.Encoder().encode


class Counts(NamedTuple):
    """Rows by what became of them; the four make up all."""

    accepted: int
    unchanged: int
    quarantined: int
    rejected: int

    def __add__(self, other: "Counts") -> "Counts":  # type: ignore[override]
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))


@dataclass
class Page:
    """A page while it is worked on. `heads`: the last event of each key's present period; `said`: row → its
    events, `shaped`: as it was read."""

    setup: Setup
    run: int
    now: datetime
    known: dict[bytes, KnownRow]
    heads: dict[bytes, Pushed]
    saved: dict[bytes, KnownRow] = field(default_factory=dict)
    said: dict[int, list[Pushed]] = field(default_factory=dict)
    shaped: dict[int, Shaped] = field(default_factory=dict)
    refused: dict[int, tuple[Shaped, Sequence[Fault]]] = field(default_factory=dict)
    refusals: list[Rejected] = field(default_factory=list)


async def tell_page(tx: Tx, layout: Layout, run: int, lines: Sequence[Line], now: datetime) -> Counts:
    """Record what these rows say anew. One call is a fixed number of statements."""
    setup = layout.setup
    known = await store.lock_rows(tx, setup.feed.feed, {line.key for line in lines})
    fresh = [line for line in lines if line.key not in known or known[line.key].raw != line.raw]
    heads = await _load_heads(tx, setup, {line.key: known[line.key].seen for line in fresh if line.key in known})
    page = Page(setup, run, now, known, heads)
    repeated = _repeated(setup, lines)
    for line in lines:
        if line.key in page.saved or line.key not in known or known[line.key].raw != line.raw:
            _look(page, layout, line, line.key in repeated)
        elif _is_newer(known[line.key].seen, mark := mark_of(layout, line)):
            seen = known[line.key].seen._replace(mark=mark)
            page.saved[line.key] = known[line.key]._replace(seen=seen)
    await record_rejections(tx, page.refusals, now)
    receipts = await _record(tx, page)
    return await _save(tx, page, lines, receipts)


async def refuse_lines(tx: Tx, layout: Layout, run: int, lines: Sequence[Line], now: datetime) -> Counts:
    """Rows that broke us: refused, and looked at again whenever they are read."""
    known = await store.lock_rows(tx, layout.setup.feed.feed, {line.key for line in lines})
    page = Page(layout.setup, run, now, known, {})
    for line in lines:
        sender = Sender(layout.setup.feed.source, layout.setup.feed.source, now)
        row, faults = bounded(line.number, line.cells), [fault("", "internal")]
        page.refused[line.number] = (Shaped(row, 0, refused(row, sender, faults), {}), faults)
    return await _save(tx, page, lines, {})


async def end_missing(tx: Tx, setup: Setup, run: int, known: dict[bytes, KnownRow], now: datetime) -> int:
    """Say the end of rows that a full load no longer has; returns how many said something."""
    heads = await _load_heads(tx, setup, {key: row.seen for key, row in known.items()})
    page = Page(setup, run, now, known, heads)
    for number, (key, row) in enumerate(known.items()):
        deeds, after = decide_missing(row.seen, now, setup.ways)
        events = [_event(page, key, deed, None, after.at) for deed in deeds]
        page.said[number] = [event for event in events if isinstance(event, Pushed)]
        page.refusals += [event for event in events if isinstance(event, Rejected)]
        page.saved[key] = KnownRow(after._replace(life="ended") if after.life == "alive" else after, b"")
    await record_rejections(tx, page.refusals, now)
    await _record(tx, page)
    await store.save_rows(tx, setup.feed.feed, run, page.saved.items())
    return sum(1 for events in page.said.values() if events)


async def _load_heads(tx: Tx, setup: Setup, seen: dict[bytes, Seen]) -> dict[bytes, Pushed]:
    ids = {_event_id(setup, key, s.head): key for key, s in seen.items() if s.head}
    return {
        ids[event_id]: reopen(vault().open(sealed, event_id.encode()))
        for event_id, sealed in (await load_sealed(tx.sql, ids)).items()
    }


def _repeated(setup: Setup, lines: Sequence[Line]) -> set[bytes]:
    """Keys that several rows of one table claim, each saying something else. A log of changes may, a table may not."""
    if setup.feed.mode != "full":
        return set()
    first: dict[bytes, bytes] = {}
    return {line.key for line in lines if first.setdefault(line.key, line.raw) != line.raw}


def _is_newer(seen: Seen, mark: tuple[Any, ...] | None) -> bool:
    try:
        return mark is not None and (seen.mark is None or mark > seen.mark)
    except TypeError:
        return True


# ── one row ─────────────────────────────────────────────────────────────────────────────────────────────────


def _look(page: Page, layout: Layout, line: Line, is_repeated: bool) -> None:
    shaped, change = read_line(layout, line, page.now)
    if is_repeated:
        page.refused[line.number] = (shaped, [fault("", "key_repeated")])
        return
    if change is None:
        assert isinstance(shaped.read, Rejected)
        page.refused[line.number] = (shaped, shaped.read.faults)
        page.refusals.append(shaped.read)
        return
    before = page.saved.get(line.key) or page.known.get(line.key)
    deeds, after = decide_row(before.seen if before else None, change, page.setup.ways)
    own = shaped.read if isinstance(shaped.read, Pushed) else None
    events: list[Pushed] = []
    for deed in deeds:
        event = _event(page, line.key, deed, own, after.at)
        if isinstance(event, Rejected):
            page.refused[line.number] = (shaped, event.faults)
            page.refusals.append(event)
            return
        events.append(event)
    if deeds:
        page.heads[line.key] = events[-1]
    page.said[line.number], page.shaped[line.number] = events, shaped
    stays = before is not None and is_late(before.seen, change)
    page.saved[line.key] = KnownRow(after, before.raw if before and stays else line.raw)


def _event(page: Page, key: bytes, deed: Deed, own: Pushed | None, at: datetime) -> Pushed | Rejected:
    """A deed as an event, read like every other."""
    head, urn = page.heads.get(key), page.setup.feed.source
    about = head if deed.of_old and head is not None else own
    data: dict[str, Any] = {"action": deed.action, "valid_from": deed.valid_from, "valid_to": deed.valid_to}
    if deed.follows is not None:
        data["previous_event_id"] = _source_id(page.setup, key, deed.follows)
    person = {"id_number": about.person.number} if about is not None else {"id_number": ""}
    if deed.action not in WITHOUT_VALUE and own is not None:
        person |= {"name": own.name} if own.name is not None else {}
        data["value"] = own.value
    event = {
        "specversion": "1.0",
        "id": _source_id(page.setup, key, deed.version),
        "source": urn,
        "type": f"cn.eldercare.population.{page.setup.feed.kind}.v1",
        "time": at.isoformat(),
        "data": data | {"person": person},
    }
    return read_event(_encode(event), page.now, only_source=urn)


def _source_id(setup: Setup, key: bytes, version: int) -> str:
    """Grows with the version, since events of one chain and one time are ordered by their ids."""
    return f"table-{key.hex()}-{version:06d}"


def _event_id(setup: Setup, key: bytes, version: int) -> str:
    return vault().event_id(setup.feed.source, _source_id(setup, key, version))


# ── record and remember ─────────────────────────────────────────────────────────────────────────────────────


async def _record(tx: Tx, page: Page) -> dict[int, list[Receipt]]:
    events = [(number, event) for number, said in page.said.items() for event in said]
    receipts = await record(tx, [event for _, event in events], page.now)
    found: dict[int, list[Receipt]] = {}
    for (number, _), receipt in zip(events, receipts, strict=True):
        found.setdefault(number, []).append(receipt)
    return found


async def _save(tx: Tx, page: Page, lines: Sequence[Line], receipts: dict[int, list[Receipt]]) -> Counts:
    feed, counts = page.setup.feed.feed, Counter[str]()
    rejects: dict[bytes, tuple[str, bytes, int, datetime, bytes, bytes]] = {}
    for line in lines:
        status = _status(receipts.get(line.number, ()))
        if status == "rejected":  # by the core: remembered, and looked at again whenever it is read
            faults = [f for receipt in receipts[line.number] for f in receipt.problems]
            page.refused[line.number] = (page.shaped[line.number], faults)
            page.saved[line.key] = page.saved[line.key]._replace(raw=b"")
        if line.number in page.refused:
            status = "rejected"
            problems, sealed = keep(*page.refused[line.number], f"feed/{feed}/{line.key.hex()}")
            rejects[line.key] = (feed, line.key, page.run, page.now, problems, sealed)
        else:
            rejects.pop(line.key, None)
        counts[status] += 1
    await store.save_rejects(tx, rejects.values())
    await store.delete_rejects(tx, feed, {line.key for line in lines} - set(rejects))
    await store.save_rows(tx, feed, page.run, page.saved.items())
    await _touch(tx, page, lines)
    return Counts(*(counts[status] for status in Counts._fields))


async def _touch(tx: Tx, page: Page, lines: Sequence[Line]) -> None:
    if page.setup.feed.mode == "full":
        there: Collection[bytes] = {line.key for line in lines if line.key in page.known} - set(page.saved)
        await store.touch_rows(tx, page.setup.feed.feed, page.run, there)


def _status(receipts: Sequence[Receipt]) -> str:
    found = {receipt.status for receipt in receipts}
    return next((s for s in ("rejected", "quarantined", "accepted") if s in found), "unchanged")
