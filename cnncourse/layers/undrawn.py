"""Layers that are built without starting values, for networks that draw their own a moment later."""

import torch
from torch import nn


def undrawn_linear(in_features: int, out_features: int) -> nn.Linear:
    """Return a linear layer whose weights and bias are not set yet.

    ``torch.nn.Linear`` draws its weights when it is built. A network that draws them again pays twice, and
    for the hundred million weights behind VGG's convolutions that is seconds.

    Args:
        in_features: numbers read, at least 1.
        out_features: numbers given, at least 1.

    Returns:
        The layer, on the device that is the default where it is built. Its memory holds anything: give every
        weight and bias a value before it is used.
    """
    device = torch.empty(0).device
    layer: nn.Linear = nn.utils.skip_init(  # type: ignore[no-untyped-call]
        nn.Linear, in_features, out_features, device=device
    )
    return layer
