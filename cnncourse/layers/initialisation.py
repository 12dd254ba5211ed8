"""Starting values of weights.

Glorot & Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
He, Zhang, Ren & Sun, "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet
Classification", ICCV 2015, arXiv:1502.01852. Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear
dynamics of learning in deep linear neural networks", ICLR 2014, arXiv:1312.6120. Liu, Mao, Wu, Feichtenhofer,
Darrell & Xie, "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545.
"""

from math import erf, sqrt
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

    Book: gradients
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

    Book: gradients
    """
    if fan not in ("in", "out"):
        raise ValueError(f"fan must be 'in' or 'out', got {fan!r}")
    fan_in, fan_out = fans(layer)
    layer.weight.normal_(0, sqrt(2 / (fan_in if fan == "in" else fan_out)), generator=generator)
    _zero_bias(layer)


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


@torch.no_grad()
def glorot_normal_(
    layer: nn.Conv2d | nn.Linear, gain: float = 1.0, generator: torch.Generator | None = None
) -> None:
    """Draw a layer's weights from a normal distribution with variance 2 / (fan-in + fan-out); its bias becomes 0.

    Glorot & Bengio (2010), equation 12: a compromise between the signal's variance on the way forward and the
    gradient's on the way back, for activations with a slope of 1 at 0.

    Args:
        layer: a convolution or a linear layer.
        gain: factor on the standard deviation, above 0; 5 / 3 is customary in front of tanh.
        generator: source of randomness on the layer's device; ``None`` is torch's own.

    Raises:
        ValueError: if the gain is not above 0.

    Book: gradients
    """
    layer.weight.normal_(0, _glorot_deviation(layer, gain), generator=generator)
    _zero_bias(layer)


@torch.no_grad()
def glorot_uniform_(
    layer: nn.Conv2d | nn.Linear, gain: float = 1.0, generator: torch.Generator | None = None
) -> None:
    """Draw a layer's weights from [-a, a] with a = √(6 / (fan-in + fan-out)); its bias becomes zero.

    Glorot & Bengio (2010), equation 16, their "normalized initialization". A uniform distribution on [-a, a]
    has the variance a² / 3, so that it is that of :func:`glorot_normal_`.

    Args:
        layer: a convolution or a linear layer.
        gain: factor on a, above 0.
        generator: source of randomness on the layer's device; ``None`` is torch's own.

    Raises:
        ValueError: if the gain is not above 0.
    """
    bound = sqrt(3) * _glorot_deviation(layer, gain)
    layer.weight.uniform_(-bound, bound, generator=generator)
    _zero_bias(layer)


def _glorot_deviation(layer: nn.Conv2d | nn.Linear, gain: float) -> float:
    if not gain > 0:
        raise ValueError(f"gain must be above 0, got gain={gain}; 1 keeps the variance where the slope is 1")
    return gain * sqrt(2 / sum(fans(layer)))


def _zero_bias(layer: nn.Conv2d | nn.Linear) -> None:
    if layer.bias is not None:
        layer.bias.zero_()


@torch.no_grad()
def truncated_normal_(
    layer: nn.Conv2d | nn.Linear,
    std: float = 0.02,
    bound: float = 2.0,
    generator: torch.Generator | None = None,
) -> None:
    """Draw a layer's weights from a normal distribution without its tails; its bias becomes zero.

    Liu et al. (2022), table 5, start ConvNeXt so. The inverse of the normal distribution's function is taken of
    a uniform draw between the two tails' probabilities: every draw lies inside at once.

    Args:
        layer: a convolution or a linear layer.
        std: standard deviation before the tails are cut off, above 0; with ``bound=2`` that of the draws is
            0.88 times as large.
        bound: where the tails begin, in standard deviations, above 0.
        generator: source of randomness on the layer's device; ``None`` is torch's own.

    Raises:
        ValueError: if a setting is out of its range.
    """
    if not (std > 0 and bound > 0):
        raise ValueError(f"std and bound must be above 0, got std={std} and bound={bound}")
    inside = erf(bound / sqrt(2))  # probability between the tails
    precise = torch.promote_types(layer.weight.dtype, torch.float32)
    drawn = layer.weight.data if layer.weight.dtype == precise else layer.weight.to(precise)
    drawn.uniform_(-inside, inside, generator=generator).erfinv_().mul_(sqrt(2) * std)
    layer.weight.copy_(drawn.clamp_(-bound * std, bound * std))
    _zero_bias(layer)


@torch.no_grad()
def orthogonal_(
    layer: nn.Conv2d | nn.Linear, gain: float = 1.0, generator: torch.Generator | None = None
) -> None:
    """Give a layer a random orthogonal matrix, each group of a convolution one of its own; its bias becomes zero.

    Saxe, McClelland & Ganguli (2014). A matrix has a row for each output and a column for each
    input and tap. Of rows and columns those that are not more than the others are orthonormal, so that a
    linear layer that narrows or keeps its width lengthens no signal and a square one keeps all lengths.
    The signs of the QR decomposition's diagonal are taken out: every orthogonal matrix is equally likely.

    Args:
        layer: a convolution or a linear layer.
        gain: factor on the matrix, above 0; √2 in front of a ReLU.
        generator: source of randomness on the layer's device; ``None`` is torch's own.

    Raises:
        ValueError: if the gain is not above 0.
    """
    if not gain > 0:
        raise ValueError(f"gain must be above 0, got gain={gain}; 1 keeps lengths")
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    outputs = layer.weight.shape[0] // groups
    precise = torch.promote_types(layer.weight.dtype, torch.float32)
    for start in range(0, layer.weight.shape[0], outputs):
        block = layer.weight[start : start + outputs]
        drawn = torch.empty(outputs, block[0].numel(), dtype=precise, device=block.device)
        drawn.normal_(generator=generator)
        wide = drawn.shape[0] < drawn.shape[1]
        q, r = torch.linalg.qr(drawn.T if wide else drawn)
        q = q * r.diagonal().sign()
        block.copy_(gain * (q.T if wide else q).reshape(block.shape))
    _zero_bias(layer)
