"""A small course built for real: numbered figures, cited claims, folded solutions; and faults that stop the build."""

import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnncourse import claims, figures
from cnncourse.book.build import BuildError, build
from cnncourse.book.weigh import page_weight
from cnncourse.claims import MIME
from cnncourse.notebook import player_html

pytestmark = pytest.mark.xdist_group("build")

ROOT = Path(__file__).resolve().parents[2]
PROSE = "These words are here because a page needs some. " * 6
EXERCISE = """## Exercises

```{exercise-start} Halving
:label: sample-ex
```
Halve $x$.
"""
SOLUTION_START = """```{exercise-end}
```

```{solution-start} sample-ex
:label: sample-sol
:class: dropdown
```
Multiply by a half.
"""
LEDGER = """- id: one-is-one
  chapter: sample
  statement: One is $1$.
  source: euclid
  expect: {equals: 1}
  verdict: holds
"""
BIBLIOGRAPHY = "@book{euclid, author = {Euclid}, title = {Elements}, year = {1533}, publisher = {Herwagen}}\n"


def html_cell(source, html, **more):
    return new_code_cell(source, outputs=[new_output("display_data", data={"text/html": html, **more})])


def chapter(*extra):
    ax = figures.curves([0, 1], {"a line": [0, 1]}, xlabel="x", ylabel="y")
    figure = figures.figure_html(ax.figure, name="line", alt="A line.", caption="A *line* $y = x$.")

    def draw(n):
        return figures.curves([0, 1], {"a line": [0, n]}, xlabel="x", ylabel="y").figure

    player = player_html(draw, {"n": [1, 2]}, name="moving", alt="A line.", caption="Move it.")
    claim = claims.Claim(
        "one-is-one", "sample", "One is $1$.", "euclid", claims.parse_expectation({"equals": 1}), "holds"
    )
    outcome = claims.Outcome(claim, "1", "holds")
    return new_notebook(
        metadata={
            "kernelspec": {"name": "python3", "display_name": "Python 3"},
            "language_info": {"name": "python", "pygments_lexer": "ipython3"},
        },
        cells=[
            new_markdown_cell(f"# A sample\n\n{PROSE} See {{numref}}`fig-line`, {{numref}}`fig-moving`."),
            html_cell("show()", figure),
            html_cell("slide()", player),
            html_cell("check()", outcome.as_html(), **{MIME: outcome.as_json()}),
            new_markdown_cell(EXERCISE),
            new_code_cell("answer = ..."),
            new_markdown_cell(SOLUTION_START),
            new_code_cell("answer = 0.5"),
            new_markdown_cell("```{solution-end}\n```\n\n## Summary\n\nSee [the claim](#claim-one-is-one)."),
            *extra,
        ],
    )


def sample_course(root, *extra):
    (root / "book" / "appendices").mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", root)
    for name in ("claims.md", "records.md"):
        shutil.copy(ROOT / "book" / "appendices" / name, root / "book" / "appendices")
    files = [
        "book/sample",
        "book/appendices/claims",
        "book/appendices/records",
        "book/appendices/bibliography",
    ]
    toc = "format: jb-book\nroot: book/intro\nparts:\n- caption: All\n  chapters:\n"
    (root / "_toc.yml").write_text(toc + "".join(f"  - file: {name}\n" for name in files))
    (root / "book" / "intro.md").write_text(f"# Intro\n\n{PROSE}\n")
    (root / "book" / "claims.yml").write_text(LEDGER)
    (root / "book" / "references.bib").write_text(BIBLIOGRAPHY)
    bibliography = f"# Bibliography\n\n{PROSE}\n\n```{{bibliography}}\n:all:\n```\n"
    (root / "book" / "appendices" / "bibliography.md").write_text(bibliography)
    nbformat.write(nbformat.from_dict(chapter(*extra)), root / "book" / "sample.ipynb")
    return root


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return build(sample_course(tmp_path_factory.mktemp("sample") / "course"))


@pytest.fixture(scope="module")
def sample_page(built):
    return BeautifulSoup((built / "book" / "sample.html").read_text(encoding="utf-8"), "html.parser")


def test_figures_and_players_are_numbered_captioned_and_referred_to(sample_page):
    captions = [tag.get_text(" ", strip=True) for tag in sample_page.select("figure figcaption")]
    assert [caption[:8] for caption in captions] == ["Figure 1", "Figure 2"]
    assert sample_page.select_one("figure#fig-line figcaption em").get_text() == "line"
    assert sample_page.select_one("figure#fig-line figcaption .math") is not None
    links = {tag["href"]: tag.get_text() for tag in sample_page.select("article p a.reference.internal")}
    assert links["#fig-line"] == "Figure 1"
    assert links["#fig-moving"] == "Figure 2"


def test_a_claim_cites_its_source_and_can_be_linked(sample_page):
    box = sample_page.select_one("#claim-one-is-one")
    assert "Euclid" in box.get_text()
    assert any("bibliography.html" in tag["href"] for tag in box.select("a"))


def test_the_ledger_shows_the_measured_value_and_links_back(built):
    page = BeautifulSoup(
        (built / "book" / "appendices" / "claims.html").read_text(encoding="utf-8"), "html.parser"
    )
    text = page.find("article").get_text(" ", strip=True)
    assert "1 claims. Holds: 1." in text or "1 claim" in text
    assert "Measured:" in text
    assert any(tag["href"].endswith("sample.html#claim-one-is-one") for tag in page.select("article a[href]"))


def test_solutions_are_folded_and_exercises_numbered(sample_page):
    fold = sample_page.select_one("details#sample-sol")
    assert fold is not None
    assert not fold.has_attr("open")
    assert "answer = 0.5" in fold.get_text()
    assert "Exercise 1" in sample_page.select_one("#sample-ex").get_text()


def test_a_page_ships_no_icon_font_and_weighs_little(built):
    weight = page_weight(built / "book" / "sample.html")
    assert weight.text < 200_000
    assert not list((built / "book").glob("*fontawesome*"))
    assert "fontawesome.js" not in (built / "book" / "sample.html").read_text(encoding="utf-8")


def test_a_warning_stops_the_build_and_every_fault_is_named(tmp_path):
    failed = new_output("error", ename="NameError", evalue="x", traceback=["NameError: x"])
    root = sample_course(
        tmp_path / "course",
        new_markdown_cell("See {ref}`no-such-place`."),
        new_code_cell("x", outputs=[failed]),
    )
    with pytest.raises(BuildError, match="no-such-place"):
        build(root)


def test_a_traceback_and_an_empty_page_stop_the_build(tmp_path):
    failed = new_output("error", ename="NameError", evalue="x", traceback=["NameError: x"])
    root = sample_course(tmp_path / "course", new_code_cell("x", outputs=[failed]))
    (root / "book" / "intro.md").write_text("# Intro\n")
    with pytest.raises(BuildError, match="traceback") as caught:
        build(root)
    assert "book/intro: the page is empty" in str(caught.value)
