import importlib
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.datasets import DownloadError
from cnncourse.inspection import count_parameters
from cnncourse.recipes import RECIPES, lenet_mnist, mlp_mnist
from cnncourse.recipes.handwriting import draw_shifts, setup, shift_images, train_once


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=4), st.integers(0, 99)
)
def test_shift_is_its_definition(shifts, seed):
    images = torch.randint(
        1, 256, (len(shifts), 2, 5, 4), generator=torch.Generator().manual_seed(seed)
    ).byte()
    moved = shift_images(images, torch.tensor(shifts))
    for n, (down, right) in enumerate(shifts):
        for y in range(5):
            for x in range(4):
                inside = 0 <= y - down < 5 and 0 <= x - right < 4
                expected = images[n, :, y - down, x - right] if inside else torch.zeros(2, dtype=torch.uint8)
                assert torch.equal(moved[n, :, y, x], expected)


def test_shifts_cover_all_directions_evenly():
    shifts = draw_shifts(25_000, 2, torch.Generator().manual_seed(0))
    counts = torch.bincount((shifts[:, 0] + 2) * 5 + shifts[:, 1] + 2, minlength=25)
    assert shifts.abs().max() == 2
    assert (counts - 1000).abs().max() < 150  # five standard deviations of a fair draw
    assert torch.equal(shifts, draw_shifts(25_000, 2, torch.Generator().manual_seed(0)))


def test_rivals_have_the_same_size_data_and_settings():
    assert abs(count_parameters(mlp_mnist.build()) - 61_706) / 61_706 < 0.01
    lenet, mlp = (recipe.run("smoke", seeds=[0], device="cpu") for recipe in (lenet_mnist, mlp_mnist))
    assert (lenet.settings, lenet.data) == (mlp.settings, mlp.data)
    assert (lenet.results["parameters"], mlp.results["parameters"]) == (61_706, 62_110)


def test_a_record_says_what_was_done_and_is_json():
    lines = []
    record = lenet_mnist.run("smoke", seeds=[3, 4], device="cpu", report=lines.append)
    assert record.name == "lenet-mnist"
    assert record.recipe == "cnncourse.recipes.lenet_mnist"
    assert record.data == {**record.data, "name": "digits", "train_images": 200, "test_images": 100}
    assert len(record.curves[0]["train_loss"]) == record.settings["epochs"] == 3
    assert record.seeds == [3, 4]
    assert [line.split(":")[0] for line in lines] == ["seed 3", "seed 4"]
    assert record.results["test_errors"][0] == round(100 * (1 - record.results["test_accuracy"][0]))
    json.dumps(record.to_dict(), allow_nan=False)
    again = lenet_mnist.run("smoke", seeds=[3], device="cpu")
    assert again.curves[0]["train_loss"] == record.curves[0]["train_loss"]  # the seed is the run


def test_weights_come_from_the_seed_and_the_global_generator_is_left_alone():
    plan = setup("smoke", device="cpu")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    train_once(mlp_mnist.build, plan, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_lenet_learns_handwriting_at_the_scale_of_the_book():
    plan = setup("book", device="cpu")
    trainer, history = train_once(lenet_mnist.LeNet5, plan, 0)
    assert trainer.evaluate(plan.test).accuracy > 0.96
    assert history["train_loss"][-1] < 0.2


def test_full_budget_reads_mnist_and_says_when_it_is_not_there(tmp_path, monkeypatch):
    def offline(*_arguments, **_keywords):
        raise OSError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(DownloadError, match=r"train-images-idx3-ubyte.gz could not be downloaded"):
        setup("full", root=tmp_path)


def test_every_listed_recipe_can_run():
    for name, module in RECIPES.items():
        recipe = importlib.import_module(module)
        assert name == recipe.NAME
        assert recipe.TITLE
        assert callable(recipe.run)


def test_bad_input():
    with pytest.raises(ValueError, match="'smoke', 'book' or 'full', got 'huge'"):
        setup("huge")
    with pytest.raises(ValueError, match=r"different numbers, at least one, got \[\]"):
        lenet_mnist.run("smoke", seeds=[])
    with pytest.raises(ValueError, match=r"got \[1, 1\]"):
        lenet_mnist.run("smoke", seeds=[1, 1])
