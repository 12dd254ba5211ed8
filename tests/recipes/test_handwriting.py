import json

import pytest
import torch

from cnncourse.augmentation import PadCrop
from cnncourse.datasets import DownloadError
from cnncourse.inspection import count_parameters
from cnncourse.recipes import lenet_mnist, mlp_mnist
from cnncourse.recipes.plan import train_once
from cnncourse.recipes.recording import make_record


def test_rivals_have_the_same_size_data_and_settings():
    assert abs(count_parameters(mlp_mnist.build()) - 61_706) / 61_706 < 0.01
    lenet, mlp = (
        make_record(name, budget="smoke", seeds=[0], device="cpu") for name in ("lenet-mnist", "mlp-mnist")
    )
    differing = {key for key in lenet.settings if lenet.settings[key] != mlp.settings[key]}
    assert differing <= {"channels_last"}  # an MLP has no convolutions to lay out
    assert lenet.data == mlp.data
    assert (lenet.results["parameters"], mlp.results["parameters"]) == (61_706, 62_110)


def test_a_record_says_what_was_done_and_is_json():
    lines = []
    record = make_record("lenet-mnist", budget="smoke", seeds=[3, 4], device="cpu", report=lines.append)
    assert record.name == "lenet-mnist"
    assert record.recipe == "cnncourse.recipes.lenet_mnist"
    assert record.data == {**record.data, "name": "digits", "train_images": 200, "test_images": 100}
    assert len(record.curves[0]["train_loss"]) == record.settings["epochs"] == 3
    assert record.settings["augmentation"] == repr(PadCrop(2))
    assert record.seeds == [3, 4]
    assert [line.split(":")[0] for line in lines] == ["seed 3", "seed 4"]
    assert record.results["test_errors"][0] == round(100 * (1 - record.results["test_accuracy"][0]))
    json.dumps(record.to_dict(), allow_nan=False)
    again = make_record("lenet-mnist", budget="smoke", seeds=[3], device="cpu")
    assert again.curves[0]["train_loss"] == record.curves[0]["train_loss"]  # the seed is the run


def test_weights_come_from_the_seed_and_the_global_generator_is_left_alone():
    plan = mlp_mnist.plan("smoke", device="cpu")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train_once(plan, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_lenet_learns_handwriting_at_the_scale_of_the_book():
    plan = lenet_mnist.plan("book", device="cpu")
    trainer, history = train_once(plan, 0)
    assert trainer.evaluate(plan.test).accuracy > 0.96
    assert history["train_loss"][-1] < 0.2


def test_full_budget_reads_mnist_and_says_when_it_is_not_there(tmp_path, monkeypatch):
    def offline(*_arguments, **_keywords):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(DownloadError, match=r"train-images-idx3-ubyte.gz could not be downloaded"):
        lenet_mnist.plan("full", root=tmp_path)


def test_bad_input():
    with pytest.raises(ValueError, match="'smoke', 'book' or 'full', got 'huge'"):
        lenet_mnist.plan("huge")
    with pytest.raises(ValueError, match=r"different numbers, at least one, got \[\]"):
        make_record("lenet-mnist", budget="smoke", seeds=[])
    with pytest.raises(ValueError, match=r"got \[1, 1\]"):
        make_record("lenet-mnist", budget="smoke", seeds=[1, 1])
