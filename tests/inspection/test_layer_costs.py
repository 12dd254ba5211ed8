"""What layers cost: worked out by hand, and as many as torch counts and autograd keeps."""

import json
import re

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from cnncourse.inspection import count_multiply_adds, count_parameters, layer_costs
from cnncourse.models import LeNet5
from cnncourse.models.catalogue import CATALOGUE


def column(costs, field):
    return {(row.name, row.call): getattr(row, field) for row in costs if getattr(row, field)}


def test_a_convolution_by_hand():
    # 8 filters of 3 channels / 1 group x 5 x 5 with biases; 11 = (24 + 2 * 1 - 5) // 2 + 1 outputs a side
    (row,) = layer_costs(nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=1)), (4, 3, 24, 24))
    assert row.shape == (4, 8, 11, 11)
    assert row.parameters == 8 * 75 + 8
    assert row.multiply_adds == 4 * 8 * 121 * 75
    assert row.flops == 2 * row.multiply_adds
    assert row.outputs == 4 * 8 * 121
    assert row.activation_bytes == 0  # it needs its input again, which are the images


def test_lenet_by_hand():
    costs = layer_costs(LeNet5(activation="tanh", pool="mean"), (2, 1, 32, 32))
    assert costs.multiply_adds == count_multiply_adds(LeNet5(), (2, 1, 32, 32)) == 2 * 416_520
    assert costs.parameters == 61_706
    # a tanh needs its answer; so do the convolution and the product behind it; mean pooling needs nothing of
    # its input but its shape, and yet torch keeps it
    assert column(costs, "activation_bytes") == {
        ("act1", 1): 4 * 2 * 6 * 28 * 28,
        ("s2", 1): 4 * 2 * 6 * 14 * 14,
        ("act3", 1): 4 * 2 * 16 * 10 * 10,
        ("s4", 1): 4 * 2 * 16 * 5 * 5,
        ("act5", 1): 4 * 2 * 120,
        ("act6", 1): 4 * 2 * 84,
    }
    half = layer_costs(LeNet5(activation="tanh", pool="mean"), (2, 1, 32, 32), dtype=torch.bfloat16)
    assert (half.activation_bytes, half.dtype) == (costs.activation_bytes // 2, "bfloat16")


def test_in_place_or_not_keeps_as_much():
    shape = (1, 2, 4, 4)
    for inplace in (False, True):
        model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(inplace), nn.Conv2d(2, 2, 1), nn.Flatten())
        assert layer_costs(model, shape).activation_bytes == 4 * 32  # the ReLU's answer, kept once
    deep = nn.Sequential(nn.Conv2d(2, 2, 1), nn.BatchNorm2d(2), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 1))
    # batch norm needs what it reads, and the mean and the spread of its two channels
    assert column(layer_costs(deep, shape), "activation_bytes") == {("0", 1): 128, ("1", 1): 128 + 16}


def test_frozen_layers_keep_less():
    model = nn.Sequential(nn.Conv2d(2, 2, 1), nn.Tanh(), nn.Flatten(), nn.Linear(32, 3))
    model[0].requires_grad_(False)
    assert column(layer_costs(model, (1, 2, 4, 4)), "activation_bytes") == {("1", 1): 128}
    model[3].requires_grad_(False)
    assert layer_costs(model, (1, 2, 4, 4)).activation_bytes == 0


