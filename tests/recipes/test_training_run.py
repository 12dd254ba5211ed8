import json

import pytest
import torch
from PIL import Image

from cnncourse.models import LeNet5
from cnncourse.recipes.restored import trained_network
from cnncourse.recipes.training_run import evaluate_run, train_into
from cnncourse.training import CheckpointError, CheckpointFolder, TrainConfig, Trainer


def train(folder, recipe="lenet-mnist", *, options=None, changes=None, **more):
    return train_into(
        folder,
        recipe=recipe,
        budget="smoke",
        seed=0,
        options=options or {},
        changes=changes or {},
        device="cpu",
        **more,
    )


DIGITS = {"data": "digits", "model": "lenet5", "side": 32, "flip": False}


def numbers(outcome):
    return {key: value for key, value in outcome.items() if key not in ("folder", "network", "weights")}


def test_every_pass_is_reported_and_the_default_folder_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = []
    outcome = train(None, report=lines.append)
    assert outcome["folder"] == "runs/lenet-mnist-smoke-seed-0"
    assert [line.split(":")[0] for line in lines[1:]] == ["pass 1 of 3", "pass 2 of 3", "pass 3 of 3"]
    assert "0 of 3 passes done" in lines[0]


@pytest.mark.parametrize(
    ("recipe", "options", "changes"),
    [
        ("mlp-mnist", {}, {}),
        ("lenet-fashion", {}, {"ema_decay": 0.5}),  # measured by its moving average
        ("folder-finetune", {}, {}),  # files, cut to another size than the recipe's default
        ("lenet-mnist", {}, {"precision": "bf16"}),
    ],
)
def test_evaluate_gives_the_numbers_of_the_run(recipe, options, changes, tmp_path):
    outcome = train(tmp_path, recipe, options=options, changes=changes)
    assert numbers(evaluate_run(tmp_path, device="cpu")) == numbers(outcome)


def test_the_best_checkpoint_is_restored_where_there_is_one(tmp_path):
    train(tmp_path, "classifier", options=DIGITS, changes={"epochs": 4, "peak_lr": 0.3})
    best = CheckpointFolder(tmp_path / "checkpoints").best()
    network = trained_network(tmp_path)
    assert best is not None
    assert network.weights == "best"
    assert evaluate_run(tmp_path, device="cpu")["weights"] == "best"
    for name, value in network.model.state_dict().items():
        assert torch.equal(value, best["model"][name])
    assert not network.model.training
    assert (network.name, network.input_shape, len(network.classes)) == ("lenet5", (1, 32, 32), 10)
    assert network.normalisation.mean == tuple(best["normalisation"]["mean"])


def test_best_and_last_weights_are_chosen_by_name(tmp_path):
    last = train(tmp_path, "classifier", options=DIGITS, changes={"epochs": 4, "peak_lr": 0.3})
    assert numbers(evaluate_run(tmp_path, device="cpu", weights="last")) == numbers(last)
    file = CheckpointFolder(tmp_path / "checkpoints").latest_path()
    with pytest.raises(
        ValueError, match="is one checkpoint; give the folder of its run to choose the best weights"
    ):
        trained_network(file, "best")
    train(tmp_path / "all", changes={"epochs": 2})  # this recipe holds nothing out
    with pytest.raises(CheckpointError, match="the run held no images out; ask for the last weights"):
        trained_network(tmp_path / "all", "best")


def test_lists_of_a_run_file_are_the_tuples_they_were(tmp_path):
    changes = {"schedule": "step", "milestones": (0.5,)}
    first = train(tmp_path, changes=changes)
    assert json.loads((tmp_path / "run.json").read_text())["set"]["milestones"] == [0.5]
    assert train(tmp_path, changes=changes) == first
    assert numbers(evaluate_run(tmp_path, device="cpu")) == numbers(first)


def test_saved_within_a_pass(tmp_path):
    said = []
    train(tmp_path, save_every=2, changes={"batch_size": 64, "epochs": 2})  # 4 steps a pass
    kept = sorted((tmp_path / "checkpoints").glob("step-*"))
    assert [file.name for file in kept] == [f"step-{step:08}.safetensors" for step in (4, 6, 8)]
    kept[-1].unlink()
    train(tmp_path, save_every=2, changes={"batch_size": 64, "epochs": 2}, report=said.append)
    assert [line.split(":")[0] for line in said[1:]] == ["pass 2 of 2"]  # from its third step on
    with pytest.raises(ValueError, match="save_every must be at least 1 step, or None for each pass, got -1"):
        train(tmp_path / "other", save_every=-1)


def test_a_network_of_one_s_own_is_not_rebuilt(tmp_path):
    from cnncourse.datasets import load

    trainer = Trainer(LeNet5(), TrainConfig(epochs=1, device="cpu"))
    trainer.fit(load("digits", "test", side=32).select(slice(64)), checkpoints=tmp_path)
    with pytest.raises(CheckpointError, match=r"only networks made by cnncourse\.models\.build"):
        trained_network(tmp_path)


def test_data_that_do_not_fit(tmp_path):
    train(tmp_path)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / "test" / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / "photos" / "test" / name / "black.png")
    with pytest.raises(ValueError, match="tells 10 classes apart, photos has 2"):
        evaluate_run(tmp_path, data="folder", options={"path": str(tmp_path / "photos")}, device="cpu")
