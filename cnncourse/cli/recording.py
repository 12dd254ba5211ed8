"""``record`` trains a recipe and writes what came out; ``records`` lists what is written."""

import argparse
import importlib
import json
import sys
from pathlib import Path
from typing import Any

from cnncourse import records
from cnncourse.recipes import RECIPES


def add_parsers(subparsers: Any) -> None:
    """Add the two commands.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    record = subparsers.add_parser(
        "record",
        help="train a recipe and write data/results/NAME.json",
        description="Train a recipe once for each seed and write what it measured, with its provenance.",
    )
    record.add_argument("name", metavar="NAME", help=f"one of: {', '.join(RECIPES)}")
    record.add_argument(
        "--budget",
        choices=("smoke", "book", "full"),
        default="full",
        help="scale of data and training (default: full)",
    )
    record.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    record.add_argument(
        "--data-root",
        metavar="FOLDER",
        help="folder with the data sets (default: $CNNCOURSE_HOME or the cache)",
    )
    record.add_argument("--device", default="auto", help="auto, cpu, cuda or mps (default: auto)")
    record.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to write the record (default: data/results of the course)",
    )
    record.add_argument("--json", action="store_true", help="print the record as JSON")
    record.set_defaults(run=_record)
    listing = subparsers.add_parser(
        "records", help="list the recorded runs", description="List the recorded runs and their results."
    )
    listing.add_argument("--json", action="store_true", help="print the records as JSON")
    listing.set_defaults(run=_records)


def _record(arguments: argparse.Namespace) -> int:
    if arguments.name not in RECIPES:
        raise ValueError(f"there is no recipe {arguments.name!r}; choose one of {', '.join(RECIPES)}")
    if arguments.budget != "full" and arguments.output is None:
        raise ValueError(
            f"the course's own records are full runs, so budget {arguments.budget!r} needs --output FOLDER"
        )
    recipe = importlib.import_module(RECIPES[arguments.name])
    from cnncourse.training import TrainingError

    try:
        record = recipe.run(
            arguments.budget,
            seeds=arguments.seeds,
            root=arguments.data_root,
            device=arguments.device,
            report=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except TrainingError as error:
        raise ValueError(f"{arguments.name}: {error}") from error
    path = records.save(record, arguments.output)
    print(
        json.dumps(record.to_dict(), ensure_ascii=False)
        if arguments.json
        else f"{record}\n\nwritten to {path}"
    )
    return 0


def _records(arguments: argparse.Namespace) -> int:
    found = [records.load(name) for name in records.available()]
    if arguments.json:
        print(json.dumps([record.to_dict() for record in found], ensure_ascii=False))
    else:
        print("\n\n".join(map(str, found)) or "nothing is recorded yet; `cnncourse record NAME` does it")
    return 0
