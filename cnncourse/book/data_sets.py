"""The appendix of data sets: what the catalogue says, and what is measured on those that need no download."""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cnncourse import datasets, figures
from cnncourse.datasets import Entry, FolderImages, LabelledImages

__all__ = ["DataSets"]

Data = LabelledImages | FolderImages
PER_CLASS = 5
"""Pictures of a class: more would weigh more than a page of figures may."""


class DataSets(SphinxDirective):
    """``{data-sets}``: one section a data set; figures and statistics of those that installed packages carry."""

    def run(self) -> list[nodes.Node]:
        """Return the sections in the order of the catalogue."""
        sections: list[nodes.Node] = []
        for entry in datasets.CATALOGUE.values():
            if entry.info is None:
                continue
            section = nodes.section(ids=[f"data-{entry.name}"], names=[f"data-{entry.name}"])
            section += nodes.title("", entry.info.title)
            lines = _lines(entry)
            if entry.source == "embedded":
                sheet = datasets.load(entry.name, "train")
                lines += _measured(sheet, datasets.load(entry.name, "test"))
            self.state.nested_parse(StringList(lines, source=entry.name), self.content_offset, section)
            if entry.source == "embedded":
                section += nodes.raw("", _sheet(sheet), format="html")
            sections.append(section)
        return sections


def _lines(entry: Entry) -> list[str]:
    """Return what the catalogue says, as Markdown."""
    info = entry.info
    assert info is not None
    images = " + ".join(f"{count:,} {split}" for split, count in entry.images.items())
    side = "images of many sizes" if entry.side is None else f"{entry.side} × {entry.side} pixels"
    comes = {
        "embedded": "comes with an installed package",
        "download": f"downloaded on first use, {entry.download_bytes / 1e6:,.0f} MB",
        "by hand": "to be put in place by hand",
    }[entry.source]
    return [
        f"`datasets.load({entry.name!r}, split)`: {images}; {len(info.classes)} classes; {side}; {comes}.",
        "",
        f"{info.citation}. Licence: {info.licence}. <{info.homepage}>",
        "",
    ]


def _measured(train: Data, test: Data) -> list[str]:
    """Return what is counted on the pixels while the book is built, as Markdown."""
    rows = ["| part | images | a class | mean | standard deviation |", "|---|---:|---:|---:|---:|"]
    for data in (train, test):
        found = datasets.statistics(data)
        counts = sorted(found.per_class.values())
        spread = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (found.mean, found.std))
        rows.append(f"| {data.split} | {found.count:,} | {spread} | {mean} | {std} |")
    return [*rows, ""]


def _sheet(data: Data) -> str:
    return figures.figure_html(
        figures.contact_sheet(data, PER_CLASS),
        name=f"sheet-{data.info.name}",
        alt=figures.contact_sheet_alt(data, PER_CLASS),
        caption="Training images, spread evenly over each class in the order of the data set.",
    )
