"""The appendix of speed: what ``cnncourse bench`` measured, from the files it wrote."""

from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from cnncourse.bench import BenchResult
from cnncourse.bench.check import Checked
from cnncourse.book.course import Course

__all__ = ["LearningCheck", "SpeedTables"]


CHECK = "learning.json"
"""What ``cnncourse bench train --check`` wrote, beside the benchmarks."""


def _folder(directive: SphinxDirective) -> Path:
    return Course(Path(directive.env.srcdir)).root / "data" / "results" / "bench"


class LearningCheck(SphinxDirective):
    """``{learning-check}``: whether the fast path learns as much as the plain loop, over several seeds."""

    def run(self) -> list[nodes.Node]:
        """Return a table and its conditions."""
        path = _folder(self) / CHECK
        if not path.is_file():
            return [nodes.paragraph("", "Nothing has been measured yet.")]
        self.env.note_dependency(str(path))
        checked = Checked.load(path)
        told = checked.conditions
        lines = ["| network | loop | accuracy | difference |", "|---|---|---|---|"]
        lines += [f"| {' | '.join(row)} |" for row in checked.rows()]
        seeds = ", ".join(map(str, checked.seeds))
        lines += ["", f"Seeds {seeds}; {told['device']}, {told['date']}, commit {told['commit'][:10]}."]
        found = nodes.container()
        self.state.nested_parse(StringList(lines, source=path.name), self.content_offset, found)
        return list(found.children)


class SpeedTables(SphinxDirective):
    """``{speed-tables}``: every recorded benchmark, one table a workload, with its conditions."""

    def run(self) -> list[nodes.Node]:
        """Return one section a benchmark, in the order of the files."""
        files = sorted(path for path in _folder(self).glob("*.json") if path.name != CHECK)
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
