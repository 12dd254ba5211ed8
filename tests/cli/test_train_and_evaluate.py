"""``train`` into a folder, and ``evaluate`` what lies there."""

import csv
import json
import shutil
import sys
from xml.etree import ElementTree

import pytest

from cnncourse.cli import main
from cnncourse.cli.options import parse_options, say
from cnncourse.progress import progress_bar

SMOKE = ("--budget", "smoke", "--device", "cpu")


def test_the_folder_of_a_run(digit_run):
    assert sorted(path.name for path in digit_run.iterdir()) == [
        "checkpoints", "curves.svg", "history.csv", "history.json", "run.json",
    ]  # fmt: skip
    assert json.loads((digit_run / "run.json").read_text()) == {
        "recipe": "lenet-mnist",
        "budget": "smoke",
        "seed": 0,
        "options": {},
        "set": {"epochs": 60},
    }
    columns = json.loads((digit_run / "history.json").read_text())
    rows = list(csv.DictReader((digit_run / "history.csv").open()))
    assert [float(row["train_loss"]) for row in rows] == columns["train_loss"]
    assert columns["epoch"] == list(range(1, 61))
    assert ElementTree.parse(digit_run / "curves.svg").getroot().tag.endswith("svg")


def test_the_same_command_again_finishes_at_once_with_the_same_result(digit_run, train_command, told, capsys):
    before = {path: path.stat().st_mtime_ns for path in (digit_run / "checkpoints").glob("step-*")}
    assert main([*train_command, "--output", str(digit_run)]) == 0
    out, err = capsys.readouterr()
    assert "60 of 60 passes done" in err
    assert "pass 1 " not in err
    assert out.splitlines()[0] == f"folder    {digit_run}"
    measured = told(*train_command, "--output", digit_run)
    assert measured["accuracy"] > 0.9
    assert measured["errors"] == round(100 * (1 - measured["accuracy"]))
    assert {path: path.stat().st_mtime_ns for path in (digit_run / "checkpoints").glob("step-*")} == before


def test_evaluate_repeats_what_train_said(digit_run, train_command, told):
    trained = told(*train_command, "--output", digit_run)
    newest = max((digit_run / "checkpoints").iterdir())
    for place in (digit_run, digit_run / "checkpoints", newest):
        measured = told("evaluate", place, "--device", "cpu")
        assert measured.pop("network") == "lenet5"
        assert measured.pop("weights", None) == (None if place == newest else "last")
        assert measured == {key: value for key, value in trained.items() if key not in ("folder", "weights")}
    assert trained["weights"] == "last"


def test_evaluate_on_other_data(digit_run, told, capsys):
    measured = told("evaluate", digit_run, "--data", "digits", "--option", "side=32", "--device", "cpu")
    assert measured["images"] == 450
    assert measured["accuracy"] > 0.8  # learnt from 200 of them, measured on more than the run did
    learnt = told(
        *(
            "evaluate",
            digit_run,
            "--data",
            "digits",
            "--option",
            "side=32",
            "--split",
            "train",
            "--device",
            "cpu",
        )
    )
    assert learnt["images"] == 1347
    assert main(["evaluate", str(digit_run), "--device", "cpu"]) == 0
    assert "accuracy  0.9" in capsys.readouterr().out


def test_a_lone_checkpoint_needs_the_name_of_the_data(digit_run, tmp_path, told, refused):
    lone = shutil.copy(max((digit_run / "checkpoints").iterdir()), tmp_path / "weights.safetensors")
    assert "does not say which data it was trained for; name them with --data" in refused("evaluate", lone)
    assert (
        told("evaluate", lone, "--data", "digits", "--option", "side=32", "--device", "cpu")["images"] == 450
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "patches"], "takes 1 channel(s) an image, Patches of photographs has 3"),
        (["--data", "pets", "--data-root", "/nonexistent/place"], "/nonexistent"),
        (["--data", "moon"], "no data set 'moon'"),
        (["--data", "digits", "--split", "banana"], "'train', 'val' or 'test', got 'banana'"),
        (["--split", "train"], "name a data set with --data"),
        (["--data", "digits", "--option", "colour=3"], "colour"),
    ],
)
def test_evaluate_refuses(arguments, message, digit_run, refused, monkeypatch):
    def offline(*_arguments, **_keywords):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    assert message in refused("evaluate", digit_run, *arguments)


def test_evaluate_nothing(tmp_path, refused):
    assert f"there is no checkpoint at {tmp_path}" in refused("evaluate", tmp_path)
    (tmp_path / "text.safetensors").write_text("not a checkpoint")
    assert "damaged or no safetensors file" in refused("evaluate", tmp_path / "text.safetensors")


def test_another_run_is_kept_out_of_the_folder(digit_run, train_command, refused):
    output = ("--output", digit_run)
    said = refused("train", "mlp-mnist", *SMOKE, "--set", "epochs=60", *output)
    assert "holds another run, of recipe 'lenet-mnist', not 'mlp-mnist'; choose another --output" in said
    assert "of seed 0, not 1" in refused(*train_command, "--seed", 1, *output)
    assert "'epochs': 60}, not {'epochs': 5}" in refused(
        "train", "lenet-mnist", *SMOKE, "--set", "epochs=5", *output
    )
    assert "resume='auto'" in refused(*train_command, "--resume", "never", *output)


