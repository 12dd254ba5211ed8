"""``python -m cnncourse.book``: keep the book fresh, and build it."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from cnncourse.book.execute import NotebookError

COMMANDS = ("refresh", "build", "weigh", "retarget", "gpu_timing", "seeds")
"""Modules of this package with ``add_parsers(subparsers)``; each parser sets ``run``, from arguments to exit code."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; ``None`` takes the process's own.

    Returns:
        0 if all went well, 1 if the book has a fault, 2 after a mistake in the call, 130 after Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cnncourse.book",
        description="Keep the book fresh, and build it. Run inside a checkout of the course.",
    )
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"cnncourse.book.{name}").add_parsers(subparsers)
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as leave:  # argparse has printed its help or its complaint
        return leave.code if isinstance(leave.code, int) else 2
    try:
        return int(arguments.run(arguments))
    except NotebookError as fault:
        print(f"cnncourse.book: {fault}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as mistake:
        print(f"cnncourse.book: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("cnncourse.book: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
