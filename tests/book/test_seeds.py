"""``seeds`` on tiny notebooks: verdicts by seed, what changes, what stops, and the file that keeps them."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from cnncourse.book import seeds
from cnncourse.book.__main__ import main
from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError
from cnncourse.book.seeds import ChapterSeeds, read_results, run_seeds, table, write_results

BEGIN = 'from cnncourse import claims, notebook\ncourse = notebook.begin("sample", "auto")'


def write(path, *sources):
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """Return a chapter with a claim of the book, lenet-params, that holds at 61,706 alone."""
    return write(
        tmp_path_factory.mktemp("book") / "sample.ipynb",
        BEGIN,
        "assert course.seed != 3, 'unlucky'",
        'claims.check("lenet-params", 61_706 + (course.seed == 1))',
        "assert course.budget == 'book'",
    )


@pytest.fixture(scope="module")
def found(chapter):
    before, lines = chapter.read_bytes(), []
    result = run_seeds(chapter, [0, 1, 3], report=lines.append)
    assert chapter.read_bytes() == before
    assert len(lines) == 3
    return result


def test_each_seed_has_its_verdict(found):
    assert found.seeds == (0, 1, 3)
    assert found.verdicts == {"lenet-params": ("holds", "fails", "not reached")}
    assert [value.replace("\N{NARROW NO-BREAK SPACE}", " ") for value in found.measured["lenet-params"]] == [
        "61 706",
        "61 707",
        "",
    ]
    assert list(found.faults) == ["3"]
    assert "AssertionError: unlucky" in found.faults["3"]
    assert found.changing == ("lenet-params",)
    assert found.seconds[0] > 0
    assert found.seconds[2] == 0
    assert found.conditions["device"].endswith("1 thread")


def test_the_table_shows_what_changes(found):
    lines = table({"sample": found}).splitlines()
    assert lines[0] == "sample: seeds 0, 1, 3"
    assert lines[1].startswith("  lenet-params: CHANGES: seed 0 holds (61")
    assert "; seed 1 fails (61" in lines[1]
    assert lines[2].startswith("  seed 3 STOPPED: sample, cell 2")


def steady(**change):
    return ChapterSeeds(
        **{
            "seeds": (0, 1),
            "verdicts": {"a": ("holds", "holds")},
            "measured": {"a": ("3", "4")},
            "faults": {},
            "seconds": (1.0, 2.0),
            "conditions": {"commit": "c"},
            **change,
        }
    )


def test_what_holds_at_all_seeds_is_steady_and_what_fails_at_all_is_not():
    assert steady().changing == ()
    assert table({"s": steady()}).splitlines()[1] == "  a: holds (3, 4)"
    assert steady(verdicts={"a": ("needs a correction",) * 2}).changing == ()
    assert steady(verdicts={"a": ("fails", "fails")}).changing == ("a",)
    assert steady(verdicts={"a": ("holds", "not judged")}).changing == ("a",)


def test_results_are_read_as_written(tmp_path, found):
    path = tmp_path / "deep" / "seeds.json"
    assert read_results(path) == {}
    both = {"sample": found, "other": steady()}
    write_results(path, both)
    assert read_results(path) == both
    path.write_text(path.read_text().replace('"3",\n', "", 1))
    with pytest.raises(ValueError, match=r"one verdict for each seed.*remove it"):
        read_results(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match=r"seeds\.json must hold verdicts by chapter"):
        read_results(path)


def test_the_command_keeps_other_chapters_and_tells_changes(tmp_path, monkeypatch, capsys):
    write_results(tmp_path / seeds.RESULTS, {"other": steady()})
    outcomes = {
        "good": steady(),
        "bad": steady(verdicts={"a": ("holds", "fails")}),
        "ill": steady(faults={"1": "x"}),
    }
    asked = []
    monkeypatch.setattr(seeds, "course_root", lambda: tmp_path)
    monkeypatch.setattr(Course, "notebook", lambda self, slug: self.root / f"{slug}.ipynb")
    monkeypatch.setattr(
        seeds, "run_seeds", lambda path, numbers, **_options: asked.append(numbers) or outcomes[path.stem]
    )
    assert main(["seeds", "good", "--seeds", "0", "1"]) == 0
    assert list(read_results(tmp_path / seeds.RESULTS)) == ["good", "other"]
    assert main(["seeds", "good", "bad"]) == 1
    assert "CHANGES" in capsys.readouterr().out
    assert main(["seeds", "ill"]) == 1
    assert asked == [[0, 1], *[[0, 1, 2, 3, 4]] * 3]


@pytest.mark.parametrize("wrong", [[], [1, 1], [-1]])
def test_seeds_are_numbers(chapter, wrong):
    with pytest.raises(ValueError, match="different numbers from 0 on"):
        run_seeds(chapter, wrong)


def test_mistakes_are_explained(chapter, tmp_path):
    with pytest.raises(ValueError, match="kernels must be at least 1"):
        run_seeds(chapter, [0], kernels=0)
    with pytest.raises(NotebookError, match="there is no notebook"):
        run_seeds(tmp_path / "nowhere.ipynb", [0])
    assert main(["seeds", "no_such_chapter"]) == 2
