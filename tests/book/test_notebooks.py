"""Every chapter from top to bottom: at ``smoke`` by papermill, and at ``book`` against its stored outputs by nbval."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from cnncourse.book.course import Course
from cnncourse.book.execute import kernel_environment, longest_first
from cnncourse.book.ledger import stored_claims
from cnncourse.book.normalise import normalise, refuse_litter
from cnncourse.book.storage import read_notebook
from cnncourse.paths import course_root

COURSE = Course(course_root())
SANITISE = course_root() / "tests" / "book" / "nbval.cfg"


def _stored_seconds(path: Path) -> float | None:
    if not path.is_file():
        return None
    return read_notebook(path).metadata.get("cnncourse", {}).get("seconds")


# Two workers take tests in this order, so the longest run starts first and the workers end together.
CHAPTERS = longest_first({slug: _stored_seconds(path) for slug, path in COURSE.notebooks.items()})


def compare(path):
    """Run a notebook at budget ``book`` and compare; return exit code and what nbval says."""
    command = [sys.executable, "-m", "pytest", str(path), "--nbval", "--nbval-sanitize-with", str(SANITISE)]
    # The strict settings of this test suite are about tests; here nbval collects cells.
    command += ["--rootdir", str(path.parent), "-c", str(SANITISE.with_name("nbval.ini")), "-q", "--color=no"]
    done = subprocess.run(
        command, env=kernel_environment("book"), capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_chapter_run_again_shows_what_is_stored(slug):
    code, said = compare(COURSE.notebooks[slug])
    assert code == 0, said


@pytest.mark.slow
@pytest.mark.parametrize("slug", CHAPTERS)
def test_every_cell_runs_at_smoke(slug, tmp_path):
    source, target = COURSE.notebooks[slug], tmp_path / f"{slug}.ipynb"
    command = [sys.executable, "-m", "papermill", str(source), str(target), "--parameters", "BUDGET", "smoke"]
    command += ["--cwd", str(source.parent), "--kernel", "python3", "--no-progress-bar"]
    done = subprocess.run(
        command, env=kernel_environment("book"), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    notebook = read_notebook(target)
    refuse_litter(normalise(notebook), slug=slug)
    assert set(stored_claims(target)) == set(stored_claims(source)), "every claim is met at smoke as well"


def stored(path, *cells):
    """Write a notebook whose cells are (source, stored data) as if they had run."""
    nodes = []
    for count, (source, data) in enumerate(cells, start=1):
        output = new_output("execute_result", data=data, execution_count=count)
        nodes.append(new_code_cell(source, execution_count=count, outputs=[output]))
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=nodes, metadata={"kernelspec": kernel}), path)
    return path


FIGURE = """
class Shown:
    def __repr__(self):
        return "[shown]"
    def _repr_mimebundle_(self, **_options):
        html = f"<figure>{SVG}<figcaption>{CAPTION}</figcaption></figure>"
        view = {"model_id": "random"}
        claim = {"id": "c", "measured": MEASURED}
        return {"text/html": html, "application/vnd.jupyter.widget-view+json": view,
                "application/vnd.cnncourse.claim+json": claim}
Shown()
"""


def shown(svg, caption, measured):
    """Return a cell's source that shows an interactive figure, as stored text."""
    return f"SVG, CAPTION, MEASURED = {svg!r}, {caption!r}, {measured!r}\n{FIGURE}"


STORED = {
    "text/plain": "[shown]",
    "text/html": "<figure><svg>1.0</svg><figcaption>What it means.</figcaption></figure>",
    "application/vnd.cnncourse.claim+json": {"id": "c", "measured": "7"},
}


def test_drawings_and_widget_views_may_differ(tmp_path):
    cell = shown("<svg viewBox='0 0 1 1'>\n1.1\n</svg>", "What it means.", "7")
    code, said = compare(stored(tmp_path / "fine.ipynb", (cell, STORED)))
    assert code == 0, said


@pytest.mark.parametrize(
    ("caption", "measured", "told"),
    [("Something else.", "7", "Something else."), ("What it means.", "8", "'measured': '8'")],
)
def test_captions_and_measurements_may_not_differ(tmp_path, caption, measured, told):
    path = stored(
        tmp_path / "stale.ipynb", ("1 + 1", {"text/plain": "2"}), (shown("<svg/>", caption, measured), STORED)
    )
    code, said = compare(path)
    assert code == 1
    assert "Cell 1: Cell outputs differ" in said
    assert told in said


def test_a_cell_that_fails_is_named_with_its_error(tmp_path):
    code, said = compare(stored(tmp_path / "broken.ipynb", ("1 / 0", {"text/plain": "1"})))
    assert code == 1
    assert "Cell 0: Cell execution caused an exception" in said
    assert "ZeroDivisionError" in said
