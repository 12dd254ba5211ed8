"""The race of nineteen layers: its network, its starts, and the record of a short run."""

import itertools

import pytest
import torch
from torch import nn

from cnncourse import inspection
from cnncourse.recipes import RECIPES, deep_start


def kinds(model, *wanted):
    return sum(isinstance(module, wanted) for module in model.modules())


def test_the_stack_has_the_nineteen_layers_of_vgg_19():
    model = deep_start.vgg_like(nn.BatchNorm2d)
    assert (kinds(model, nn.Conv2d), kinds(model, nn.Linear)) == (16, 3)
    assert (kinds(model, nn.ReLU), kinds(model, nn.BatchNorm2d)) == (18, 16)
    assert isinstance(model[-1], nn.Linear)
    sides = [row.shape[-1] for row in inspection.shape_trace(model, (1, 1, 16, 16)) if row.kind == "Conv2d"]
    assert sides == [16] * 2 + [8] * 2 + [4] * 4 + [2] * 8


def test_its_parameters_add_up():
    # 9 · in · out + out for each convolution, in · out + out for each linear layer
    channels = [1, 8, 8, 16, 16, 24, 24, 24, 24, 32, 32, 32, 32, 32, 32, 32, 32]
    by_hand = sum((9 * i + 1) * o for i, o in itertools.pairwise(channels))
    by_hand += 33 * 64 + 65 * 64 + 65 * 10
    assert inspection.count_parameters(deep_start.vgg_like()) == by_hand


def test_widths_are_five():
    with pytest.raises(ValueError, match="five numbers"):
        deep_start.vgg_like(widths=(8, 8))


@pytest.mark.parametrize(
    ("name", "deviation"),
    [
        ("naive", 0.01),
        ("default", (3 * 64) ** -0.5),
        ("Xavier", (2 / 128) ** 0.5),
        ("He", (2 / 64) ** 0.5),
        ("He + batch norm", (2 / 64) ** 0.5),
    ],
)
def test_a_start_has_the_deviation_of_its_rule(name, deviation):
    torch.manual_seed(0)
    middle = deep_start.started(name)[-3]  # 64 to 64: 4,096 weights
    assert float(middle.weight.detach().std()) == pytest.approx(deviation, rel=0.05)


def test_the_norm_is_where_the_name_says():
    for name in deep_start.STARTS:
        norms = kinds(deep_start.started(name), nn.BatchNorm2d)
        assert norms == (16 if "batch norm" in name else 0), name


def test_a_short_race_is_recorded(monkeypatch):
    monkeypatch.setattr(deep_start, "RATES", (0.001, 0.003))
    monkeypatch.setattr(deep_start, "STARTS", {k: deep_start.STARTS[k] for k in ("He", "default")})
    lines = []
    record = deep_start.run("smoke", seeds=[0, 3], device="cpu", report=lines.append)
    assert RECIPES[record.name] == record.recipe == "cnncourse.recipes.deep_start"
    assert [line.split(":")[0] for line in lines] == ["He", "default"]
    for number, curve in enumerate(record.curves):
        assert curve["start"] == ["He", "He", "default", "default"]
        assert curve["peak_lr"] == [0.001, 0.003] * 2
        best = curve["peak_lr"].index(record.results["best rate, He"])
        assert curve["test_accuracy"][best] == record.results["best accuracy, He"][number]
    assert type(record).from_dict(record.to_dict()) == record


@pytest.mark.parametrize("seeds", [[], [1, 1]])
def test_seeds_are_different(seeds):
    with pytest.raises(ValueError, match="different"):
        deep_start.run("smoke", seeds=seeds)


def test_an_unknown_budget_is_refused():
    with pytest.raises(ValueError, match="budget"):
        deep_start.run("huge", seeds=[0])
