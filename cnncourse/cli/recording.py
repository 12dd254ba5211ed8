"""``record`` trains a recipe and writes what came out, ``reproduce`` checks it, ``records`` lists what is written."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from cnncourse.cli.options import (
    add_command,
    add_data_root,
    add_device,
    add_json,
    add_recipe,
    parse_options,
    say,
)

RECORD_EXAMPLES = """examples:
  cnncourse record lenet-mnist
  cnncourse record resnet-cifar10 --option epochs=30 --name resnet20-thirty-passes --checkpoints runs/records

With --checkpoints a record that was stopped goes on when the same command is given again.
exit codes: 0 done, 2 a mistake that a message explains, 130 Ctrl-C, 143 SIGTERM"""
REPRODUCE_EXAMPLES = """examples:
  cnncourse reproduce lenet-mnist
  cnncourse reproduce lenet-mnist --seeds 7           a new seed must agree too
  cnncourse reproduce my-run --records my-results --json

exit codes: 0 all results agree, 1 one differs, 2 a mistake that a message explains, 130 Ctrl-C"""


def add_parsers(subparsers: Any) -> None:
    """Add the three commands.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    record = add_command(
        subparsers,
        "record",
        help="train a recipe and write data/results/NAME.json",
        description="Train a recipe once for each seed and write what it measured, with its provenance.",
        examples=RECORD_EXAMPLES,
    )
    add_recipe(record)
    record.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="N", help="default: 0 1 2")
    record.add_argument("--name", metavar="NAME", help="of the record (default: the recipe's)")
    record.add_argument("--checkpoints", type=Path, metavar="FOLDER", help="keep the state of each run there")
    record.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to write the record (default: data/results of the course)",
    )
    add_data_root(record)
    add_device(record)
    add_json(record)
    record.set_defaults(run=_record)

    reproduce = add_command(
        subparsers,
        "reproduce",
        help="run a record's recipe again and compare",
        description="Run the recipe of a record again, as recorded, and compare the results within the band that\n"
        "the spread over seeds explains: three standard errors.",
        examples=REPRODUCE_EXAMPLES,
    )
    reproduce.add_argument("name", metavar="NAME", help="of the record")
    reproduce.add_argument("--seeds", type=int, nargs="+", metavar="N", help="default: those of the record")
    reproduce.add_argument(
        "--records", type=Path, metavar="FOLDER", help="default: data/results of the course"
    )
    add_data_root(reproduce)
    add_device(reproduce)
    add_json(reproduce)
    reproduce.set_defaults(run=_reproduce)

    listing = add_command(
        subparsers,
        "records",
        help="list the recorded runs",
        description="List the recorded runs and their results.",
        examples="examples:\n  cnncourse records\n  cnncourse records --json",
    )
    add_json(listing)
    listing.set_defaults(run=_records)


def _record(arguments: argparse.Namespace) -> int:
    from cnncourse import records
    from cnncourse.recipes.recording import make_record
    from cnncourse.training import Interrupted, TrainingError

    if arguments.budget != "full" and arguments.output is None:
        raise ValueError(
            f"the course's own records are full runs, so budget {arguments.budget!r} needs --output FOLDER"
        )
    try:
        record = make_record(
            arguments.recipe,
            budget=arguments.budget,
            seeds=arguments.seeds,
            label=arguments.name,
            root=arguments.data_root,
            device=arguments.device,
            options=parse_options(arguments.option),
            changes=parse_options(arguments.set),
            checkpoints=arguments.checkpoints,
            report=say,
        )
    except TrainingError as error:
        raise ValueError(f"{arguments.recipe}: {error}") from error
    except Interrupted as stopped:
        print(f"cnncourse: {stopped}; give the same command again to go on", file=sys.stderr)
        return stopped.exit_code
    path = records.save(record, arguments.output)
    print(
        json.dumps(record.to_dict(), ensure_ascii=False)
        if arguments.json
        else f"{record}\n\nwritten to {path}"
    )
    return 0


def _reproduce(arguments: argparse.Namespace) -> int:
    from cnncourse import records
    from cnncourse.recipes.recording import make_record
    from cnncourse.records.comparison import compare
    from cnncourse.training import TrainingError

    record = records.load(arguments.name, arguments.records)
    try:
        rerun = make_record(
            record.recipe.rsplit(".", 1)[1],
            budget=record.budget,
            seeds=arguments.seeds or record.seeds,
            root=arguments.data_root,
            device=arguments.device,
            options=record.settings.get("options"),
            changes=record.settings.get("set"),
            report=say,
        )
    except TrainingError as error:
        raise ValueError(f"{arguments.name}: {error}") from error
    comparisons = compare(record, rerun)
    if arguments.json:
        print(json.dumps([{**vars(one), "agrees": one.agrees} for one in comparisons]))
    else:
        print("\n".join(map(str, comparisons)))
    return 0 if all(one.agrees for one in comparisons) else 1


def _records(arguments: argparse.Namespace) -> int:
    from cnncourse import records

    found = [records.load(name) for name in records.available()]
    if arguments.json:
        print(json.dumps([record.to_dict() for record in found], ensure_ascii=False))
    else:
        print("\n\n".join(map(str, found)) or "nothing is recorded yet; `cnncourse record NAME` does it")
    return 0
