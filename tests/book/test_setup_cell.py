"""The set-up cell in an environment without the course: it installs one release from git, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import version
from pathlib import Path

import pytest

import cnncourse
from cnncourse.book.course import Course
from cnncourse.book.setup_cell import requirement, setup_cell
from cnncourse.paths import course_root

ADDRESS = Course(course_root()).repository
VERSION = cnncourse.__version__
SHIPPED = (
    "cnncourse",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "book/claims.yml",
    "book/references.bib",
    "data/results",
)
REPORT = """
import cnncourse, json, torch
print("REPORT" + json.dumps({
    "budget": course.budget, "slug": course.slug, "file": cnncourse.__file__, "claims": len(claims.declared()),
    "torch": torch.__file__, "versions": [*map(version, ("cnncourse", "torch", "torchvision", "numpy"))],
}))
"""


def git(folder, *arguments):
    """Run git with an author of its own, whatever the machine's settings."""
    author = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *author, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a git repository that holds this course as it is now, tagged as its release."""
    if shutil.which("git") is None:
        message = "pip installs from a repository with git, which is missing here"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    folder = tmp_path_factory.mktemp("repository")
    for name in SHIPPED:
        source, target = course_root() / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "release")
    git(folder, "tag", f"v{VERSION}")
    return folder.as_uri()


class Environment:
    """A new virtual environment that sees everything installed here but the course, as Colab would."""

    def __init__(self, folder: Path, without: tuple[str, ...] = ()) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
        self.python = folder / "bin" / "python"
        (self.packages,) = folder.glob("lib/python*/site-packages")
        self.brought = folder / "brought"
        self.brought.mkdir()
        for source in {Path(sysconfig.get_path(kind)) for kind in ("purelib", "platlib")}:
            for entry in source.iterdir():
                if entry.suffix != ".pth" and not entry.name.startswith(
                    ("cnncourse", "__editable__", *without)
                ):
                    (self.brought / entry.name).symlink_to(entry)
        (self.packages / "brought.pth").write_text(str(self.brought))
        self.home = folder

    def run(self, cell: str, clone: str) -> subprocess.CompletedProcess[str]:
        """Run a parameters cell, the set-up cell and a report in IPython, with every package index shut off.

        Git takes the course's address to mean ``clone``, so that the cell is the one readers have.
        """
        script = self.home / "cells.ipy"
        script.write_text(f'BUDGET = "smoke"\n{cell}\n{REPORT}', encoding="utf-8")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment |= {
            "PIP_NO_INDEX": "1",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        environment |= {"PIP_NO_BUILD_ISOLATION": "0", "IPYTHONDIR": str(self.home / "ipython")}
        environment |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{clone}.insteadOf"}
        environment |= {"GIT_CONFIG_VALUE_0": ADDRESS}
        environment.pop("PYTHONPATH", None)
        return subprocess.run(
            [str(self.python), "-m", "IPython", "--colors=NoColor", str(script)],
            cwd=self.home,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> set[str]:
        """Return what lies in the environment itself, which had nothing at first."""
        return {path.name for path in self.packages.iterdir()} - {"brought.pth"}


def reported(done):
    """Return what the report at the end of a run said."""
    lines = [line for line in done.stdout.splitlines() if line.startswith("REPORT")]
    assert len(lines) == 1, done.stdout + done.stderr
    return json.loads(lines[0].removeprefix("REPORT"))


def test_the_set_up_cell_installs_one_release_and_a_second_run_nothing(tmp_path, repository):
    environment = Environment(tmp_path / "fresh")
    assert environment.installed() == set()
    cell = setup_cell("depth_separation", repository=ADDRESS, version=VERSION)
    first = reported(environment.run(cell, clone=repository))
    assert first["budget"] == "smoke"
    assert first["slug"] == "depth_separation"
    assert Path(first["file"]).is_relative_to(environment.packages)
    assert first["claims"] > 0  # the ledger travels in the wheel
    assert Path(first["torch"]).is_relative_to(environment.brought)
    assert first["versions"] == [VERSION, *map(version, ("torch", "torchvision", "numpy"))]
    assert environment.installed() == {"cnncourse", f"cnncourse-{VERSION}.dist-info"}

    second = environment.run(cell, clone="file:///nowhere/at/all")
    assert reported(second) == first
    assert "pip" not in second.stdout + second.stderr


def test_a_torch_that_does_not_fit_is_reported_and_not_replaced(tmp_path, repository):
    environment = Environment(tmp_path / "old", without=("torch-",))
    old = environment.brought / "torch-1.13.0+cu117.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 1.13.0+cu117\n")
    done = environment.run(
        setup_cell("depth_separation", repository=ADDRESS, version=VERSION), clone=repository
    )
    said = done.stdout + done.stderr
    assert "conflicting dependencies" in said
    assert "torch==1.13.0+cu117" in said
    assert "No module named 'cnncourse'" in said
    assert environment.installed() == set()


def test_the_cell_is_short_quoted_and_pinned():
    cell = setup_cell("pooling_lenet", repository="https://github.com/a/b", version="2.3.4")
    assert '"cnncourse @ git+https://github.com/a/b@v2.3.4"' in cell
    assert requirement("https://github.com/a/b", "2.3.4") in cell
    assert len(cell.splitlines()) <= 8
    assert max(map(len, cell.splitlines())) <= 110
    assert cell.endswith('course = notebook.begin("pooling_lenet", BUDGET)')