class Outside(nn.Module):
    """A layer used twice, a parameter without a layer, a layer that never runs and a product by a function."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.scale = nn.Parameter(torch.ones(3))
        self.never = nn.Linear(3, 7)

    def forward(self, x):
        return self.lin(self.lin(x) * self.scale) @ self.lin.weight


def test_a_layer_used_twice_and_what_is_outside_layers():
    costs = layer_costs(Outside(), (5, 3))
    assert column(costs, "parameters") == {("lin", 1): 12, ("(outside layers)", 1): 3 + 28}
    assert column(costs, "multiply_adds") == {("lin", 1): 45, ("lin", 2): 45, ("(outside layers)", 1): 45}
    assert costs.parameters == count_parameters(Outside())
    # kept: both answers of the layer, for the scale and for the product, and the scaled one for the layer
    assert costs.activation_bytes == 3 * 4 * 15


def kept_by_autograd(model, images):
    given = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers(), images)}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        _output = model(images)
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in given)


# the least costly network of every paper, whatever the catalogue holds; the totals of all are tested with the models
COUNTED = {entry.paper: entry for entry in sorted(CATALOGUE, key=lambda entry: -entry.multiply_adds)}


@pytest.mark.parametrize("entry", COUNTED.values(), ids=lambda entry: entry.name)
def test_as_torch_counts_for_all_papers(entry):
    with torch.device("meta"):
        model = entry.builder(num_classes=10, in_channels=entry.in_channels).eval()
    shape = (2, entry.in_channels, entry.side, entry.side)
    costs = layer_costs(model, shape)
    with FlopCounterMode(display=False) as theirs:
        model(torch.empty(shape, device="meta"))
    assert costs.flops == theirs.get_total_flops()
    assert costs.parameters == count_parameters(model)
    assert costs.activation_bytes > 0
    names = set(dict(model.named_modules()))
    assert {row.name for row in costs} <= {*names, "(outside layers)"}


@pytest.mark.parametrize("name", ["resnet20", "plain20", "mobilenet_v2", "resnet18_cifar", "lenet5"])
def test_as_many_bytes_as_autograd_really_keeps(name):
    (entry,) = (entry for entry in CATALOGUE if entry.name == name)
    model = entry.builder(num_classes=10, in_channels=entry.in_channels).train()
    for module in model.modules():
        module.training = not isinstance(module, nn.Dropout)  # its mask is not counted
    side = min(entry.side, 64)
    images = torch.randn(2, entry.in_channels, side, side)
    assert layer_costs(model, images.shape).activation_bytes == kept_by_autograd(model, images)


def test_nothing_is_computed_changed_or_left():
    with torch.device("meta"):  # 4 TB of weights
        large = nn.Sequential(nn.Conv2d(1000, 100_000, 3), nn.Conv2d(100_000, 1_000_000, 1))
    assert layer_costs(large, (1, 1000, 102, 102)).multiply_adds == 10**4 * (10**5 * 9000 + 10**11)
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Dropout()).train()
    model[1].eval()
    layer_costs(model, (2, 3, 4, 4))
    assert [module.training for module in model] == [True, False, True]
    assert model[1].num_batches_tracked == 0
    with pytest.raises(RuntimeError):
        layer_costs(model, (1, 4, 4, 4))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert [module.training for module in model] == [True, False, True]


def test_tables_and_dictionary():
    costs = layer_costs(LeNet5(), (1, 1, 32, 32))
    lines = str(costs).splitlines()
    assert re.split(r"  +", lines[0]) == [
        *("layer", "kind", "output", "parameters", "multiply-adds", "FLOPs", "kept bytes (float32)")
    ]
    assert lines[-1].split()[:4] == ["sum", "61,706", "416,520", "833,040"]
    assert '<table class="cnn-table cnn-costs">' in costs._repr_html_()
    plain = json.loads(json.dumps(costs.to_dict()))
    assert plain["flops"] == 833_040
    assert plain["rows"][0] == {
        "name": "c1",
        "kind": "Conv2d",
        "call": 1,
        "shape": [1, 6, 28, 28],
        "parameters": 156,
        "multiply_adds": 117_600,
        "flops": 235_200,
        "activation_bytes": 0,
    }
    assert costs.column("flops")[0] == 235_200


def test_bad_input():
    with pytest.raises(ValueError, match=r"at least 1, batch first, got \(0, 3\)"):
        layer_costs(nn.Linear(3, 4), (0, 3))
    with pytest.raises(ValueError, match=r"floating-point type such as torch.float32, got torch.int8"):
        layer_costs(nn.Linear(3, 4), (1, 3), dtype=torch.int8)
