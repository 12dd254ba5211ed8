"""Style, format and types of the whole repository, as tests."""

import subprocess
import sys

import pytest

from cnncourse.paths import course_root


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["ruff", "check", "."], id="ruff-check"),
        pytest.param(["ruff", "format", "--check", "."], id="ruff-format"),
        pytest.param(["mypy"], id="mypy-strict", marks=pytest.mark.slow),
    ],
)
def test_the_repository_is_clean(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=course_root(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
