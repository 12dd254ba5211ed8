"""``train`` runs a recipe into a folder; ``evaluate`` measures what came out."""

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
    add_option,
    add_recipe,
    parse_options,
    say,
)

TRAIN_EXAMPLES = """examples:
  cnncourse train lenet-mnist --budget book                     minutes, data that installed packages carry
  cnncourse train resnet-cifar10 --option depth=56 --seed 1     the paper's run, on a GPU
  cnncourse train classifier --option model=resnet20 --option data=patches --set epochs=5
  cnncourse train folder-finetune --option path=photos/         your own photographs, one folder a class
  torchrun --nproc-per-node 2 -m cnncourse train resnet-cifar10 --output runs/two

A run that was stopped or killed goes on when the same command is given again. SIGTERM and Ctrl-C save first.
exit codes: 0 done, 2 a mistake that a message explains, 130 Ctrl-C, 143 SIGTERM"""
EVALUATE_EXAMPLES = """examples:
  cnncourse evaluate runs/lenet-mnist-book-seed-0                                  the test images of its recipe
  cnncourse evaluate runs/lenet-mnist-book-seed-0 --data mnist --option side=32    other images
  cnncourse evaluate runs/lenet-mnist-book-seed-0/checkpoints/step-00000860.safetensors --json"""


def add_parsers(subparsers: Any) -> None:
    """Add the two commands.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    train = add_command(
        subparsers,
        "train",
        help="train a recipe into a folder: checkpoints, history, curves",
        description="Train a recipe once. The folder holds checkpoints, the history and its curves.",
        examples=TRAIN_EXAMPLES,
    )
    add_recipe(train)
    train.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    train.add_argument("--output", type=Path, metavar="FOLDER", help="default: runs/RECIPE-BUDGET-seed-N")
    train.add_argument(
        "--resume", default="auto", metavar="HOW", help="auto, never, or a checkpoint file (default: auto)"
    )
    train.add_argument("--save-every", type=int, metavar="STEPS", help="also save within a pass")
    train.add_argument(
        "--tensorboard", action="store_true", help="write FOLDER/tensorboard (pip install tensorboard)"
    )
    add_data_root(train)
    add_device(train)
    add_json(train)
    train.set_defaults(run=_train)

    evaluate = add_command(
        subparsers,
        "evaluate",
        help="measure a trained network on a data set",
        description="Measure the network of a checkpoint: loss, top-1 and top-5.",
        examples=EVALUATE_EXAMPLES,
    )
    evaluate.add_argument("run_folder", metavar="RUN", help="folder of a run, or a checkpoint file")
    evaluate.add_argument("--data", metavar="NAME", help="default: the test images of the run's recipe")
    evaluate.add_argument(
        "--weights",
        choices=("best", "last"),
        help="of a run's folder: those that did best on the images held out, or the last "
        "(default: the best of a run that held some out)",
    )
    evaluate.add_argument("--split", default="test", help="train, val or test (default: test)")
    add_option(evaluate, "the data set")
    add_data_root(evaluate)
    add_device(evaluate)
    add_json(evaluate)
    evaluate.set_defaults(run=_evaluate)


def _train(arguments: argparse.Namespace) -> int:
    from cnncourse.recipes.training_run import train_into
    from cnncourse.training import Interrupted

    try:
        outcome = train_into(
            arguments.output,
            recipe=arguments.recipe,
            budget=arguments.budget,
            seed=arguments.seed,
            options=parse_options(arguments.option),
            changes=parse_options(arguments.set),
            root=arguments.data_root,
            device=arguments.device,
            resume=arguments.resume,
            save_every=arguments.save_every,
            tensorboard=arguments.tensorboard,
            report=say,
        )
    except Interrupted as stopped:
        print(f"cnncourse: {stopped}; give the same command again to go on", file=sys.stderr)
        return stopped.exit_code
    if outcome is not None:
        _draw(Path(outcome["folder"]))
        print(json.dumps(outcome, ensure_ascii=False) if arguments.json else _told(outcome))
    return 0


def _draw(folder: Path) -> None:
    """Draw the history beside its numbers."""
    from cnncourse import figures
    from cnncourse.training import History

    history = History.from_dict(json.loads((folder / "history.json").read_text(encoding="utf-8")))
    figures.save_history(history, folder / "curves.svg")


def _evaluate(arguments: argparse.Namespace) -> int:
    from cnncourse.recipes.training_run import evaluate_run

    outcome = evaluate_run(
        arguments.run_folder,
        data=arguments.data,
        split=arguments.split,
        options=parse_options(arguments.option),
        root=arguments.data_root,
        device=arguments.device,
        weights=arguments.weights,
    )
    print(json.dumps(outcome, ensure_ascii=False) if arguments.json else _told(outcome))
    return 0


def _told(outcome: dict[str, Any]) -> str:
    """Return what was measured, for people."""
    width = max(map(len, outcome))
    return "\n".join(
        f"{name.replace('_', ' '):<{width}}  {_number(value)}" for name, value in outcome.items()
    )


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
