"""Every look at a network, over the least costly network of every paper: it works, and nothing is changed."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from cnncourse.inspection import activation_statistics, dead_units, gradient_statistics, layer_times
from cnncourse.models.catalogue import CATALOGUE

LEAST = {entry.paper: entry for entry in sorted(CATALOGUE, key=lambda entry: -entry.multiply_adds)}
NETWORKS = [entry for entry in LEAST.values() if entry.multiply_adds < 1e9 and entry.parameters < 3e7]


def first_loss(output, targets):
    return cross_entropy(output if isinstance(output, torch.Tensor) else output[0], targets)


@pytest.mark.parametrize("entry", NETWORKS, ids=lambda entry: entry.name)
def test_a_network_is_looked_at_and_left_alone(entry):
    torch.manual_seed(0)
    model = entry.builder(num_classes=3, in_channels=entry.in_channels).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(2, entry.in_channels, entry.side, entry.side)
    random = torch.get_rng_state()

    found = gradient_statistics(
        model, images, torch.tensor([0, 2]), first_loss, layers=[nn.Conv2d, nn.Linear]
    )
    assert math.isfinite(found.loss)
    assert all(row.weight_norm > 0 for row in found)
    assert any(row.weight_gradient_norm > 0 for row in found)

    measured = activation_statistics(model, images, training=False)
    assert all(math.isfinite(row.rms) and 0 <= row.share_zero <= 1 for row in measured)
    assert list(measured.column("shape"))[-1][0] == 2

    if any(isinstance(module, (nn.ReLU, nn.ReLU6)) for module in model.modules()):
        dead = dead_units(model, images, training=True)
        assert 0 <= dead.share < 1

    times = layer_times(model, images[:1], repeats=1)
    uses = [(row.name, row.call) for row in times]
    assert uses[:-1] == [(row.name, row.call) for row in measured]
    assert sum(row.share for row in times) == pytest.approx(1)

    assert torch.equal(torch.get_rng_state(), random)
    assert model.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
