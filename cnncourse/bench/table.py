"""Results as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnncourse.bench.ratios import Spread

if TYPE_CHECKING:
    from cnncourse.bench.result import BenchResult, Row

EXTRA_FACTS = {
    "precision": "precision",
    "layout": "layout",
    "loss": "loss after warm-up",
    "agreement": "same answers",
    "timed": "timed",
}
"""Facts that get a column of their own if any contestant reports them, and its heading."""


def as_text(result: "BenchResult") -> str:
    """Return aligned columns, one block a workload.

    Args:
        result: what to show.

    Returns:
        Lines of text.
    """
    parts = [f"{result.benchmark}: {result.description}"]
    for workload, lines in _tables(result).items():
        widths = [max(len(cells[column]) for cells in lines) for column in range(len(lines[0]))]
        rows = ["  ".join(_justified(cells, widths)).rstrip() for cells in lines]
        parts.append("\n".join([f"{workload}: {result.workloads[workload]}", *rows]))
    return "\n\n".join([*parts, "\n".join(_notes(result))])


def as_markdown(result: "BenchResult") -> str:
    """Return tables of Markdown, one a workload.

    Args:
        result: what to show.

    Returns:
        Lines of Markdown.
    """
    parts = [f"### {result.benchmark}: {result.description}"]
    for workload, lines in _tables(result).items():
        head, *body = lines
        rule = ["---", *["---:"] * (len(head) - 1)]
        rows = [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]
        parts.append("\n".join([f"**{workload}**: {result.workloads[workload]}", "", *rows]))
    return "\n\n".join([*parts, "\n".join(f"- {note}" for note in _notes(result))])


def _tables(result: "BenchResult") -> dict[str, list[list[str]]]:
    """Return the cells of each workload's table, heading first."""
    tables: dict[str, list[list[str]]] = {}
    everything = result.rows()
    for workload in dict.fromkeys(row.workload for row in everything):
        rows = [row for row in everything if row.workload == workload]
        columns = [_contestants(rows), *_columns(result, workload, rows)]
        tables[workload] = [list(cells) for cells in zip(*columns, strict=True)]
    return tables


def _contestants(rows: Sequence["Row"]) -> list[str]:
    return ["contestant", *(row.contestant + " !" * bool(row.disturbed) for row in rows)]


def _columns(result: "BenchResult", workload: str, rows: Sequence["Row"]) -> list[list[str]]:
    reference = result.reference_of(workload)
    columns = [
        [result.unit, *("failed" if row.value is None else _spread(row.value) for row in rows)],
        [f"× {reference}", *(_spread(row.ratio, 3) for row in rows)],
    ]
    if not result.unit.endswith("/s"):
        columns.append([f"- {reference}", *(_spread(row.difference, signed=True) for row in rows)])
    if any(row.gflops is not None for row in rows):
        columns.append(["GFLOP/s", *("" if row.gflops is None else _rate(row.gflops) for row in rows)])
        columns.append(["peak", *("" if row.peak_share is None else f"{row.peak_share:.0%}" for row in rows)])
    for fact, heading in EXTRA_FACTS.items():
        if any(fact in row.facts for row in rows):
            columns.append([heading, *(_fact(row.facts.get(fact)) for row in rows)])
    columns.append(
        ["MiB", *("" if row.peak_memory_mib is None else f"{row.peak_memory_mib:.0f}" for row in rows)]
    )
    columns.append(["rounds", *("" if row.value is None else str(row.value.count) for row in rows)])
    return columns


def _notes(result: "BenchResult") -> list[str]:
    """Return what the tables stand on, and what they leave out."""
    notes = [
        "median (smallest to largest) over the rounds; ratios and differences are taken within a round; "
        f"{'higher' if result.higher_is_better else 'lower'} is better"
    ]
    for row in result.rows():
        notes += [f"{row.workload}, {row.contestant} failed: {error}" for error in row.errors]
        if row.disturbed:
            notes.append(
                f"! {row.workload}, {row.contestant}: {row.disturbed} trials disturbed by others' work"
            )
    notes += [f"{name}: {reason}" for name, reason in result.skipped.items()]
    for precision in ("fp32", "bf16"):
        peak = result.peak(precision)
        if peak is not None:
            how = "multiply-adds in registers" if peak[1] == "registers" else "matrix product or convolution"
            notes.append(f"peak of {precision}: {peak[0]:,.0f} GFLOP/s ({how})")
    for line in dict.fromkeys(_conditions(part) for part in result.slices):
        notes.append(line)
    packages = {n: v for trial in result.trials for n, v in trial.get("versions", {}).items()}
    if packages:
        notes.append(", ".join(f"{name} {version}" for name, version in sorted(packages.items())))
    return notes


def _conditions(part: dict[str, object]) -> str:
    versions, isa = part["versions"], part["isa"]
    assert isinstance(versions, dict) and isinstance(isa, list)  # noqa: PT018  (a record's own form)
    commit = str(part["commit"])
    return (
        f"{part['device']} ({part['family']}; {' '.join(isa)}), {part['date']}, commit "
        f"{commit[:10]}{'+changes' * commit.endswith('+changes')}; "
        f"{', '.join(f'{name} {version}' for name, version in versions.items())}"
    )


def _spread(spread: Spread | None, digits: int = 4, signed: bool = False) -> str:
    if spread is None:
        return ""
    sign = "+" if signed else ""
    middle, low, high = (_number(x, digits, sign) for x in (spread.median, spread.low, spread.high))
    return middle if spread.count == 1 else f"{middle} ({low} to {high})"


def _number(value: float, digits: int, sign: str = "") -> str:
    """Return a number with some significant digits and no exponent."""
    if value != 0 and abs(value) < 10 ** (digits - 1):
        places = 0
        while abs(value) * 10**places < 10 ** (digits - 1) and places < 6:
            places += 1
        return f"{value:{sign}.{places}f}"
    return f"{value:{sign},.0f}"


def _rate(gflops: float) -> str:
    """Return whole GFLOP/s, or two digits of what is slower than one."""
    return f"{gflops:.0f}" if gflops >= 1 else f"{gflops:.2g}"


def _fact(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _justified(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    """Return the first cell flush left, the others flush right."""
    head, *rest = zip(cells, widths, strict=True)
    return [f"{head[0]:<{head[1]}}", *(f"{cell:>{width}}" for cell, width in rest)]
