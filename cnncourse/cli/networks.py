"""``models`` lists the networks, what they cost and how good they are."""

import argparse
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cnncourse.cli.listing import facts, table
from cnncourse.cli.options import add_command, add_json

if TYPE_CHECKING:
    from cnncourse.models.entry import Entry
    from cnncourse.models.zoo import ZooRow

EXAMPLES = """examples:
  cnncourse models
  cnncourse models resnet50      what its paper prints, where its weights are from
  cnncourse models --json        every number in full"""
LEGEND = """
params M, ops M: millions of parameters, and of multiply-adds for one image of that side
MiB, kept MiB: weights in float32, and what training keeps of one image's forward pass
field: pixels along one side that a unit of the last map can see; all: the whole image; -: no maps
paper %: 100 less the top-1 error that the paper prints, on ImageNet (1,000 classes), CIFAR-10 or MNIST
stated %: top-1 of the public weights on ImageNet, by their authors
recorded %: the best top-1 recorded here, of trained networks or public weights; cnncourse models NAME says on which
images, such as photographs that the weights were trained on"""


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    models = add_command(
        subparsers,
        "models",
        help="list the networks",
        description="List the networks: parameters, operations, memory, receptive field, accuracy, public weights.",
        examples=EXAMPLES,
    )
    models.add_argument("name", nargs="?", metavar="NAME", help="tell more of one network")
    add_json(models)
    models.set_defaults(run=_models)


def _models(arguments: argparse.Namespace) -> int:
    from cnncourse.models import find
    from cnncourse.models.zoo import zoo

    if arguments.name is None:
        rows = zoo()
        if arguments.json:
            print(json.dumps([_as_data(row) for row in rows]))
        else:
            print(f"{table([_in_short(row) for row in rows])}\n{LEGEND}")
        return 0
    entry = find(arguments.name)
    (row,) = zoo([entry.name])
    told = {**_as_data(row), **_as_printed(entry)}
    if arguments.json:
        public = None if entry.weights is None else {"from": entry.weights.source, "licence": row.licence}
        print(json.dumps([{**told, "public_weights": public}]))
    else:
        print(facts(_in_words(row, told, entry)))
    return 0


def _as_printed(entry: "Entry") -> dict[str, float | None]:
    """Return the counts of the paper."""
    return {
        f"{what}_as_printed": None if number is None else number.value
        for what, number in (
            ("parameters", entry.printed_parameters),
            ("multiply_adds", entry.printed_operations),
        )
    }


def _as_data(row: "ZooRow") -> dict[str, Any]:
    """Return everything under the names of the table."""
    plain = row.to_dict()
    paper = " ".join(part for part in (plain.pop("paper"), plain.pop("where")) if part)
    named = {"model": plain.pop("name"), "paper": paper, "classes": plain.pop("num_classes"), **plain}
    if row.public_accuracy is not None:
        named["public_accuracy"] = dict(zip(("top1", "top5"), row.public_accuracy, strict=True))
    return named


def _in_short(row: "ZooRow") -> dict[str, Any]:
    best = max((one.mean for one in row.recorded), default=None)
    return {
        "model": row.name,
        "params_M": row.parameters / 1e6,
        "ops_M": row.multiply_adds / 1e6,
        "side": row.side,
        "classes": row.num_classes,
        "MiB": row.weight_bytes / 2**20,
        "kept_MiB": row.activation_bytes / 2**20,
        "field": "all" if row.sees_everything else row.receptive_field,
        "paper_%": row.printed_accuracy,
        "stated_%": None if row.public_accuracy is None else row.public_accuracy[0],
        "recorded_%": best,
        "weights": row.weights,
    }


def _memory(count: int) -> str:
    """Return bytes in a unit in which they are at least one."""
    size, unit = (count / 2**20, "MiB") if count >= 2**20 else (count / 2**10, "KiB")
    return f"{size:,.1f} {unit}"


def _in_words(row: "ZooRow", told: Mapping[str, Any], entry: "Entry") -> dict[str, Any]:
    """Return what is told of one network, each fact in words."""
    error, public = row.printed_error, row.public_accuracy
    plain = {key: told[key] for key in ("model", "paper", "parameters", "multiply_adds", "side", "classes")}
    plain |= {key: None if value is None else f"{value:,.0f}" for key, value in _as_printed(entry).items()}
    plain["weights in float32"] = _memory(row.weight_bytes)
    plain["kept of an image"] = _memory(row.activation_bytes)
    field = "the whole image" if row.sees_everything else row.receptive_field
    plain["receptive field"] = f"{field:,} pixels" if isinstance(field, int) else field
    if error is None:
        plain["error as printed"] = None
    else:
        sizes = [f"top-{k} {e:g} %" for k, e in ((1, error.top1), (5, error.top5)) if e is not None]
        plain["error as printed"] = f"{', '.join(sizes)} on {error.data}" + f" ({error.where})" * bool(
            error.where
        )
    stated = None if public is None else f"top-1 {public[0]:g} %, top-5 {public[1]:g} %"
    plain["accuracy as stated"] = stated
    for one in row.recorded:
        spread = f" ± {one.sd:.2f} over {one.seeds} seeds" if one.seeds > 1 else ""
        plain[f"recorded on {one.data}"] = f"{one.mean:.2f} %{spread} ({one.record})"
    plain["weights"] = row.weights
    if entry.weights is not None:
        plain |= {"weights from": entry.weights.source, "weights licence": entry.weights.licence}
    return plain
