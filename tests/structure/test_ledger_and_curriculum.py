"""What is declared in one place and used in another agrees both ways: claims, sources, chapters in docstrings."""

import ast
import re

import pytest

from cnncourse.book.course import Course
from cnncourse.book.ledger import stored_claims
from cnncourse.book.storage import read_notebook
from cnncourse.claims import read_ledger
from cnncourse.paths import course_root

COURSE = Course(course_root())
PACKAGE = COURSE.root / "cnncourse"
CLAIMS = read_ledger(COURSE.root / "book" / "claims.yml")
BOOK_LINE = re.compile(r"^\s*Book: *(.*?)\s*$", re.MULTILINE)


def checked_claims(sources):
    """Return the claims that code cells check, in order; an identifier that is no literal is an error."""
    found = []
    for source in sources:
        python = "\n".join(
            "pass" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines()
        )
        if "claims.check" not in python:
            continue
        calls = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            if ast.unparse(call.func) == "claims.check":
                name = call.args[0] if call.args else None
                if not (isinstance(name, ast.Constant) and isinstance(name.value, str)):
                    raise ValueError(f"claims.check names its claim as a literal, got {ast.unparse(call)}")
                found.append(name.value)
    return found


def disagreements(declared, checked):
    """Return where claims declared (id to chapter) and claims checked (chapter to ids) disagree."""
    faults = []
    for chapter, names in checked.items():
        for name in sorted(set(names)):
            if name not in declared:
                faults.append(f"{chapter} checks {name}, which nobody declares")
            elif declared[name] != chapter:
                faults.append(f"{chapter} checks {name}, declared for {declared[name]}")
        faults += [
            f"{chapter} checks {name} twice" for name in sorted({n for n in names if names.count(n) > 1})
        ]
    known = {name for names in checked.values() for name in names}
    return faults + [
        f"{name} is declared for {declared[name]}, where nobody checks it"
        for name in declared
        if name not in known
    ]


def test_claims_declared_are_checked_and_claims_checked_are_declared():
    checked = {
        slug: checked_claims(cell.source for cell in read_notebook(path).cells if cell.cell_type == "code")
        for slug, path in COURSE.notebooks.items()
    }
    assert disagreements({name: claim.chapter for name, claim in CLAIMS.items()}, checked) == []


def test_disagreements_between_ledger_and_notebooks_are_found():
    checked = {
        "one": checked_claims(
            ["x = 1\nclaims.check('a', x)", "%pip list\nfor y in z:\n  claims.check('b', y)"]
        )
    }
    assert checked == {"one": ["a", "b"]}
    assert disagreements({"a": "one", "b": "one"}, checked) == []
    assert disagreements({"a": "one"}, checked) == ["one checks b, which nobody declares"]
    assert disagreements({"a": "one", "b": "two"}, checked) == ["one checks b, declared for two"]
    assert disagreements({"a": "one", "b": "one", "c": "one"}, checked) == [
        "c is declared for one, where nobody checks it"
    ]
    assert disagreements({"a": "one"}, {"one": ["a", "a"]}) == ["one checks a twice"]
    with pytest.raises(ValueError, match=r"as a literal, got claims.check\(name, 1\)"):
        checked_claims(["claims.check(name, 1)"])


def test_stored_verdicts_are_the_declared_ones():
    stored = {
        name: outcome["verdict"]
        for path in COURSE.notebooks.values()
        for name, outcome in stored_claims(path).items()
    }
    assert stored == {name: claim.verdict for name, claim in CLAIMS.items() if claim.needs != "full"}


def test_every_source_is_in_the_bibliography():
    keys = re.findall(
        r"^@\w+\{([^,\s]+),", (COURSE.root / "book" / "references.bib").read_text(encoding="utf-8"), re.M
    )
    assert len(keys) == len(set(keys))
    assert {claim.source for claim in CLAIMS.values()} <= set(keys)
    pages = [path.read_text(encoding="utf-8") for path in (COURSE.root / "book").rglob("*.md")]
    pages += [cell.source for path in COURSE.notebooks.values() for cell in read_notebook(path).cells]
    cited = {
        key.strip()
        for page in pages
        for group in re.findall(r"\{cite(?::[a-z]+)?\}`([^`]+)`", page)
        for key in group.split(",")
    }
    assert cited <= set(keys)


def book_lines(source):
    """Return the chapters that docstrings of a module name in their line ``Book: slug``."""
    nodes = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lines = [line for node in nodes for line in BOOK_LINE.findall(ast.get_docstring(node) or "")]
    return [slug.strip() for line in lines for slug in line.split(",")]


def test_docstrings_name_chapters_that_exist():
    named = {
        (str(path.relative_to(COURSE.root)), slug)
        for path in PACKAGE.rglob("*.py")
        for slug in book_lines(path.read_text(encoding="utf-8"))
    }
    assert {slug for _path, slug in named} == set(
        COURSE.notebooks
    )  # and every chapter has code that names it
    assert [place for place in named if place[1] not in COURSE.notebooks] == []


def test_a_chapter_named_in_a_docstring_is_found():
    source = '"""Module.\n\nBook: one, two\n"""\n'
    source += 'class A:\n    def f(self):\n        """F.\n\n        Book: three\n        """\n'
    assert book_lines(source) == ["one", "two", "three"]
