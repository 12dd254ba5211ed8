"""Glorot's, the truncated normal and the orthogonal initialisation."""

import math

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from cnncourse.layers import glorot_normal_, glorot_uniform_, orthogonal_, truncated_normal_

DENSE = [
    lambda: nn.Conv2d(6, 10, (3, 5)),
    lambda: nn.Linear(7, 4),
    lambda: nn.Linear(4, 7),
    lambda: nn.Linear(5, 5),
]
ALL = [glorot_normal_, glorot_uniform_, truncated_normal_, orthogonal_]


@pytest.mark.parametrize("make", DENSE)
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (glorot_normal_, nn.init.xavier_normal_),
        (glorot_uniform_, nn.init.xavier_uniform_),
        (orthogonal_, nn.init.orthogonal_),
    ],
)
def test_without_groups_it_is_torchs_draw_for_draw(make, ours, theirs):
    layers = [make().double(), make().double()]
    ours(layers[0], 1.5, torch.Generator().manual_seed(0))
    theirs(layers[1].weight, 1.5, torch.Generator().manual_seed(0))
    assert_close(layers[0].weight, layers[1].weight)
    assert not layers[0].bias.any()


@pytest.mark.parametrize("initialise", [glorot_normal_, glorot_uniform_])
def test_glorots_variance_counts_a_groups_channels(initialise):
    # 4 groups of 16 to 32 channels, 3 x 3: fans 144 and 288; torch counts 1,152 outputs and gets 2 / 1,296
    layer = nn.Conv2d(64, 128, 3, groups=4)
    initialise(layer, generator=torch.Generator().manual_seed(0))
    assert layer.weight.var().item() == pytest.approx(2 / (144 + 288), rel=0.05)  # 18,432 draws
    if initialise is glorot_uniform_:
        assert layer.weight.abs().max().item() == pytest.approx(math.sqrt(6 / 432), rel=0.01)


def test_the_truncated_normal_is_the_normal_between_its_bounds():
    layer = nn.Linear(300, 300)
    truncated_normal_(layer, 0.5, 2.0, torch.Generator().manual_seed(0))
    weights = layer.weight.detach().double().flatten()
    assert weights.abs().max() <= 1
    # variance of a standard normal cut at 2: 1 - 2 · 2 φ(2) / (2 Φ(2) - 1) = 0.774
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert weights.std().item() == pytest.approx(
        0.5 * math.sqrt(1 - 4 * density / math.erf(math.sqrt(2))), rel=0.01
    )
    for edge in (-0.75, -0.25, 0.0, 0.3, 0.9):
        share = (weights < edge).double().mean().item()
        expected = (math.erf(edge / 0.5 / math.sqrt(2)) / math.erf(math.sqrt(2)) + 1) / 2
        assert share == pytest.approx(expected, abs=4 * 0.5 / 300)  # four standard errors of 90,000 draws
    assert not layer.bias.any()
    truncated_normal_(
        layer, 1.0, 0.1, torch.Generator().manual_seed(0)
    )  # nearly all of it is tails: flat inside
    assert layer.weight.std().item() == pytest.approx(0.1 / math.sqrt(3), rel=0.01)
    truncated_normal_(nn.Linear(3, 3, device="meta"))
    halves = nn.Linear(300, 300).half()  # drawn in 32 bits: the tails of 16-bit uniform numbers are coarse
    truncated_normal_(halves, 0.5, 2.0, torch.Generator().manual_seed(0))
    assert_close(halves.weight.detach().double().flatten(), weights, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("inputs", "outputs"), [(8, 8), (8, 5), (5, 8)])
def test_an_orthogonal_layer_lengthens_nothing(inputs, outputs):
    layer = nn.Linear(inputs, outputs, bias=False).double()
    orthogonal_(layer, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(layer.weight.detach())
    assert_close(values, torch.ones_like(values))


def test_each_group_has_an_orthogonal_matrix_of_its_own():
    layer = nn.Conv2d(6, 8, 3, groups=2).bfloat16()
    orthogonal_(layer, math.sqrt(2), torch.Generator().manual_seed(0))
    first, second = layer.weight.detach().float().view(2, 4, 27)
    for block in (first, second):
        assert_close(block @ block.T, 2 * torch.eye(4), rtol=0, atol=0.03)  # the weights have 8 bits
    assert not torch.equal(first, second)


@pytest.mark.parametrize("initialise", ALL)
def test_same_generator_same_weights_and_no_bias_needed(initialise):
    layers = [nn.Conv2d(3, 4, 3, bias=False) for _ in range(2)]
    for layer in layers:
        initialise(layer, generator=torch.Generator().manual_seed(3))
    assert torch.equal(layers[0].weight, layers[1].weight)
    assert layers[0].weight.requires_grad


def test_bad_input():
    layer = nn.Linear(2, 2)
    for initialise in (glorot_normal_, glorot_uniform_, orthogonal_):
        with pytest.raises(ValueError, match="gain must be above 0, got gain=0"):
            initialise(layer, 0)
    with pytest.raises(ValueError, match=r"got std=0.02 and bound=-1"):
        truncated_normal_(layer, bound=-1)
