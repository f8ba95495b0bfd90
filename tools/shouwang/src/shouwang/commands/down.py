"""`shouwang down`: stop everything and keep the data."""

import argparse
from collections.abc import Sequence

from shouwang.runtime import lifecycle, machine


def main(arguments: Sequence[str]) -> int:
    """Run the command; returns 0."""
    argparse.ArgumentParser(prog="shouwang down", description=__doc__).parse_args(arguments)
    lifecycle.down(machine.local_runtime())
    return 0
