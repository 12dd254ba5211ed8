"""``models`` and ``datasets`` list what there is."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from cnncourse.cli.options import add_data_root, add_json


def add_parsers(subparsers: Any) -> None:
    """Add the two commands.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    models = subparsers.add_parser(
        "models",
        help="list the networks",
        description="List the networks: parameters and multiply-adds as counted here and as their papers print them.",
    )
    models.add_argument("name", nargs="?", help="tell more of one network")
    add_json(models)
    models.set_defaults(run=_models)
    datasets = subparsers.add_parser(
        "datasets",
        help="list the data sets, or measure one",
        description="List the data sets; with a name load it (downloading it if need be) and print what is measured.",
    )
    datasets.add_argument("name", nargs="?", help="load this one and measure it")
    add_data_root(datasets)
    add_json(datasets)
    datasets.set_defaults(run=_datasets)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as an aligned table.

    Args:
        rows: at least one, all with the same keys, which become the header.

    Returns:
        One line a row under a header; numbers to the right.
    """
    texts = [{key: _cell(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(key), *(len(row[key]) for row in texts)) for key in rows[0]}
    right = {key for key, value in rows[0].items() if isinstance(value, (int, float))}
    lines = [{key: key.replace("_", " ") for key in rows[0]}, *texts]
    aligned = (
        "  ".join(
            f"{row[key]:>{widths[key]}}" if key in right else f"{row[key]:<{widths[key]}}" for key in widths
        )
        for row in lines
    )
    return "\n".join(line.rstrip() for line in aligned)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _models(arguments: argparse.Namespace) -> int:
    from cnncourse.models import CATALOGUE, find

    entries = CATALOGUE if arguments.name is None else (find(arguments.name),)
    rows = [
        {
            "model": entry.name,
            "paper": " ".join(part for part in (entry.paper, entry.where) if part),
            "parameters": entry.parameters,
            "multiply_adds": entry.multiply_adds,
            "side": entry.side,
            "classes": entry.num_classes,
            "weights": "–" if entry.weights is None else entry.weights.data,
        }
        for entry in entries
    ]
    print(json.dumps(rows) if arguments.json else table(rows))
    return 0


def _datasets(arguments: argparse.Namespace) -> int:
    from cnncourse import datasets

    if arguments.name is None:
        rows = [one.as_dict() for one in datasets.CATALOGUE.values()]
        print(json.dumps(rows) if arguments.json else table([_in_short(row) for row in rows]))
        return 0
    entry = datasets.entry(arguments.name)
    if entry.source == "yours":
        raise ValueError(
            f"{entry.name!r} stands for images of your own; give their folder to the recipe folder-finetune"
        )
    parts = {
        split: datasets.statistics(datasets.load(entry.name, split, root=arguments.data_root))
        for split in entry.images
    }
    told = {**entry.as_dict(), "measured": {split: asdict(part) for split, part in parts.items()}}
    if arguments.json:
        print(json.dumps(told))
        return 0
    print("\n".join(f"{name}: {told[name]}" for name in ("title", "licence", "citation", "homepage")))
    for split, part in parts.items():
        print(
            f"\n{split}: {part.count:,} images, {part.smallest} to {part.largest} pixels, {len(part.per_class)} classes"
        )
        print(
            f"  mean {_rounded(part.mean)}, standard deviation {_rounded(part.std)}, SHA-256 {part.sha256[:16]}…"
        )
        print("  " + ", ".join(f"{name} {count:,}" for name, count in part.per_class.items()))
    return 0


def _in_short(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "data_set": row["name"],
        "title": row["title"],
        "images": " + ".join(f"{count:,} {split}" for split, count in row["images"].items()) or "any",
        "classes": len(row["classes"]) or "any",
        "side": row["side"] or "any",
        "comes": f"download, {row['download_bytes'] / 1e6:,.0f} MB"
        if row["source"] == "download"
        else row["source"],
        "licence": row["licence"],
    }


def _rounded(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
