"""The Sphinx extension that makes Jupyter Book build this book."""

from typing import Any

from sphinx.application import Sphinx

from cnncourse.book.data_sets import DataSets
from cnncourse.book.folded import setup_folding
from cnncourse.book.ledger import ClaimsLedger
from cnncourse.book.model_zoo import ModelZoo
from cnncourse.book.outputs import CourseOutputs, drop_unshown_outputs
from cnncourse.book.pages import setup_pages
from cnncourse.book.recorded import RecordedRuns
from cnncourse.book.revolution import RevolutionOfDepth
from cnncourse.book.speed import LearningCheck, SpeedTables

__all__ = ["setup"]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the course's directives, transforms and page assets (Sphinx calls this)."""
    app.connect("source-read", drop_unshown_outputs)
    app.add_transform(CourseOutputs)
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("data-sets", DataSets)
    app.add_directive("model-zoo", ModelZoo)
    app.add_directive("recorded-runs", RecordedRuns)
    app.add_directive("revolution-of-depth", RevolutionOfDepth)
    app.add_directive("learning-check", LearningCheck)
    app.add_directive("speed-tables", SpeedTables)
    setup_folding(app)
    setup_pages(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
