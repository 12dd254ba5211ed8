"""The appendix of speed: what ``cnncourse bench`` measured, from the files it wrote."""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cnncourse.bench import BenchResult
from cnncourse.book.course import Course

__all__ = ["SpeedTables"]


class SpeedTables(SphinxDirective):
    """``{speed-tables}``: every recorded benchmark, one table a workload, with its conditions."""

    def run(self) -> list[nodes.Node]:
        """Return one section a benchmark, in the order of the files."""
        files = sorted((Course(Path(self.env.srcdir)).root / "data" / "results" / "bench").glob("*.json"))
        if not files:
            return [nodes.paragraph("", "Nothing has been measured yet.")]
        result: list[nodes.Node] = []
        for path in files:
            self.env.note_dependency(str(path))
            bench = BenchResult.load(path)
            section = nodes.section(ids=[f"bench-{path.stem}"], names=[f"bench-{path.stem}"])
            section += nodes.title("", path.stem.capitalize().replace("-", ", "))
            command = nodes.literal("", f"cnncourse bench {bench.benchmark}")
            section += nodes.paragraph("", "", nodes.Text("Measured by "), command, nodes.Text("."))
            _heading, *lines = bench.markdown().splitlines()
            self.state.nested_parse(StringList(lines, source=path.name), self.content_offset, section)
            result.append(section)
        return result
