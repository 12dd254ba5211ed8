"""The appendix of networks: what each costs, sees and reaches, from the catalogue and the records."""

from collections.abc import Callable, Sequence

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cnncourse import figures
from cnncourse.figures.zoo import Data
from cnncourse.models.zoo import FILE, ZooRow, zoo

__all__ = ["ModelZoo"]

NOTHING = "–"
"""What stands in a cell that has nothing to say."""
SECTIONS: tuple[tuple[str, str, Callable[[ZooRow], bool]], ...] = (
    ("photographs", "For photographs", lambda row: row.num_classes >= 100),
    ("small-images", "For small colour images", lambda row: row.num_classes < 100 and row.in_channels > 1),
    ("digits", "For digits", lambda row: row.num_classes < 100 and row.in_channels == 1),
)
"""Anchor, title, and which networks stand in a section."""
CHARTS: dict[str, tuple[Data, str]] = {
    "photographs": (
        "imagenet",
        "Accuracy on the validation images of ImageNet against the operations for one image; the area of a circle is "
        "in proportion to the parameters. Filled: the public weights, by their authors. Hollow: no public weights, the "
        "paper's own figure, which may be an average over several crops. Lines join a family.",
    ),
    "small-images": (
        "cifar10",
        "The same on the test images of CIFAR-10, as the papers print it; crosses are runs recorded here. The axis of "
        "accuracy spans a few points only.",
    ),
}
"""Section to the data of its chart, and the caption."""


class ModelZoo(SphinxDirective):
    """``{model-zoo}``: a chart and a table for each kind of images."""

    def run(self) -> list[nodes.Node]:
        """Return one section a kind of images."""
        self.env.note_dependency(str(FILE))
        rows = zoo()
        sections: list[nodes.Node] = []
        for anchor, title, belongs in SECTIONS:
            members = [row for row in rows if belongs(row)]
            section = nodes.section(ids=[f"zoo-{anchor}"], names=[f"zoo-{anchor}"])
            section += nodes.title("", title)
            if anchor in CHARTS:
                section += nodes.raw("", _chart(anchor, members), format="html")
            lines = [*_costs(members), *_accuracies(members), *_licences(members)]
            self.state.nested_parse(StringList(lines, source=anchor), self.content_offset, section)
            for table, kind in zip(section.findall(nodes.table), ("costs", "accuracies"), strict=True):
                table["classes"] += ["cnn-zoo", f"cnn-zoo-{kind}"]
            sections.append(section)
        return sections


def _chart(anchor: str, rows: Sequence[ZooRow]) -> str:
    data, caption = CHARTS[anchor]
    ax = figures.zoo_chart(rows, data)
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes of ours always have one
    return figures.figure_html(
        figure, name=f"zoo-{data}", alt=figures.zoo_chart_alt(rows, data), caption=caption
    )


def _costs(rows: Sequence[ZooRow]) -> list[str]:
    """Return a table of Markdown: what the networks cost and see."""
    head = ("network", "parameters (M)", "multiply-adds (M)", "weights (MiB)", "kept (MiB)", "field (px)")
    cells = [
        (
            f"`{row.name}`",
            f"{row.parameters / 1e6:,.2f}",
            f"{row.multiply_adds / 1e6:,.2f}",
            f"{row.weight_bytes / 2**20:,.1f}",
            f"{row.activation_bytes / 2**20:,.2f}",
            "all" if row.sees_everything else _number(row.receptive_field),
        )
        for row in rows
    ]
    return _markdown(head, ("---", *["---:"] * 5), cells)


def _accuracies(rows: Sequence[ZooRow]) -> list[str]:
    """Return a table of Markdown: how good the networks are, and who says so; without columns that say nothing."""
    columns = {
        "network": [f"`{row.name}`" for row in rows],
        "paper: error (%)": [_printed(row) for row in rows],
        "public weights: accuracy (%)": [_public(row) for row in rows],
        "recorded here: accuracy (%)": [_recorded(row) for row in rows],
        "source": [_source(row) for row in rows],
    }
    told = {head: cells for head, cells in columns.items() if set(cells) != {NOTHING}}
    return _markdown(list(told), ["---"] * len(told), list(zip(*told.values(), strict=True)))


def _markdown(head: Sequence[str], rule: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["", *(f"| {' | '.join(cells)} |" for cells in (head, rule, *rows)), ""]


def _licences(rows: Sequence[ZooRow]) -> list[str]:
    """Return a line on whose terms the public weights can be had, if there are any."""
    terms = dict.fromkeys(row.licence for row in rows if row.licence)
    lines = []
    for licence in terms:
        names = ", ".join(f"`{row.name}`" for row in rows if row.licence == licence)
        lines += [f"Public weights under {licence}: {names}.", ""]
    return lines


def _number(value: int | None) -> str:
    return NOTHING if value is None else f"{value:,}"


def _printed(row: ZooRow) -> str:
    """Return top-1 and top-5 error as the paper prints them."""
    error = row.printed_error
    if error is None:
        return NOTHING
    top1 = NOTHING if error.top1 is None else _per_cent(error.top1)
    return top1 if error.top5 is None else f"{top1} / {_per_cent(error.top5)}"


def _per_cent(number: float) -> str:
    """Return a number as printed, with one digit behind the point at least."""
    return f"{number:.1f}" if round(number, 1) == number else f"{number:g}"


def _public(row: ZooRow) -> str:
    """Return top-1 and top-5 accuracy of the public weights."""
    if row.weights is None:
        return NOTHING
    if row.public_accuracy is None:
        return "not stated"
    return " / ".join(f"{one:.2f}" for one in row.public_accuracy)


def _recorded(row: ZooRow) -> str:
    """Return what recipes of this course reached, on which data."""
    told = (f"{one.data} {one.mean:.2f}" + f" ± {one.sd:.2f}" * (one.seeds > 1) for one in row.recorded)
    return "; ".join(told) or NOTHING


def _source(row: ZooRow) -> str:
    """Return paper and table, and where the error stands if that is elsewhere."""
    parts = [f"{{cite:t}}`{row.paper}`", row.where]
    if row.printed_error is not None and row.printed_error.where:
        parts.append(f"error: {row.printed_error.where}")
    return "; ".join(part for part in parts if part)
