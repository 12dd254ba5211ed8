import json
import re
import shlex
import subprocess
import sys

import pytest

from cnncourse import records
from cnncourse.cli import main
from cnncourse.cli.parser import build_parser
from cnncourse.recipes import RECIPES

COMMANDS = (
    *("train", "evaluate", "predict", "models", "datasets"),
    *("record", "reproduce", "records", "bench", "doctor"),
)


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from cnncourse.cli import main; assert main(['--help']) == 0; "
        f"assert all(main([command, '--help']) == 0 for command in {COMMANDS}); "
        "heavy = {'torch', 'numpy', 'matplotlib', 'sklearn', 'tqdm', 'torchvision'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "lenet-mnist" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_examples_that_parse(command, capsys):
    assert main([command, "--help"]) == 0
    out = capsys.readouterr().out
    examples = [
        re.split(" {2,}", line.strip())[0] for line in out.splitlines() if f"  cnncourse {command}" in line
    ]
    assert examples
    parser = build_parser()
    for example in examples:
        parser.parse_args(shlex.split(example)[1:])


def test_module_runs():
    done = subprocess.run(
        [sys.executable, "-m", "cnncourse", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("cnncourse 0.")


def test_record_writes_what_it_prints(tmp_path, capsys):
    arguments = ["record", "lenet-mnist", "--budget", "smoke", "--seeds", "5", "--device", "cpu"]
    assert main([*arguments, "--output", str(tmp_path), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == records.load("lenet-mnist", tmp_path).to_dict()
    assert err.startswith("seed 5: ")
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    out, _ = capsys.readouterr()
    assert "test accuracy" in out
    assert out.strip().endswith(f"written to {tmp_path / 'lenet-mnist.json'}")


def test_list_of_records(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(records.store, "course_root", lambda: tmp_path)
    assert main(["records"]) == 0
    assert "nothing is recorded yet" in capsys.readouterr().out
    folder = tmp_path / "data" / "results"
    main(
        [
            "record",
            "mlp-mnist",
            "--budget",
            "smoke",
            "--seeds",
            "0",
            "--device",
            "cpu",
            "--output",
            str(folder),
        ]
    )
    capsys.readouterr()
    assert main(["records"]) == 0
    assert capsys.readouterr().out.startswith("mlp-mnist: ")
    assert main(["records", "--json"]) == 0
    assert [record["name"] for record in json.loads(capsys.readouterr().out)] == ["mlp-mnist"]
    (folder / "mlp-mnist.json").write_text("{", encoding="utf-8")
    assert main(["records"]) == 2
    assert "mlp-mnist.json is not JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["record", "lenet-moon"], f"no recipe 'lenet-moon'; choose one of {', '.join(RECIPES)}"),
        (["record", "lenet-mnist", "--seeds", "one"], "invalid int value: 'one'"),
        (["record", "lenet-mnist", "--budget", "smoke"], "budget 'smoke' needs --output FOLDER"),
        (
            ["record", "lenet-mnist", "--budget", "smoke", "--seeds", "1", "1", "--output", "x"],
            "different numbers",
        ),
        (["record", "lenet-mnist", "--budget", "smoke", "--device", "tpu", "--output", "x"], "got 'tpu'"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_missing_data_and_unwritable_output(tmp_path, capsys, monkeypatch):
    def offline(*_arguments, **_keywords):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    assert main(["record", "lenet-mnist", "--data-root", str(tmp_path)]) == 2
    assert f"put it here: {tmp_path / 'MNIST' / 'raw'}" in capsys.readouterr().err
    (tmp_path / "file").touch()
    bad = str(tmp_path / "file" / "results")
    smoke = ["record", "mlp-mnist", "--budget", "smoke", "--seeds", "0", "--device", "cpu"]
    assert main([*smoke, "--output", bad]) == 2
    assert bad in capsys.readouterr().err


def test_training_that_fails_is_explained(monkeypatch, capsys, tmp_path):
    def diverge(*_arguments, **_keywords):
        from cnncourse.training import TrainingError

        raise TrainingError("the loss must be a finite number, got nan")

    monkeypatch.setattr("cnncourse.recipes.recording.train_once", diverge)
    assert main(["record", "mlp-mnist", "--budget", "smoke", "--output", str(tmp_path)]) == 2
    assert "mlp-mnist: the loss must be a finite number" in capsys.readouterr().err


def test_ctrl_c(monkeypatch, capsys, tmp_path):
    def interrupt(*_arguments, **_keywords):
        raise KeyboardInterrupt

    monkeypatch.setattr("cnncourse.recipes.recording.train_once", interrupt)
    assert main(["record", "mlp-mnist", "--budget", "smoke", "--output", str(tmp_path)]) == 130
    assert "stopped" in capsys.readouterr().err
