"""Every chapter has the shape that readers rely on, in what it says and in what is stored of its runs."""

import itertools
import re

import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_output

import cnncourse
from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError
from cnncourse.book.normalise import normalise, refuse_litter
from cnncourse.book.refresh import PARAMETERS
from cnncourse.book.run_line import run_line
from cnncourse.book.setup_cell import setup_cell
from cnncourse.book.storage import read_notebook, serialise
from cnncourse.paths import course_root

COURSE = Course(course_root())
CHAPTERS = list(COURSE.notebooks)
MOST_LINES = 18  # that a learner must read
MOST_FOLDED_LINES = 40  # of plumbing that only shows when asked for
MOST_SECONDS = 90
LEAST_EXERCISES = 4

FENCE = re.compile(r"^(`{3,}|:{3,}|~{3,}).*?^\1\s*$", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
LABEL = re.compile(r"^\(([^()\s]+)\)=\s*$|^:label: (\S+)\s*$", re.MULTILINE)
SVG = re.compile(r"<svg\b[^>]*>")
FIGURE = re.compile(r'<figure class="cnn-(figure|player)" id="(fig-[a-z0-9-]+)">(.*?)</figure>', re.DOTALL)
NUMBERED = re.compile(
    r"\b(chapter|lecture) (\d+|one|two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE
)


def tags(cell: NotebookNode) -> list[str]:
    """Return a cell's tags."""
    return list(cell.metadata.get("tags", []))


def texts(cell: NotebookNode) -> str:
    """Return all that a cell's outputs say in plain text."""
    return "\n".join(
        str(output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", ""))
        for output in cell.get("outputs", [])
    )


def opening_faults(slug: str, notebook: NotebookNode) -> list[str]:
    """Return what is wrong with the first five cells: question, objectives, run line, parameters, set-up."""
    title, objectives, line, parameters, setup = notebook.cells[:5]
    faults = []
    if not re.match(r"# \S", title.source) or len(title.source.split("\n", 1)[-1].split()) < 20:
        faults.append("the first cell is the title and the question")
    bullets = re.findall(r"^- .*(?:\n(?!- ).+)*", objectives.source, re.MULTILINE)
    if not objectives.source.startswith("## You will be able to\n") or not 3 <= len(bullets) <= 6:
        faults.append("the second cell is '## You will be able to' with three to six bullets")
    labels = {a or b for cell in notebook.cells for a, b in LABEL.findall(cell.source)}
    own = slug.replace("_", "-")
    for bullet in bullets:
        sections = re.findall(r"\]\(#([^)]+)\)", bullet)
        exercises = re.findall(rf"\{{ref\}}`(?:[^`<]*<)?({own}-ex-[a-z0-9-]+)>?`", bullet)
        if not sections or not exercises or not labels.issuperset([*sections, *exercises]):
            faults.append(
                f"an objective names the section that teaches it and the exercise that checks it: {bullet}"
            )
    if "run-line" not in tags(line) or line.source != run_line(
        notebook.metadata.get("cnncourse", {}), slug=slug
    ):
        faults.append("the third cell is the generated run line")
    if "parameters" not in tags(parameters) or parameters.source != PARAMETERS:
        faults.append("the fourth cell is the parameters cell")
    wanted = setup_cell(slug, repository=COURSE.repository, version=cnncourse.__version__)
    if "setup" not in tags(setup) or setup.source != wanted:
        faults.append("the fifth cell is the generated set-up cell")
    return faults


def section_faults(slug: str, notebook: NotebookNode) -> list[str]:
    """Return what is wrong with headings, labels and the closing sections."""
    prose = [
        (cell.source, FENCE.sub("", cell.source)) for cell in notebook.cells if cell.cell_type == "markdown"
    ]
    headings = [heading for _whole, bare in prose for heading in HEADING.findall(bare)]
    faults = []
    if [level for level, _text in headings].count("#") != 1:
        faults.append("a chapter has one title")
    sections = [text for level, text in headings if level == "##"]
    if sections[-3:] != ["Exercises", "Summary", "What to read next"]:
        faults.append("a chapter ends with Exercises, Summary, What to read next")
    last = prose[-1][0]
    if "{cite:" not in last[last.rfind("## What to read next") :]:
        faults.append("what to read next cites something")
    own = slug.replace("_", "-")
    labels = [a or b for whole, _bare in prose for a, b in LABEL.findall(whole)]
    faults += [
        f"label {label!r} must start with {own}-" for label in labels if not label.startswith(f"{own}-")
    ]
    faults += [
        f"label {label!r} occurs twice" for label in {name for name in labels if labels.count(name) > 1}
    ]
    for whole, _bare in prose:
        faults += [f"{match[0]!r}: chapters have names" for match in NUMBERED.finditer(whole)]
        if re.search(r"<script|!\[[^]]*\]\(https?:", whole):
            faults.append("a page runs no script of its own and shows no picture of another host")
    return faults


def exercise_faults(notebook: NotebookNode) -> list[str]:
    """Return what is wrong with exercises: each has a question, a self-check, and a solution that is right."""
    faults, names = [], []
    inside = label = ""
    checked = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for kind, edge, rest in re.findall(
                r"^```\{(exercise|solution)-(start|end)\}(.*(?:\n:label: .*)?)", cell.source, re.M
            ):
                if edge == "end":
                    inside = ""
                    continue
                inside = kind
                if kind == "exercise":
                    label = rest.rpartition(":label: ")[2].strip()
                    names.append(label)
                elif rest.split()[:1] != [label] or ":class: dropdown" not in cell.source:
                    faults.append(f"the solution of {label} follows it, folded")
        elif inside and re.search(r"^exercises\.\w+\(", cell.source, re.M):
            checked[inside, label] = texts(cell)
    if len(names) < LEAST_EXERCISES:
        faults.append(f"a chapter has at least {LEAST_EXERCISES} exercises, not {len(names)}")
    for name in names:
        if not checked.get(("exercise", name), "").startswith("No answer yet."):
            faults.append(f"{name}: its cell checks itself and says that there is no answer yet")
        if not checked.get(("solution", name), "").startswith("Right."):
            faults.append(f"{name}: its solution runs and is right")
    return faults


def figure_faults(notebook: NotebookNode) -> list[str]:
    """Return what is wrong with figures: each has a name, an alt text and a caption; one can be played with."""
    faults, kinds = [], []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if any(mime.startswith("image/") for mime in data):
                faults.append(f"a picture without alt text and caption: {cell.source.splitlines()[-1]}")
            html = data.get("text/html", "")
            kinds += [kind for kind, _name, _body in FIGURE.findall(html)]
            if SVG.search(FIGURE.sub("", html)):
                faults.append(f"a drawing outside a figure: {cell.source.splitlines()[-1]}")
            for _kind, name, body in FIGURE.findall(html):
                if not re.search(r"<figcaption>(?!\s*</figcaption>)", body):
                    faults.append(f"{name} has no caption")
                if not all(re.search(r'aria-label="[^"]{10,}"', svg) for svg in SVG.findall(body)):
                    faults.append(f"{name} has no alt text")
    if "player" not in kinds:
        faults.append("a chapter has an interactive figure")
    return faults


def code_faults(slug: str, notebook: NotebookNode) -> list[str]:
    """Return what is wrong with code cells and what is stored of their runs."""
    faults = []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type != "code":
            continue
        most = MOST_FOLDED_LINES if {"hide-input", "setup"} & set(tags(cell)) else MOST_LINES
        lines = len(cell.source.splitlines())
        if lines > most:
            faults.append(f"cell {number} has {lines} lines, more than {most}")
        if any(output.output_type == "error" for output in cell.outputs):
            faults.append(f"cell {number} stores an error")
    try:
        refuse_litter(notebook, slug=slug)
    except NotebookError as error:
        faults.append(str(error))
    if notebook.metadata.get("cnncourse", {}).get("seconds", 0) > MOST_SECONDS:
        faults.append(f"a chapter runs within {MOST_SECONDS} s")
    return faults


def faults_of(slug: str, notebook: NotebookNode) -> list[str]:
    """Return all faults."""
    return [
        *opening_faults(slug, notebook),
        *section_faults(slug, notebook),
        *exercise_faults(notebook),
        *figure_faults(notebook),
        *code_faults(slug, notebook),
    ]


@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_chapter_has_the_shape_of_a_chapter(slug):
    assert faults_of(slug, read_notebook(COURSE.notebooks[slug])) == []


@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_chapter_is_stored_as_refresh_stores_it(slug):
    path = COURSE.notebooks[slug]
    assert serialise(normalise(read_notebook(path))) == path.read_bytes(), f"refresh {slug}"


def test_figures_have_one_name_in_the_whole_book():
    names = [
        name
        for path in COURSE.notebooks.values()
        for _kind, name in re.findall(
            r'figure class=\\"cnn-(figure|player)\\" id=\\"(fig-[a-z0-9-]+)\\"', path.read_text()
        )
    ]
    assert len(names) > len(CHAPTERS)
    assert sorted(names) == sorted(set(names))


def test_every_notebook_is_a_chapter():
    assert {
        path.stem for path in (COURSE.root / "book").rglob("*.ipynb") if not path.name.startswith(".")
    } == set(CHAPTERS)


def cell_with(notebook, text):
    """Return the first cell whose source holds a text."""
    return next(cell for cell in notebook.cells if text in cell.source)


def replace(old, new, count=1):
    """Return a change of the first cell that holds a text."""

    def change(notebook):
        cell = cell_with(notebook, old)
        cell.source = cell.source.replace(old, new, count)

    return change


def output(**data):
    """Return a change that shows something in the last code cell."""

    def change(notebook):
        cell = [cell for cell in notebook.cells if cell.cell_type == "code"][-1]
        cell.outputs.append(
            new_output("display_data", data={key.replace("_", "/"): value for key, value in data.items()})
        )

    return change


def in_html(old, new):
    """Return a change of the first HTML output that holds a text."""

    def change(notebook):
        shown = itertools.chain(*(cell.get("outputs", []) for cell in notebook.cells))
        data = next(out.data for out in shown if old in out.get("data", {}).get("text/html", ""))
        data["text/html"] = data["text/html"].replace(old, new, 1)

    return change


def speak(name, text):
    """Return a change that adds a stream to the fourth cell."""
    return lambda notebook: notebook.cells[3].outputs.append(new_output("stream", name=name, text=text))


def test_the_checker_passes_what_it_is_about_to_see_spoilt():
    slug = CHAPTERS[0]
    assert faults_of(slug, read_notebook(COURSE.notebooks[slug])) == []


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (replace("# ", ""), "the first cell is the title"),
        (lambda book: book.cells[0].update(source="# Title\n\nToo short."), "the first cell is the title"),
        (replace("## You will be able to", "## Goals"), "the second cell is"),
        (replace("-ex-", "-sol-", count=-1), "an objective names the section"),
        (replace("](#", "](#nowhere-"), "an objective names the section"),
        (lambda book: book.cells[2].update(source="(run line)"), "the third cell is the generated run line"),
        (lambda book: book.cells[3].update(source='BUDGET = "book"'), "the fourth cell is the parameters"),
        (
            lambda book: book.cells[4].update(source="import cnncourse"),
            "the fifth cell is the generated set-up",
        ),
        (
            lambda book: book.cells.insert(5, NotebookNode(cell_type="markdown", metadata={}, source="# B")),
            "one title",
        ),
        (replace("## Summary", "## In short"), "a chapter ends with"),
        (lambda book: book.cells.pop(), "a chapter ends with"),
        (replace("-sol-", "-ex-"), "occurs twice"),
        (
            lambda book: book.cells[1].update(source=book.cells[1].source + f"\nSee chapter {3}."),
            "chapters have names",
        ),
        (lambda book: book.cells[1].update(source=book.cells[1].source + "\n<script>"), "runs no script"),
        (replace("\n:class: dropdown", ""), "follows it, folded"),
        (lambda book: cell_with(book, "answer = ...").update(outputs=[]), "says that there is no answer yet"),
        (
            lambda book: [
                cell.update(outputs=[])
                for cell in book.cells
                if "exercises." in cell.source and cell.cell_type == "code"
            ],
            "is right",
        ),
        (
            lambda book: [
                cell.update(source=cell.source.replace("exercise-start", "note")) for cell in book.cells
            ],
            "at least 4 exercises",
        ),
        (in_html("<figcaption>", "<figcaption></figcaption><figcaption hidden>"), "has no caption"),
        (in_html('aria-label="', 'aria-label="" data-was="'), "has no alt text"),
        (in_html('<figure class="cnn-', '<figure class="my-'), "a drawing outside a figure"),
        (
            lambda book: [in_html('<figure class="cnn-player"', '<figure class="cnn-figure"')(book)],
            "interactive figure",
        ),
        (output(image_png="iVBO"), "a picture without alt text"),
        (lambda book: book.cells[3].update(source="\n".join(["x = 1"] * 19)), "has 19 lines, more than 18"),
        (
            lambda book: book.cells[3].outputs.append(
                new_output("error", ename="E", evalue="", traceback=[])
            ),
            "stores an error",
        ),
        (speak("stdout", "UserWarning: mind the gap"), "warns"),
        (speak("stderr", "psst"), "writes to the error stream"),
        (lambda book: book.metadata.cnncourse.update(seconds=91), "runs within 90 s"),
    ],
)
def test_a_spoilt_chapter_is_found(spoil, complaint):
    slug = CHAPTERS[0]
    notebook = read_notebook(COURSE.notebooks[slug])
    spoil(notebook)
    assert [fault for fault in faults_of(slug, notebook) if complaint in fault]
