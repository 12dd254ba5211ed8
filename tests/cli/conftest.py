import json

import pytest

from cnncourse.cli import main

TRAIN = ["train", "lenet-mnist", "--budget", "smoke", "--device", "cpu", "--set", "epochs=60"]


@pytest.fixture(scope="session")
def train_command():
    """Return what trains the shared run, but for its folder."""
    return TRAIN


@pytest.fixture(scope="session")
def digit_run(tmp_path_factory):
    """Return the folder of a network that has learnt 200 digits, never changed by a test."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main([*TRAIN, "--output", str(folder)]) == 0
    return folder


@pytest.fixture
def told(capsys):
    """Run a command with ``--json`` and return what it printed."""

    def run(*arguments, code=0):
        capsys.readouterr()
        assert main([*map(str, arguments), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def refused(capsys):
    """Run a command that must be refused and return its message."""

    def run(*arguments):
        capsys.readouterr()
        assert main([*map(str, arguments)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert "Traceback" not in err
        return err

    return run
