"""The appendix of recorded runs: what ``data/results`` holds, with its provenance."""

from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cnncourse import records
from cnncourse.book.course import Course
from cnncourse.records import Record

__all__ = ["RecordedRuns"]


class RecordedRuns(SphinxDirective):
    """``{recorded-runs}``: every record as a table, with the command that makes it again."""

    def run(self) -> list[nodes.Node]:
        """Return one section a record, in the order of the files."""
        folder = Course(Path(self.env.srcdir)).root / "data" / "results"
        names = records.available(folder)
        if not names:
            return [nodes.paragraph("", "Nothing has been recorded yet.")]
        result: list[nodes.Node] = []
        for name in names:
            path = folder / f"{name}.json"
            self.env.note_dependency(str(path))
            record = records.load(name, folder)
            section = nodes.section(ids=[f"record-{name}"], names=[f"record-{name}"])
            section += nodes.title("", _title(record))
            command = nodes.literal("", _command(record))
            section += nodes.paragraph("", "Recorded by ", command, nodes.Text("."))
            section += nodes.raw("", record._repr_html_(), format="html")
            result.append(section)
        return result


def _title(record: Record) -> str:
    """Return the record's title, with the name of the data where it was made on others than the title says."""
    data = record.data.get("title")
    recipe_says_so = (
        data is None or str(data) in record.title or not str(record.data["name"]).endswith("-jpeg")
    )
    return record.title if recipe_says_so else f"{record.title}: {data}"


def _command(record: Record) -> str:
    """Return the line that makes a record again."""
    recipe = record.recipe.rsplit(".", 1)[1].replace("_", "-")
    words = ["python -m cnncourse record", recipe]
    words += [f"--option {key}={value}" for key, value in record.settings.get("options", {}).items()]
    words += [f"--set {key}={value}" for key, value in record.settings.get("set", {}).items()]
    if list(record.seeds) != [0, 1, 2]:
        words.append(f"--seeds {' '.join(map(str, record.seeds))}")
    return " ".join([*words, f"--name {record.name}"] if record.name != recipe else words)
