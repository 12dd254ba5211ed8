"""Parse the command line and hand over to a command."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import cnncourse
from cnncourse.cli import benchmarks, doctor, listing, networks, prediction, recording, training

COMMANDS = (training, prediction, networks, listing, recording, benchmarks, doctor)
"""Modules with ``add_parsers(subparsers)``; each parser sets ``run``, from the arguments to an exit code."""
EXAMPLES = """examples:
  cnncourse train lenet-mnist --budget smoke --output first     seconds, no download
  cnncourse evaluate first
  cnncourse predict cat.jpg
  cnncourse COMMAND --help                                      more of each command

exit codes: 0 done, 1 a comparison or a check failed, 2 a mistake that a message explains, 130 Ctrl-C, 143 SIGTERM"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Returns:
        It knows every command, and has imported nothing that is slow.
    """
    parser = argparse.ArgumentParser(
        prog="cnncourse",
        description="A course on deep convolutional networks that checks itself.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cnncourse {cnncourse.__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parsers(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name; ``None`` takes the process's own.

    Returns:
        0 if all went well, 1 if a comparison or a check failed, 2 after a mistake that a message explains, 130 after
        Ctrl-C, 143 after SIGTERM, 141 if the reader of the output went away.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as leave:  # argparse has printed its help or its complaint
        return leave.code if isinstance(leave.code, int) else 2
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn
            code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print("cnncourse: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # such as: cnncourse models | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains when it ends
        return 141
    except Exception as mistake:
        if not _is_explained(mistake):
            raise
        remedy = (
            "; `cnncourse doctor` looks for what is missing" if type(mistake) is ModuleNotFoundError else ""
        )
        print(f"cnncourse: {mistake}{remedy}", file=sys.stderr)
        return 2


def _is_explained(error: Exception) -> bool:
    """Whether an error speaks to the user: bad values, files, missing packages, and errors that the library defines."""
    explained = isinstance(error, (ValueError, OSError, ImportError))
    return explained or type(error).__module__.startswith("cnncourse.")


def _warn(message: Warning | str, *_where: Any, **_more: Any) -> None:
    """Show a warning to somebody who does not care which line of which file gave it."""
    print(f"cnncourse: warning: {message}", file=sys.stderr, flush=True)
