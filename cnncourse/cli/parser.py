"""Parse the command line and hand over to a command."""

import argparse
import sys
from collections.abc import Sequence

import cnncourse
from cnncourse.cli import benchmarks, doctor, listing, prediction, recording, training

COMMANDS = (training, prediction, listing, recording, benchmarks, doctor)
"""Modules with ``add_parsers(subparsers)``; each parser sets ``run``, from the arguments to an exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; ``None`` takes the process's own.

    Returns:
        0 if all went well, 1 if a comparison or a check failed, 2 after a mistake that a message explains, 130 after
        Ctrl-C, 143 after SIGTERM.
    """
    parser = argparse.ArgumentParser(
        prog="cnncourse", description="A course on deep convolutional networks that checks itself."
    )
    parser.add_argument("--version", action="version", version=f"cnncourse {cnncourse.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parsers(subparsers)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leave:  # argparse has printed its help or its complaint
        return leave.code if isinstance(leave.code, int) else 2
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        print("cnncourse: stopped", file=sys.stderr)
        return 130
    except Exception as mistake:
        if not _is_explained(mistake):
            raise
        print(f"cnncourse: {mistake}", file=sys.stderr)
        return 2


def _is_explained(error: Exception) -> bool:
    """Whether an error speaks to the user: bad values, the file system, and the errors that the library defines."""
    return isinstance(error, (ValueError, OSError)) or type(error).__module__.startswith("cnncourse.")
