"""`shouwang synth`: write a synthetic county and months of change, one event per line."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import IO

import msgspec
from common import calendar
from common.codes import divisions
from shell import clock

from synth.cloud_events import Event
from synth.county import County
from synth.delivery import Faults
from synth.identity import Numbers
from synth.population import county
from synth.stream import stream

PEOPLE_MAX = 20_000_000
MONTHS_MAX = 240
# A county without months of change is made block by block, so that memory stays small.
BLOCK = 50_000
PROGRESS_EVERY_SECONDS = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file (`-`: standard output), and progress to standard error. Returns 0, or 2 for a wrong argument."""
    args = _arguments().parse_args(argv)
    today = args.today or _early_enough(args.months)
    if fault := _fault(args, today):
        return _complain(fault)
    if args.out != "-":
        return _write_file(Path(args.out), _events(args, today))
    _write(sys.stdout.buffer, _events(args, today))
    return 0


def _early_enough(months: int) -> date:
    """Return a day of the initial load so early that no event of these months is in the future."""
    return calendar.add_months(clock.today(), -months - 6 if months else 0)


def _fault(args: argparse.Namespace, today: date) -> str | None:
    """Return a message about a wrong argument; None if all are right."""
    unknown = [code for code in args.division if not divisions.known(code, today)]
    if unknown:
        return f"no division in force on {today}: {', '.join(unknown)}"
    if not 1 <= args.people <= PEOPLE_MAX or not 0 <= args.months <= MONTHS_MAX:
        return f"people: 1 to {PEOPLE_MAX}, months: 0 to {MONTHS_MAX}"
    return None


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang synth", description=__doc__)
    parser.add_argument("--people", type=int, required=True, help="how many elders (55 and older)")
    parser.add_argument("--division", action="append", required=True, help="6 or 9 digits; may be repeated")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same file")
    parser.add_argument("--out", required=True, help="NDJSON file, - for standard output")
    parser.add_argument("--months", type=int, default=0, help="months of change after the initial load")
    parser.add_argument(
        "--today", type=date.fromisoformat, help="day of the initial load (default: early enough for the months)"
    )
    parser.add_argument("--clean", action="store_true", help="deliver once, at once and in order")
    return parser


def _events(args: argparse.Namespace, today: date) -> Iterator[Event]:
    for made in _blocks(args, today):
        yield from made.initial_load()
        if args.months:
            faults = Faults.none() if args.clean else Faults()
            yield from (push.event for push in stream(made, args.months, args.seed, faults))


def _blocks(args: argparse.Namespace, today: date) -> Iterator[County]:
    """Yield the county in blocks of people; in one block if months of change follow."""
    block = args.people if args.months else BLOCK
    numbers = Numbers()
    for first in range(0, args.people, block):
        size = min(block, args.people - first)
        yield county(args.seed + first, size, args.division, today, numbers, first)


def _write_file(path: Path, events: Iterable[Event]) -> int:
    try:
        with path.open("wb") as file:
            _write(file, events)
    except OSError as wrong:
        return _complain(f"{path}: {wrong.strerror}")
    return 0


def _write(file: IO[bytes], events: Iterable[Event]) -> None:
    encode = msgspec.json.Encoder().encode
    count, shown = 0, time.monotonic()
    for count, event in enumerate(events, 1):
        file.write(encode(event) + b"\n")
        if count % 1000 == 0 and time.monotonic() - shown >= PROGRESS_EVERY_SECONDS:
            shown = time.monotonic()
            _show_progress(count)
    _show_progress(count, end="\n")


def _show_progress(count: int, end: str = "") -> None:
    sys.stderr.write(f"\r{count:,} events{end}")
    sys.stderr.flush()


def _complain(what: str) -> int:
    sys.stderr.write(f"shouwang synth: {what}\n")
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
