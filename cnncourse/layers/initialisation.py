"""Starting values of weights.

He, Zhang, Ren & Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
Classification", ICCV 2015, arXiv:1502.01852.
"""

from math import sqrt
from typing import Literal

import torch
from torch import nn


def fans(layer: nn.Conv2d | nn.Linear) -> tuple[int, int]:
    """Return how many inputs one output of a layer reads, and how many outputs one input reaches.

    Args:
        layer: a convolution with any groups, or a linear layer.

    Returns:
        Fan-in and fan-out. With groups each counts one group's channels (``torch.nn.init`` counts the outputs
        of all groups, so its fan-out of a depthwise convolution is too large by the number of channels).
        Strides and borders, which make an input reach fewer outputs, are not counted.
    """
    taps = layer.weight[0, 0].numel()
    outputs = layer.weight.shape[0] // (layer.groups if isinstance(layer, nn.Conv2d) else 1)
    return layer.weight.shape[1] * taps, outputs * taps


@torch.no_grad()
def he_normal_(
    layer: nn.Conv2d | nn.Linear,
    fan: Literal["in", "out"] = "in",
    generator: torch.Generator | None = None,
) -> None:
    """Draw a layer's weights from a normal distribution with variance 2 / fan; its bias becomes zero.

    He et al. (2015), equation 10 (``"in"``: the signal keeps its variance on the way forward) and equation 14
    (``"out"``: the gradient keeps its variance on the way back).

    Args:
        layer: a convolution or a linear layer in front of a ReLU.
        fan: ``"in"`` or ``"out"``.
        generator: source of randomness on the layer's device; ``None`` is torch's own.

    Raises:
        ValueError: if the fan is unknown.
    """
    if fan not in ("in", "out"):
        raise ValueError(f"fan must be 'in' or 'out', got {fan!r}")
    fan_in, fan_out = fans(layer)
    layer.weight.normal_(0, sqrt(2 / (fan_in if fan == "in" else fan_out)), generator=generator)
    if layer.bias is not None:
        layer.bias.zero_()


def he_initialise(
    model: nn.Module, fan: Literal["in", "out"] = "in", generator: torch.Generator | None = None
) -> None:
    """Give every convolution of a network He's starting values.

    He et al. (2015), section 2.2. Linear layers and normalisation layers stay as they are; a fresh batch
    norm already has a factor of 1 and an offset of 0.

    Args:
        model: any network.
        fan: ``"in"`` or ``"out"``; see :func:`he_normal_`.
        generator: source of randomness on the network's device; ``None`` is torch's own.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            he_normal_(module, fan, generator)
