"""Packages stand on shelves and import only downwards; no file grows too long or hides behind an empty name."""

import ast
import re
from pathlib import Path

import pytest

from cnncourse.paths import course_root

PACKAGE = course_root() / "cnncourse"

SHELVES = {
    -1: {"cnncourse", "paths", "markup", "progress"},  # single files, which import nothing of the course
    0: {"layers", "theory", "inspection", "claims", "records", "augmentation", "downloads"},
    1: {"models", "datasets"},
    2: {"training"},
    3: {"recipes", "figures", "bench"},
    4: {"notebook", "cli", "book"},
    5: {"__main__"},
}
SHELF = {name: level for level, names in SHELVES.items() for name in names}

MOST_LINES = 320
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "stuff"}


def owner(module: str) -> str:
    """Return which package (or single file) of the course a dotted name belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def imported(source: str) -> set[tuple[int, str]]:
    """Return (line, dotted name) of everything a module imports from the course, in functions too."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "cnncourse":
            # A package of the course, or a name that its __init__ defines.
            names = [f"cnncourse.{a.name}" if a.name in SHELF else "cnncourse" for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = ["." if node.level else str(node.module)]
        else:
            continue
        found |= {(node.lineno, name) for name in names if name == "." or name.split(".")[0] == "cnncourse"}
    return found


def climbs(module: str, source: str) -> list[str]:
    """Return the imports of a module that do not go downwards."""
    own = owner(module)
    faults = []
    for line, name in sorted(imported(source)):
        if name == ".":
            faults.append(f"{module}, line {line}: relative import")
        elif owner(name) not in SHELF:
            faults.append(f"{module}, line {line}: {name} stands on no shelf")
        elif owner(name) != own and SHELF[owner(name)] >= SHELF[own]:
            faults.append(
                f"{module} (shelf {SHELF[own]}), line {line}: imports {name} (shelf {SHELF[owner(name)]})"
            )
    return faults


def modules() -> dict[str, Path]:
    """Return dotted name to file, of the whole package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        if "_course" not in path.parts:
            parts = ("cnncourse", *path.relative_to(PACKAGE).with_suffix("").parts)
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def test_every_package_stands_on_a_shelf():
    assert {owner(module) for module in MODULES} == set(SHELF)


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down_the_shelves(module):
    assert climbs(module, MODULES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("cnncourse.layers.pooling", "from cnncourse.models import LeNet5", "imports cnncourse.models"),
        ("cnncourse.models.lenet", "import cnncourse.training.trainer", "shelf 2"),
        ("cnncourse.models.lenet", "from cnncourse import datasets", "imports cnncourse.datasets"),
        ("cnncourse.theory.tent", "def f():\n    from cnncourse import layers", "line 2"),
        ("cnncourse.paths", "import cnncourse.claims", "shelf 0"),
        ("cnncourse.claims.check", "from . import ledger", "relative import"),
        ("cnncourse.claims.check", "from cnncourse.engine import run", "stands on no shelf"),
        ("cnncourse.models.mlp", "if TYPE_CHECKING:\n    from cnncourse.recipes import run", "shelf 3"),
    ],
)
def test_an_import_that_climbs_is_found(module, source, complaint):
    (fault,) = climbs(module, source)
    assert complaint in fault


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("cnncourse.book.refresh", "import cnncourse\nfrom cnncourse.book.course import Course"),
        ("cnncourse.recipes.lenet_mnist", "from cnncourse import __version__, layers, records, training"),
        ("cnncourse.claims.ledger", "from cnncourse.paths import course_root\nimport yaml"),
        ("cnncourse.layers", "from cnncourse.layers.pooling import MaxPool2d"),
    ],
)
def test_an_import_that_goes_down_is_not(module, source):
    assert climbs(module, source) == []


def test_no_file_is_long():
    lengths = {module: len(path.read_text(encoding="utf-8").splitlines()) for module, path in MODULES.items()}
    assert {module: length for module, length in lengths.items() if length > MOST_LINES} == {}


def test_no_module_has_an_empty_name():
    files = [*PACKAGE.rglob("*"), *(course_root() / "tests").rglob("*")]
    words = {word for path in files for word in path.stem.lower().replace("test_", "").split("_")}
    assert words & EMPTY_NAMES == set()


NUMBERED = re.compile(r"\bchapters? (\d+|one|two|three|four|five|six|seven|eight|nine|ten)\b", re.IGNORECASE)


def numbered_chapters(source: str) -> list[str]:
    """Return where a text calls a chapter by its number; "chapter 9 of Goodfellow" names another book's."""
    return [
        match[0]
        for match in NUMBERED.finditer(source)
        if not source[match.end() :].lstrip().startswith("of ")
    ]


def test_chapters_have_no_numbers_in_code():
    texts = [*MODULES.values(), *(course_root() / "tests").rglob("*.py")]
    numbered = {
        str(path.relative_to(course_root())): numbered_chapters(path.read_text(encoding="utf-8"))
        for path in texts
        if path.name != "test_shelves.py"
    }
    assert {path: found for path, found in numbered.items() if found} == {}
    names = [path.stem for path in [*texts, *(course_root() / "book").iterdir()]]
    assert [name for name in names if re.match(r"(ch(apter)?_?)?\d+_", name)] == []


def test_a_numbered_chapter_is_found():
    assert numbered_chapters("As chapter 3 shows") == ["chapter 3"]
    assert numbered_chapters("see Chapters two and six") == ["Chapters two"]
    assert numbered_chapters("the chapter depth_separation; chapter 9 of Deep Learning") == []
