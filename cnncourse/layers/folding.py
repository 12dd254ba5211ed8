"""Folding a batch norm into the convolution before it: one layer instead of two, the same function in eval.

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift", ICML 2015, arXiv:1502.03167. In eval its algorithm 2 is an affine map of each channel,

    y = γ (x - μ) / √(σ² + ε) + β = s x + (β - s μ)    with  s = γ / √(σ² + ε),

and a convolution followed by an affine map of each output channel is a convolution with weights s W and bias
s b + (β - s μ).
"""

from copy import deepcopy

import torch
from torch import Tensor, nn

from cnncourse.layers.batch_normalisation import BatchNorm2d


def batch_norm_scale_and_shift(norm: nn.BatchNorm2d | BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the affine map that a batch norm is in eval.

    Ioffe & Szegedy (2015), algorithm 2, line 11.

    Args:
        norm: a batch norm with running statistics, torch's or the course's own; γ or β may be missing and count
            as 1 and 0.

    Returns:
        Scale and shift, each (C,) in float64, on the layer's device: the layer gives scale · x + shift.

    Raises:
        ValueError: if the layer keeps no running statistics, so that its function depends on the batch.
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError(
            "the batch norm must keep running statistics, got track_running_stats=False; without them its "
            "output depends on the batch and is no fixed affine map"
        )
    scale = (variance.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.double()
    shift = -scale * mean.double()
    if norm.bias is not None:
        shift = shift + norm.bias.double()
    return scale, shift


@torch.no_grad()
def fold_batch_norm(conv: nn.Conv2d, norm: nn.BatchNorm2d | BatchNorm2d) -> nn.Conv2d:
    """Return one convolution that does what a convolution and the batch norm after it do in eval.

    Ioffe & Szegedy (2015), algorithm 2. The new weights are computed in float64 and rounded once.

    Args:
        conv: the convolution; any stride, padding, dilation, groups, with or without a bias. It stays as it is.
        norm: the batch norm that reads the convolution's output. It stays as it is.

    Returns:
        A new convolution with a bias, of the type, device and memory format of ``conv``.

    Raises:
        ValueError: if the channels do not match, or the batch norm keeps no running statistics.

    Book: gradients
    """
    if conv.out_channels != norm.num_features:
        raise ValueError(
            f"the batch norm must have as many channels as the convolution gives, got "
            f"{norm.num_features} after {conv.out_channels}; are these two neighbours?"
        )
    scale, shift = batch_norm_scale_and_shift(norm)
    folded = deepcopy(conv)
    weight = conv.weight.double() * scale.view(-1, 1, 1, 1)
    bias = shift if conv.bias is None else scale * conv.bias.double() + shift
    folded.weight = nn.Parameter(weight.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
    folded.bias = nn.Parameter(bias.to(conv.weight.dtype), requires_grad=conv.weight.requires_grad)
    return folded
