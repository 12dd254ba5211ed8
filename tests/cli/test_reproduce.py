"""``record`` to a folder and ``reproduce`` from it."""

import json

import pytest

from cnncourse.cli import main

SETTINGS = ("--set", "milestones=(0.25,0.5)", "--set", "schedule=step", "--set", "epochs=4")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the folder of a record whose settings include a tuple, which JSON does not know."""
    folder = tmp_path_factory.mktemp("records")
    command = ["record", "lenet-mnist", "--budget", "smoke", "--seeds", "0", "1", "--device", "cpu"]
    assert main([*command, *SETTINGS, "--output", str(folder)]) == 0
    return folder


def test_a_record_is_reproduced(recorded, told, capsys):
    agreements = told("reproduce", "lenet-mnist", "--records", recorded, "--device", "cpu")
    assert {one["result"] for one in agreements} >= {"test_accuracy", "test_loss"}
    assert all(one["agrees"] and one["recorded"] == one["measured"] for one in agreements)
    assert (
        main(["reproduce", "lenet-mnist", "--records", str(recorded), "--device", "cpu", "--seeds", "0"]) == 0
    )
    assert "agrees" in capsys.readouterr().out


def test_a_doctored_record_is_found_out(recorded, tmp_path, told, capsys):
    record = json.loads((recorded / "lenet-mnist.json").read_text())
    record["results"]["test_accuracy"] = [0.97, 0.98]
    (tmp_path / "lenet-mnist.json").write_text(json.dumps(record))
    assert main(["reproduce", "lenet-mnist", "--records", str(tmp_path), "--device", "cpu"]) == 1
    assert "test_accuracy: recorded 0.975, now 0." in (out := capsys.readouterr().out)
    assert out.count("DIFFERS") == 1
    agreements = told("reproduce", "lenet-mnist", "--records", tmp_path, "--device", "cpu", code=1)
    assert [one["result"] for one in agreements if not one["agrees"]] == ["test_accuracy"]


def test_a_record_that_is_not_there(recorded, refused):
    said = refused("reproduce", "moon", "--records", recorded)
    assert "there is no record 'moon'; recorded are: lenet-mnist" in said


def test_a_record_with_checkpoints_goes_on(tmp_path, told, capsys):
    command = ["record", "lenet-mnist", "--budget", "smoke", "--seeds", "0", "--device", "cpu"]
    command += ["--name", "mine", "--output", tmp_path, "--checkpoints", tmp_path / "runs"]
    first = told(*command)
    again = told(*command)
    assert first["name"] == again["name"] == "mine"
    assert first["results"] == again["results"]  # durations too: nothing was trained again
    assert (tmp_path / "runs" / "mine-seed-0").is_dir()
