"""The command line `shouwang`: it loads and runs one command.

Exit codes: 0 success, 1 done with faults, 2 not possible on this machine, 130 interrupted by the user.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from shouwang.runtime.paths import default_home
from shouwang.runtime.problems import LocalProblem

# Each module has `main(arguments) -> int`, which returns the exit code.
COMMANDS = {
    "up": ("shouwang.commands.up", "start everything, or the missing parts"),
    "down": ("shouwang.commands.down", "stop everything and keep the data"),
    "status": ("shouwang.commands.status", "every process with its port; exit 1 if one is not ready"),
    "clock": ("shouwang.commands.clock", "show or move business time"),
    "token": ("shouwang.commands.token", "print a short-lived local token"),
    "send": ("shouwang.commands.send", "push a file of CloudEvents (NDJSON or a JSON array)"),
    "topics": ("shouwang.commands.topics", "create missing topics and list them all"),
    "kafka": ("shouwang.commands.kafka", "the users and grants of Kafka; a password for a source or provider"),
    "logs": ("shouwang.commands.logs", "print the log of a process"),
    "import": ("shouwang.commands.import_file", "send a file of rows or events and show the result"),
    "feeds": ("shouwang.commands.feeds", "list the front-end tables and their state; read one now"),
    "synth": ("synth.cli", "write a synthetic county and its changes to a file"),
    "verify": ("shouwang.commands.verify", "check the invariants over all databases and topics"),
    "policy": ("shouwang.commands.policy", "lint the lists, compare them with higher lists, simulate a change"),
    "parked": ("shouwang.commands.parked", "list, show or replay parked records"),
    "offsets": ("shouwang.commands.offsets", "the positions of the consumers; resume a stopped one"),
    "republish": ("shouwang.commands.republish", "send the newest state of every key of a compacted topic again"),
    "audit": ("shouwang.commands.audit", "check the hash chains of the audit logs"),
    "demo": ("shouwang.commands.demo", "run the stories of the sample county"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    os.environ["SHOUWANG_HOME"] = str(default_home())  # child processes and settings use the same home
    try:
        return _run(words)
    except LocalProblem as problem:
        print(f"shouwang: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of the output, for example `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _run(words: list[str]) -> int:
    """Load the module of the given command and run it; returns its exit code.

    Raises SystemExit without a known command, after it has printed help or an error.
    """
    if not words or words[0] not in COMMANDS:
        parser = _parser()
        parser.parse_args(words)  # prints help or an error, and exits
        parser.error("the command comes first")
    module = importlib.import_module(COMMANDS[words[0]][0])
    code: int = module.main(words[1:])
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shouwang", description="守望 on this machine")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (_, text) in COMMANDS.items():
        commands.add_parser(name, help=text, add_help=False)
    return parser