def test_a_command_that_failed_does_not_block_its_folder(tmp_path, refused, told):
    output = ("--output", tmp_path / "run")
    patches = ("train", "classifier", *SMOKE, "--option", "model=mlp")
    assert "1024 numbers" in refused(*patches, "--option", "data=digits", *output)  # digits have 8 x 8
    measured = told(*patches, "--option", "data=digits", "--option", "side=32", *output)
    assert measured["images"] == 256
    assert "unknown model 'resnet21'" in refused(
        *("train", "resnet-cifar10", *SMOKE, "--option", "depth=21", "--output", tmp_path / "other")
    )
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--set", "epochs=four"],
            "setting epochs has a value of the wrong kind: it must be a whole number, got 'four'",
        ),
        (["--set", "epochs=2.5"], "must be a whole number, got 2.5"),
        (["--set", "epochs=0"], "epochs must be at least 1, got epochs=0"),
        (["--set", "epochs=true"], "must be a whole number, got True"),
        (["--set", "deterministic=maybe"], "must be true or false, got 'maybe'"),
        (["--set", "clip_norm=tight"], "must be a number or None, got 'tight'"),
        (["--set", "milestones=0.5"], "must be numbers such as (0.5,0.75), got 0.5"),
        (["--set", "milestones=('a',)"], "wrong kind"),
        (["--set", "schedule=zigzag"], "schedule must be one of"),
        (
            ["--set", "learning_rate=1"],
            "there is no setting named learning_rate; there are: epochs, batch_size",
        ),
        (["--set", "seed=1"], "there is no setting named seed"),
        (["--set", "epochs"], "written NAME=VALUE, such as epochs=5, got 'epochs'"),
        (["--set", "epochs=1", "--set", "epochs=2"], "epochs is given twice"),
        (["--option", "depth=3"], "there is no option of lenet-mnist named depth; there are: none"),
        (["--save-every", "0"], "save_every must be at least 1 step"),
        (["--resume", "nowhere.safetensors"], "nowhere.safetensors does not exist"),
        (["--set", "early_stopping=2"], "early_stopping=2 watches the validation loss"),
        (["--set", "peak_lr=1e9"], "the loss must be a finite number"),
        (["--seed", "one"], "invalid int value: 'one'"),
        (["--budget", "huge"], "invalid choice: 'huge'"),
    ],
)
def test_train_refuses(arguments, message, tmp_path, refused):
    assert message in refused("train", "lenet-mnist", *SMOKE, "--output", tmp_path / "run", *arguments)


def test_train_refuses_places_and_names(tmp_path, refused):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        said = refused("train", "lenet-mnist", *SMOKE, "--output", place)
        assert f"{place} must be a folder that can be written" in said
    assert (
        "there is no recipe 'lenet'; choose one of ablation-atlas, alexnet-switches, classifier"
        in refused("train", "lenet", *SMOKE)
    )
    assert "use: cnncourse record sawtooth-race" in refused("train", "sawtooth-race", *SMOKE)
    assert "option depth has a value of the wrong kind: it must be a whole number, got 'abc'" in refused(
        "train", "resnet-cifar10", *SMOKE, "--option", "depth=abc"
    )


def test_an_extra_that_is_not_installed_is_named(tmp_path, refused, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    said = refused("train", "lenet-mnist", *SMOKE, "--tensorboard", "--output", tmp_path / "run")
    assert "pip install tensorboard" in said


@pytest.mark.filterwarnings("default::UserWarning")
def test_truncated_checkpoints(digit_run, train_command, tmp_path, refused, capsys):
    folder = shutil.copytree(digit_run, tmp_path / "run")
    main([*train_command, "--output", str(digit_run), "--json"])
    expected = json.loads(capsys.readouterr().out)
    files = sorted((folder / "checkpoints").glob("step-*"))
    files[-1].write_bytes(files[-1].read_bytes()[:1000])
    assert main([*train_command, "--output", str(folder), "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith(f"cnncourse: warning: {files[-1]} is truncated")
    assert ".py:" not in err
    assert "59 of 60 passes done" in err
    assert {**json.loads(out), "folder": None} == {**expected, "folder": None}
    for file in (folder / "checkpoints").glob("step-*"):
        file.write_bytes(file.read_bytes()[:1000])
    assert "can be read" in refused(*train_command, "--output", folder)
    assert "is truncated" in refused("evaluate", folder)


def test_a_damaged_run_file(digit_run, train_command, tmp_path, refused):
    folder = shutil.copytree(digit_run, tmp_path / "run")
    for text in ("{", "[]", '{"recipe": "lenet-mnist"}'):
        (folder / "run.json").write_text(text)
        assert "run.json is not what `cnncourse train` writes" in refused(*train_command, "--output", folder)
        assert "run.json is not what `cnncourse train` writes" in refused("evaluate", folder)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("0.1", 0.1),
        ("1e-3", 1e-3),
        ("None", None),
        ("true", True),
        ("False", False),
        ("(0.5,0.75)", (0.5, 0.75)),
        ("resnet20", "resnet20"),
        ("'2024'", "2024"),
        ("a=b", "a=b"),
        ("", ""),
        ("photos/my cats", "photos/my cats"),
    ],
)
def test_values_of_options(text, value):
    parsed = parse_options([f"val-fraction={text}"])
    assert parsed == {"val_fraction": value}
    assert type(parsed["val_fraction"]) is type(value)


def test_a_line_does_not_run_into_the_bar(capsys, monkeypatch):
    with progress_bar("training", total=2, unit="step", show=True) as advance:
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        advance(1)
        say("pass 1")
    assert "\rpass 1\n" in capsys.readouterr().err  # the bar is wiped before, and drawn again below
