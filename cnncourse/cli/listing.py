"""``datasets`` lists the data sets or measures one; and tables of text for whatever is listed."""

import argparse
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from cnncourse.cli.options import add_command, add_data_root, add_json

WIDTH = 120
"""Columns that a table may take."""
DATASETS_EXAMPLES = """examples:
  cnncourse datasets
  cnncourse datasets digits      its licence, and what is measured on its images
  cnncourse datasets --json      licence, citation and homepage of all, without loading one"""


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    datasets = add_command(
        subparsers,
        "datasets",
        help="list the data sets, or measure one",
        description="List the data sets; with a name load it (downloading it if need be) and measure it.",
        examples=DATASETS_EXAMPLES,
    )
    datasets.add_argument("name", nargs="?", metavar="NAME", help="load this one and measure it")
    add_data_root(datasets)
    add_json(datasets)
    datasets.set_defaults(run=_datasets)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as an aligned table.

    Args:
        rows: at least one, all with the same keys, which become the header.

    Returns:
        One line a row under a header; columns of numbers to the right; what is wider than a screen cut off.
    """
    texts = [{key: _cell(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(key), *(len(row[key]) for row in texts)) for key in rows[0]}
    right = {
        key
        for key in rows[0]
        if isinstance(next((r[key] for r in rows if r[key] is not None), ""), (int, float))
    }
    lines = [{key: key.replace("_", " ") for key in rows[0]}, *texts]
    aligned = (
        "  ".join(
            f"{row[key]:>{widths[key]}}" if key in right else f"{row[key]:<{widths[key]}}" for key in widths
        ).rstrip()
        for row in lines
    )
    return "\n".join(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…" for line in aligned)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def facts(told: Mapping[str, Any]) -> str:
    """Return names and values, one pair a line.

    Args:
        told: at least one.

    Returns:
        Lines of text, the values under each other.
    """
    width = max(map(len, told))
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {_cell(value)}" for name, value in told.items())


def _datasets(arguments: argparse.Namespace) -> int:
    from cnncourse import datasets

    if arguments.name is None:
        rows = [one.as_dict() for one in datasets.CATALOGUE.values()]
        print(
            json.dumps(rows, ensure_ascii=False)
            if arguments.json
            else table([_in_short(row) for row in rows])
        )
        return 0
    entry = datasets.entry(arguments.name)
    if entry.source == "yours":
        raise ValueError(
            f"{entry.name!r} stands for images of your own, so there is nothing to measure yet; train on them with: "
            "cnncourse train folder-finetune --option path=FOLDER"
        )
    parts = {
        split: datasets.statistics(datasets.load(entry.name, split, root=arguments.data_root))
        for split in entry.images
    }
    told = entry.as_dict()
    if arguments.json:
        measured = {split: asdict(part) for split, part in parts.items()}
        print(json.dumps({**told, "measured": measured}, ensure_ascii=False))
        return 0
    print(facts({name: told[name] for name in ("title", "licence", "citation", "homepage")}))
    for split, part in parts.items():
        small, large = (" x ".join(map(str, size)) for size in (part.smallest, part.largest))
        sizes = small if small == large else f"{small} to {large}"
        print(f"\n{split}: {part.count:,} images of {sizes} pixels, {len(part.per_class)} classes")
        print(
            f"  mean {_rounded(part.mean)}; standard deviation {_rounded(part.std)}; SHA-256 {part.sha256[:16]}…"
        )
        counts = ", ".join(f"{name} {count:,}" for name, count in part.per_class.items())
        print(textwrap.fill(counts, WIDTH, initial_indent="  ", subsequent_indent="  "))
    return 0


def _in_short(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "data_set": row["name"],
        **{split: row["images"].get(split) for split in ("train", "val", "test")},
        "classes": len(row["classes"]) or None,
        "side": row["side"],
        "comes": f"download, {row['download_bytes'] / 1e6:,.0f} MB"
        if row["source"] == "download"
        else {"embedded": "installed", "yours": "from you"}.get(row["source"], row["source"]),
        "title": row["title"],
    }


def _rounded(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
