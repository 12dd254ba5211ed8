"""Arguments that several commands share."""

import argparse
import ast
import sys
from collections.abc import Sequence
from typing import Any

from cnncourse.recipes import RECIPES


def add_command(subparsers: Any, name: str, *, help: str, description: str, examples: str) -> Any:
    """Add a command whose help ends in examples.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
        name: of the command.
        help: for the list of commands.
        description: for the command's own help.
        examples: lines of them.

    Returns:
        The parser of the command.
    """
    return subparsers.add_parser(
        name,
        help=help,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the name of a recipe, ``--budget``, ``--option`` and ``--set``.

    Args:
        parser: of a command.
    """
    parser.add_argument("recipe", metavar="RECIPE", help=f"one of: {', '.join(RECIPES)}")
    parser.add_argument(
        "--budget",
        choices=("smoke", "book", "full"),
        default="full",
        help="scale of data and training: seconds, minutes, or what the paper did (default: full)",
    )
    add_option(parser, "the recipe")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="a field of TrainConfig; may be repeated",
    )


def add_option(parser: argparse.ArgumentParser, of: str) -> None:
    """Add ``--option``.

    Args:
        parser: of a command.
        of: what takes the options.
    """
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"an option of {of}; may be repeated",
    )


def add_data_root(parser: argparse.ArgumentParser) -> None:
    """Add ``--data-root``.

    Args:
        parser: of a command.
    """
    parser.add_argument(
        "--data-root",
        metavar="FOLDER",
        help="folder with the data sets (default: $CNNCOURSE_HOME or the cache)",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``.

    Args:
        parser: of a command.
    """
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 or mps (default: auto)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``.

    Args:
        parser: of a command.
    """
    parser.add_argument("--json", action="store_true", help="print JSON for programs")


def say(line: str) -> None:
    """Show progress where it does not mix with results, above a bar if there is one.

    Args:
        line: text without a line break.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


def parse_options(pairs: Sequence[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` arguments into a dictionary.

    Args:
        pairs: values are read as Python literals (``3``, ``0.1``, ``None``, ``(0.5,0.75)``), else as text; ``true``
            and ``false`` may be written small.

    Returns:
        Values by name; ``-`` in a name becomes ``_``.

    Raises:
        ValueError: if there is no ``=``, or a name comes twice.
    """
    options: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise ValueError(f"options are written NAME=VALUE, such as epochs=5, got {pair!r}")
        if name in options:
            raise ValueError(f"{name} is given twice")
        options[name] = _value(text.strip())
    return options


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
