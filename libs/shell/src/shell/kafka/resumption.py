"""Compute the effect of an operator's decision on where a consumer continues, and store the decision."""

from typing import Final, Literal, NamedTuple

import asyncpg

from shell.kafka.positions import Log, Stored, decide_stop
from shell.store.transaction import Tx

HARMLESS: Final = "A record that was handled before is recognised by its event id or version and has no second effect."


class Place(NamedTuple):
    """One partition as one consumer reads it."""

    consumer: str
    topic: str
    part: int


class Range(NamedTuple):
    """Offsets, both ends included."""

    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.first} to {self.last} ({self.last - self.first + 1:,})"


class Resume(NamedTuple):
    """The effect of a resume: the consumer continues at `to_offset`. `row`: the stored position before. `is_new_log`:
    the topic was deleted and created again. `again`: handled offsets that are read once more. `skipped`: offsets that
    are never handled. `lost`: offsets that the broker deleted unread. A range of a compacted topic may hold fewer
    records than offsets."""

    place: Place
    row: Stored
    log: Log
    to_offset: int
    is_new_log: bool
    again: Range | None
    skipped: Range | None
    lost: Range | None

    def effects(self) -> list[str]:
        """Return the effects as sentences for the operator."""
        at = f"{self.place.topic}[{self.place.part}]"
        found = [f"{self.place.consumer} reads {at} on at offset {self.to_offset}."]
        held = _range(self.log.start, self.log.end)
        found.append(f"The log holds the offsets {held}." if held else "The log holds no record.")
        if self.is_new_log:
            found.append("It is not the log that was read: the topic was deleted and made again.")
        if self.lost:
            found.append(
                f"The records {self.lost} were deleted unread. No command brings them back: "
                "the sources must send them again."
            )
        if self.again:
            found.append(f"The records {self.again} are read again. {HARMLESS}")
        if self.skipped:
            found.append(f"The records {self.skipped} are skipped: {self.place.consumer} never handles them.")
        waiting = _range(self.to_offset, self.log.end)
        found.append(f"The records {waiting} are read next." if waiting else "No record waits there.")
        if waiting and self.is_new_log:
            found.append(HARMLESS)
        return found


def _range(first: int, end: int) -> Range | None:
    return Range(first, end - 1) if first < end else None


def decide_resume(
    place: Place, row: Stored, log_: Log, to: Literal["beginning", "end"] | int, *, compacted: bool
) -> Resume:
    """Return the effect of a resume at `to`, without any change. Raises ValueError if the log has no such offset."""
    to_offset = log_.start if to == "beginning" else log_.end if to == "end" else to
    if not log_.start <= to_offset <= log_.end:
        raise ValueError(f"{place.topic}[{place.part}] can be read from offset {log_.start} to its end at {log_.end}")
    stop = decide_stop(row.next_offset, log_, compacted=compacted)
    is_new_log = "recreated" in (row.stopped, stop.code if stop else None)
    next_offset = log_.start if row.next_offset is None or is_new_log else row.next_offset
    return Resume(
        place=place,
        row=row,
        log=log_,
        to_offset=to_offset,
        is_new_log=is_new_log,
        again=_range(to_offset, next_offset),
        skipped=_range(max(next_offset, log_.start), to_offset),
        lost=None if compacted else _range(next_offset, log_.start),
    )


async def load_stored(connection: asyncpg.Connection, place: Place) -> Stored | None:
    """The stored position. None: the consumer has never owned the partition."""
    row = await connection.fetchrow(
        """SELECT next_offset, epoch, record_ms, stopped, stopped_why FROM consumer_offsets
           WHERE consumer = $1 AND topic = $2 AND part = $3""",
        *place,
    )
    return Stored(*row) if row is not None else None


async def save_resume(tx: Tx, resume: Resume, resumed_by: str) -> bool:
    """Move the stored position and record the operator; return True. A running consumer sees the change within seconds,
    and its batch in progress raises Fenced. Returns False, without any change, if the position has moved since `resume`
    was decided."""
    moved = await tx.sql.fetchval(
        """UPDATE consumer_offsets
           SET next_offset = $4, record_ms = NULL, epoch = epoch + 1, moved_at = now(),
               stopped = NULL, stopped_why = NULL, stopped_at = NULL
           WHERE consumer = $1 AND topic = $2 AND part = $3
             AND next_offset IS NOT DISTINCT FROM $5 AND stopped IS NOT DISTINCT FROM $6 RETURNING 1""",
        *resume.place,
        resume.to_offset,
        resume.row.next_offset,
        resume.row.stopped,
    )
    if moved is None:
        return False
    await tx.sql.execute(
        """INSERT INTO offset_resumes (consumer, topic, part, from_offset, to_offset, log_start, log_end,
             skipped_from, skipped_to, stopped, stopped_why, resumed_by)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        *resume.place,
        resume.row.next_offset,
        resume.to_offset,
        *resume.log,
        *(resume.skipped or (None, None)),
        resume.row.stopped,
        resume.row.stopped_why,
        resumed_by,
    )
    return True
