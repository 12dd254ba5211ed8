"""Arguments that several commands share."""

import argparse
import ast
from collections.abc import Sequence
from typing import Any


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
