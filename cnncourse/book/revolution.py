"""The page on the winners of the ImageNet challenge: a chart and a table, from the catalogue and cited errors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from matplotlib.figure import Figure
from sphinx.util.docutils import SphinxDirective

from cnncourse import figures, models

__all__ = ["ENTRIES", "HUMAN", "RevolutionOfDepth", "Winner", "chart", "chart_alt"]

HUMAN = 5.1
"""Top-5 error of a trained person in per cent (Russakovsky et al. 2015, section 6.4)."""


@dataclass(frozen=True, kw_only=True)
class Winner:
    """An entry of the classification task."""

    year: int
    """Of the challenge."""
    name: str
    """Of the team or its network."""
    top5: float
    """Top-5 error on the test images in per cent, trained on the challenge's images alone."""
    averaged: str
    """What the error is of."""
    source: str
    """Key in the bibliography of who prints the error."""
    layers: int | None = None
    """Layers with weights on the longest path; ``None`` where nothing was learnt by a network."""
    network: str | None = None
    """Name of the network in the catalogue; ``None`` where it has none."""
    first: bool = True
    """Whether it won; the others are here for their depth."""

    @property
    def parameters(self) -> float | None:
        """Parameters of one network, in millions."""
        return None if self.network is None else models.find(self.network).parameters / 1e6

    @property
    def multiply_adds(self) -> float | None:
        """Multiply-adds of one network for one image, in billions."""
        return None if self.network is None else models.find(self.network).multiply_adds / 1e9


ENTRIES = (
    Winner(year=2010, name="NEC-UIUC", top5=28.2, averaged="shallow", source="lin2011"),
    Winner(year=2011, name="XRCE", top5=25.8, averaged="shallow", source="russakovsky2015"),
    Winner(
        year=2012,
        name="AlexNet",
        top5=16.4,
        averaged="5 networks",
        source="krizhevsky2012",
        layers=8,
        network="alexnet2012",
    ),
    Winner(
        year=2013, name="Clarifai", top5=11.7, averaged="several networks", source="russakovsky2015", layers=8
    ),
    Winner(
        year=2014,
        name="VGG",
        top5=7.3,
        averaged="7 networks",
        source="simonyan2015",
        layers=19,
        network="vgg19",
        first=False,
    ),
    Winner(
        year=2014,
        name="GoogLeNet",
        top5=6.7,
        averaged="7 networks",
        source="szegedy2015",
        layers=22,
        network="googlenet2014",
    ),
    Winner(
        year=2015,
        name="ResNet",
        top5=3.57,
        averaged="6 networks",
        source="he2016",
        layers=152,
        network="resnet152",
    ),
)
"""Winners of the years 2010 to 2015, and VGG, which came second."""

PANELS = (
    ("top5", "top-5 error (%)", "{:.3g}"),
    ("layers", "layers with weights", "{:,}"),
    ("parameters", "parameters (millions)", "{:.0f}"),
    ("multiply_adds", "operations (billions)", "{:.1f}"),
)
"""Field of an entry, title of its panel, and how its numbers are written."""


class RevolutionOfDepth(SphinxDirective):
    """``{revolution-of-depth}``: the chart and the table."""

    def run(self) -> list[nodes.Node]:
        """Return the figure, then a table with citations."""
        drawn = figures.figure_html(
            chart(),
            name="revolution",
            alt=chart_alt(),
            caption="Entries of the ImageNet challenge. The error falls while the networks grow deeper; parameters and "
            "operations (multiply-adds) go up and down. Grey: nothing deep was learnt. The dashed line is a trained "
            "person's error.",
        )
        section = nodes.container()
        self.state.nested_parse(StringList(_table(), source="revolution"), self.content_offset, section)
        return [nodes.raw("", drawn, format="html"), *section.children]


def chart(entries: Sequence[Winner] = ENTRIES) -> Figure:
    """Draw error, layers, parameters and operations of each entry, one panel each.

    Args:
        entries: at least one, in the order of the rows.

    Returns:
        A figure in the book's style.
    """
    figure, grid = figures.subplots(2, 2, width=4.8, height=5.2, sharey=True)
    places = range(len(entries))
    for ax, (key, title, written) in zip(grid.flat, PANELS, strict=True):
        values = [getattr(entry, key) for entry in entries]
        known = [value for value in values if value is not None]
        for place, (entry, value) in enumerate(zip(entries, values, strict=True)):
            if value is None:
                words = "none" if key == "layers" else "–"
                ax.annotate(words, (0, place), (4, 0), textcoords="offset points", va="center", fontsize=10)
                continue
            ax.barh(place, value, height=0.66, color=figures.COLOURS[_colour(entry)])
            # A number does not stand on the line of the person.
            end = max(value, HUMAN) if key == "top5" else value
            ax.annotate(
                written.format(value),
                (end, place),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
        if key == "top5":
            ax.axvline(HUMAN, color=figures.COLOURS["ink"], linestyle="--", linewidth=1.2)
        ax.set_title(title, loc="left", fontsize=11)
        ax.set_xlim(0, 1.42 * max(known))
        ax.set_xticks([])
        ax.grid(visible=False)
        ax.spines["bottom"].set_visible(False)
        ax.set_yticks(places, [f"{entry.year} {entry.name}" for entry in entries])
    grid[0, 0].invert_yaxis()  # the axes are shared: once for all
    return figure


def chart_alt(entries: Sequence[Winner] = ENTRIES) -> str:
    """Return what the chart shows, in words.

    Args:
        entries: as for :func:`chart`.

    Returns:
        Every number of it.
    """
    return "Four rows of bars. " + "; ".join(
        f"{entry.year} {entry.name}: "
        + ", ".join(
            f"{written.format(value)} {title}"
            for key, title, written in PANELS
            if (value := getattr(entry, key)) is not None
        )
        for entry in entries
    )


def _colour(entry: Winner) -> str:
    return "muted" if entry.layers is None else "blue" if entry.first else "sky"


def _table() -> list[str]:
    """Return the same numbers as Markdown, with their sources."""
    names = "year, entry, top-5 error (%), layers, parameters (M), multiply-adds (G), error printed by"
    rows = [f"| {names.replace(', ', ' | ')} |", "|---|---|---:|---:|---:|---:|---|"]
    for entry in ENTRIES:
        cells: tuple[Any, ...] = (
            entry.year,
            f"{entry.name}, {entry.averaged}" + ("" if entry.first else " (second)"),
            f"{entry.top5:g}",
            "–" if entry.layers is None else entry.layers,
            "–" if entry.parameters is None else f"{entry.parameters:.1f}",
            "–" if entry.multiply_adds is None else f"{entry.multiply_adds:.2f}",
            f"{{cite:t}}`{entry.source}`",
        )
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    return [*rows, ""]
