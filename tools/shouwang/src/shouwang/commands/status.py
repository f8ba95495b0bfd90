"""`shouwang status`: every process with its state, port and pid."""

import argparse
from collections.abc import Sequence

from shouwang.runtime import lifecycle, machine


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0 if all processes are ready, else 1."""
    argparse.ArgumentParser(prog="shouwang status", description=__doc__).parse_args(arguments)
    return 0 if lifecycle.status(machine.local_runtime()) else 1
