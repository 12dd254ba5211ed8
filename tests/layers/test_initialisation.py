import math

import pytest
import torch
from torch import nn

from cnncourse.layers import fans, he_initialise, he_normal_


@pytest.mark.parametrize("layer", [nn.Conv2d(6, 10, (3, 5)), nn.Linear(6, 10)], ids=["conv", "linear"])
def test_fans_are_torchs_without_groups(layer):
    assert fans(layer) == nn.init._calculate_fan_in_and_fan_out(layer.weight)


def test_fans_with_groups_by_hand():
    # 2 groups: an output reads 3 channels of 3 x 3, an input reaches 5 outputs through 3 x 3 taps
    assert fans(nn.Conv2d(6, 10, 3, groups=2)) == (27, 45)
    assert fans(nn.Conv2d(6, 6, 3, groups=6)) == (9, 9)


@pytest.mark.parametrize("fan", ["in", "out"])
def test_standard_deviation(fan):
    layer = nn.Conv2d(32, 64, 3)
    he_normal_(layer, fan, torch.Generator().manual_seed(0))
    wanted = math.sqrt(2 / (32 * 9 if fan == "in" else 64 * 9))
    assert layer.weight.std().item() == pytest.approx(wanted, rel=0.02)  # 18,432 draws: 0.5 % is one sigma
    assert layer.weight.mean().item() == pytest.approx(0, abs=5 * wanted / math.sqrt(18_432))
    assert not layer.bias.any()


def test_the_signal_keeps_its_strength_through_a_deep_stack():
    # He et al. (2015), equation 10: E[x²] after each ReLU stays, whatever the depth
    generator = torch.Generator().manual_seed(0)
    stack = nn.Sequential(
        *(m for _ in range(20) for m in (nn.Conv2d(64, 64, 3, padding=1, padding_mode="circular"), nn.ReLU()))
    )
    he_initialise(stack, "in", generator)
    images = torch.randn(4, 64, 8, 8, generator=generator)
    ratio = stack(images).square().mean() / images.square().mean()
    assert (
        0.2 < ratio < 2
    )  # the first layer gives 1/2 · 2 = 1; a factor of 2 a layer off would give 1e6 or 1e-6


def test_same_generator_same_weights_and_unknown_fan():
    first, second = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    for layer in (first, second):
        he_normal_(layer, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first.weight, second.weight)
    with pytest.raises(ValueError, match="'in' or 'out', got 'both'"):
        he_normal_(first, "both")
