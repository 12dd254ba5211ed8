"""Units that never answer: set by hand, over batches, over uses of one layer."""

import json

import pytest
import torch
from torch import nn

from cnncourse.inspection import dead_units


def test_units_are_channels_and_numbers_of_vectors():
    conv = nn.Conv2d(1, 3, 1)
    conv.weight.data = torch.tensor([1.0, 0.0, -1.0]).view(3, 1, 1, 1)
    conv.bias.data = torch.tensor([0.0, -1.0, 0.0])
    model = nn.Sequential(conv, nn.ReLU(inplace=True), nn.Flatten(), nn.ReLU6())
    positive = torch.rand(2, 1, 2, 2) + 0.1
    found = dead_units(model, positive)
    assert found["1"].dead_units == (1, 2)  # x, -1 and -x of positive x
    assert (found["1"].units, found["1"].dead, found["1"].share) == (3, 2, 2 / 3)
    assert found["3"].dead_units == tuple(range(4, 12))  # positions are units of their own once flat
    assert (found.units, found.dead, found.images) == (15, 10, 2)
    one_pixel = positive.clone()
    one_pixel[1, 0, 0, 1] = -1
    assert dead_units(model, one_pixel)["1"].dead_units == (1,)


def test_batches_count_together():
    model = nn.Sequential(nn.ReLU())
    first, second = torch.tensor([[1.0, -1.0, -1.0]]), torch.tensor([[-1.0, 2.0, -1.0]])
    together = dead_units(model, torch.cat([first, second]))
    assert together.rows[0].dead_units == (2,)
    assert dead_units(model, [first, second]) == together
    assert dead_units(model, iter([(first, torch.tensor([0])), (second, torch.tensor([1]))])) == together


def test_each_use_of_a_layer_has_units_of_its_own():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(1 - self.relu(x))

    found = dead_units(Twice(), [torch.tensor([[2.0, -1.0]]), torch.tensor([[3.0, -2.0]])])
    assert [(row.call, row.dead_units) for row in found] == [(1, (1,)), (2, (0,))]


def test_batch_norm_by_the_batch_or_by_its_averages():
    model = nn.Sequential(nn.BatchNorm1d(1), nn.ReLU())
    images = torch.tensor([[-5.0], [-6.0], [-7.0]])
    assert dead_units(model, images).dead == 1  # the fresh averages leave all below zero
    assert dead_units(model, images, training=True).dead == 0
    assert model[0].num_batches_tracked == 0
    assert model.training


def test_other_layers_can_be_named():
    model = nn.Sequential(nn.Linear(2, 2), nn.Hardswish())
    with pytest.raises(ValueError, match="Sequential has no ReLU or ReLU6 module; name the layers"):
        dead_units(model, torch.zeros(1, 2))
    assert dead_units(model, torch.zeros(1, 2), layers=[nn.Hardswish]).units == 2


def test_tables():
    found = dead_units(nn.Sequential(nn.ReLU()), torch.tensor([[1.0, -1.0]]))
    assert str(found).splitlines()[-1].split() == ["1", "images", "2", "1", "50.0%"]
    assert 'class="cnn-table cnn-dead-units"' in found._repr_html_()
    assert json.loads(json.dumps(found.to_dict()))["rows"][0]["dead_units"] == [1]


def test_refusals():
    model = nn.Sequential(nn.ReLU())
    with pytest.raises(ValueError, match="there is no batch of images"):
        dead_units(model, [])
    with pytest.raises(ValueError, match=r"got shape \(0, 2\)"):
        dead_units(model, [torch.zeros(0, 2)])
    with pytest.raises(ValueError, match="images must be finite"):
        dead_units(model, torch.full((1, 2), float("inf")))
    with pytest.raises(ValueError, match="images must be a tensor"):
        dead_units(model, ["a"])

    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.relu = nn.ReLU()

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match="layers relu take no part in the forward pass of Unused"):
        dead_units(Unused(), torch.zeros(1, 2))
    broken = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    nn.init.constant_(broken[0].weight, float("nan"))
    with pytest.raises(ValueError, match=r"output of layer 1 .* it is NaN somewhere"):
        dead_units(broken, torch.zeros(1, 2))
    assert not any(module._forward_hooks for module in broken.modules())
