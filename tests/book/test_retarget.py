"""One address in one place: every copy agrees with it, and one command changes them all."""

import re
import shutil

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import cnncourse
from cnncourse.book import __main__ as book
from cnncourse.book.course import Course
from cnncourse.book.retarget import check_address, copies, retarget
from cnncourse.book.setup_cell import setup_cell
from cnncourse.book.storage import read_notebook
from cnncourse.paths import course_root

ROOT = course_root()
OLD, NEW = "https://github.com/someone/course", "https://github.com/you/your.course-2"


@pytest.fixture
def fork(tmp_path):
    """Return a small checkout that names its address in every kind of file."""
    files = {
        "_config.yml": f"# the one place\nrepository:\n  url: {OLD}/  # with a slash\n  branch: main\n",
        "_toc.yml": "format: jb-book\nroot: book/intro\n",
        "pyproject.toml": f'[project.urls]\nRepository = "{OLD}"\nAnother = "{OLD}-extras"\n',
        "CITATION.cff": f"repository-code: {OLD}\n",
        "README.md": f"See {OLD}.\n\n```\ngit clone {OLD}\ncd course\n```\n\ncd course stays, {OLD}.git too.\n",
        ".github/workflows/ci.yml": f'run: pip install "cnncourse @ git+{OLD}@v1"\n',
        "book/intro.md": f"[{OLD}/issues]({OLD}/issues) but {OLD}.example.org is another\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    cell = new_code_cell(setup_cell("chapter", repository=OLD, version="1.0"), id="setup")
    nbformat.write(new_notebook(cells=[cell]), tmp_path / "book" / "chapter.ipynb")
    return tmp_path


def test_every_copy_of_the_address_agrees_with_the_one_place():
    found = copies(ROOT)
    named = {"README.md", "CITATION.cff", "pyproject.toml", "book/running.md"}
    named |= {f"book/{path.name}" for path in (ROOT / "book").glob("*.ipynb")}
    assert named <= set(found)
    assert {address for addresses in found.values() for address in addresses} == {Course(ROOT).repository}


def test_the_release_is_named_alike_everywhere():
    assert re.search(
        rf"^version: {re.escape(cnncourse.__version__)}$", (ROOT / "CITATION.cff").read_text(), re.M
    )
    for path in (ROOT / "book").glob("*.ipynb"):
        assert f"@v{cnncourse.__version__}" in path.read_text(encoding="utf-8"), path.name


def test_a_copy_that_disagrees_is_found(fork):
    (fork / "README.md").write_text("pip install git+https://github.com/else/where@v1")
    assert copies(fork)["README.md"] == {"https://github.com/else/where"}
    assert copies(fork)["CITATION.cff"] == copies(fork)["book/chapter.ipynb"] == {OLD}


def test_retargeting_rewrites_every_copy_and_nothing_else(fork):
    assert len(retarget(fork, NEW)) == 7
    assert Course(fork).repository == NEW
    assert {address for addresses in copies(fork).values() for address in addresses} == {NEW}
    assert (fork / "README.md").read_text() == (
        f"See {NEW}.\n\n```\ngit clone {NEW}\ncd your.course-2\n```\n\ncd course stays, {NEW}.git too.\n"
    )
    assert f'Another = "{OLD}-extras"' in (fork / "pyproject.toml").read_text()
    assert (fork / "book/intro.md").read_text() == (
        f"[{NEW}/issues]({NEW}/issues) but {OLD}.example.org is another\n"
    )
    (cell,) = read_notebook(fork / "book" / "chapter.ipynb").cells
    assert cell.source == setup_cell("chapter", repository=NEW, version="1.0")
    assert (fork / "_config.yml").read_text().startswith("# the one place\n")


def test_retargeting_twice_changes_nothing_and_back_restores_every_byte(fork):
    before = {path: path.read_bytes() for path in fork.rglob("*") if path.is_file()}
    retarget(fork, NEW)
    assert retarget(fork, NEW + ".git") == []
    retarget(fork, OLD)
    assert {path: path.read_bytes() for path in fork.rglob("*") if path.is_file()} == before


def test_an_interrupted_retargeting_can_be_repeated(fork, monkeypatch):
    from cnncourse.book import retarget as module

    def fail(path, content):
        if path.name == "_config.yml":
            raise OSError("the battery is empty")
        path.write_bytes(content)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_atomically", fail)
        with pytest.raises(OSError, match="battery"):
            retarget(fork, NEW)
    assert Course(fork).repository == OLD
    retarget(fork, NEW)
    assert {address for addresses in copies(fork).values() for address in addresses} == {NEW}
    assert Course(fork).repository == NEW


@pytest.mark.parametrize(
    "address",
    [
        "",
        "you/your-course",
        "http://github.com/you/your-course",
        "git@github.com:you/your-course.git",
        "https://github.com/you",
        "https://github.com/you/your course",
        "https://github.com/you/your-course?tab=readme",
        "https://github.com/you/your-course#top",
        "https://token@github.com/you/your-course",
        "https://github.com//your-course",
        "https://localhost/you/your-course",
        "https://github.com/you/../course",
        'https://github.com/you/"quoted"',
        "https://github.com/you/your-course\n",
    ],
)
def test_a_malformed_address_is_refused_before_anything_changes(fork, address):
    before = {path: path.read_bytes() for path in fork.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=r"https://, host, owner and name, for example .*, got"):
        retarget(fork, address)
    assert {path: path.read_bytes() for path in fork.rglob("*") if path.is_file()} == before


def test_addresses_are_stored_in_one_form():
    assert check_address("https://github.com/you/course/") == "https://github.com/you/course"
    assert check_address("https://github.com/you/course.git") == "https://github.com/you/course"
    assert check_address("https://gitlab.example.org:8443/a/b/c") == "https://gitlab.example.org:8443/a/b/c"


def test_the_command_says_what_it_did(fork, monkeypatch, capsys):
    monkeypatch.setattr("cnncourse.book.retarget.course_root", lambda: fork)
    assert book.main(["retarget", "https://codeberg.org/you/course"]) == 0
    said = capsys.readouterr().out
    assert "CITATION.cff\n" in said
    assert "7 files changed; the repository is https://codeberg.org/you/course" in said
    assert "Colab opens notebooks from GitHub only" in said
    assert book.main(["retarget", "nonsense"]) == 2
    assert "got 'nonsense'" in capsys.readouterr().err


def test_retargeting_this_course_touches_every_file_that_names_it(tmp_path):
    names = [*copies(ROOT), "_config.yml", "_toc.yml"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    changed = {path.relative_to(tmp_path).as_posix() for path in retarget(tmp_path, NEW)}
    assert changed == set(names) - {"_toc.yml"}
    for name in changed:
        assert Course(ROOT).repository not in (tmp_path / name).read_text(encoding="utf-8")
