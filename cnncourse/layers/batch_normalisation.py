"""Batch normalisation from its formulas: statistics of the batch in training, running averages in eval.

Ioffe & Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate
Shift", ICML 2015, arXiv:1502.03167.

One channel of a batch has m = N · H · W values x. With their mean μ and variance σ² (divided by m),

    x̂ = (x - μ) / √(σ² + ε),    y = γ x̂ + β.

With g for the loss's gradient at y, and bars for means over the m values, the chain rule through μ and σ² gives

    ∂β = Σ g,    ∂γ = Σ g x̂,    ∂x = γ / √(σ² + ε) · (g - ḡ - x̂ · mean of g x̂):

what comes back is free of a constant and of a multiple of x̂, the two things that the layer's output does not see.
"""

import torch
from torch import Tensor, nn


def batch_statistics(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of each channel over a batch.

    Ioffe & Szegedy (2015), algorithm 1, lines 1 and 2.

    Args:
        maps: (N, C, ...), floats.

    Returns:
        Mean and variance, each (C,), in float32 or better; the variance is divided by m, the number of values
        a channel has, not by m - 1.

    Raises:
        ValueError: if the maps have no channel axis, or a channel has a single value, whose variance is 0
            whatever the value is.
    """
    if maps.ndim < 2:
        raise ValueError(
            f"maps must have the shape (N, C, ...), got {tuple(maps.shape)}; add the missing axes"
        )
    count = maps.numel() // max(maps.shape[1], 1)
    if count < 2:
        raise ValueError(
            f"statistics of a batch need at least 2 values a channel, got {count} from maps of shape "
            f"{tuple(maps.shape)}; use more images, larger maps, or eval mode"
        )
    axes = (0, *range(2, maps.ndim))
    variance, mean = torch.var_mean(_precise(maps), axes, correction=0)
    return mean, variance


def normalise_channels(
    maps: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    eps: float = 1e-5,
) -> Tensor:
    """Return γ (x - μ) / √(σ² + ε) + β with given statistics.

    Ioffe & Szegedy (2015), algorithm 1, lines 3 and 4; algorithm 2, line 11.

    Args:
        maps: (N, C, ...), floats.
        mean: (C,), μ.
        variance: (C,), σ², at least 0.
        weight: (C,), the factor γ; ``None`` counts as 1.
        bias: (C,), the offset β; ``None`` counts as 0.
        eps: ε, added to the variance, above 0.

    Returns:
        (N, C, ...), of the maps' type.
    """
    shape = (1, -1) + (1,) * (maps.ndim - 2)
    scale = (variance + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    normalised = (_precise(maps) - mean.view(shape)) * scale.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    return normalised.to(maps.dtype)


@torch.no_grad()
def update_running_averages(
    running: tuple[Tensor, Tensor], statistics: tuple[Tensor, Tensor], count: int, momentum: float
) -> None:
    """Move running averages a step towards the statistics of a batch, in place.

    Ioffe & Szegedy (2015), algorithm 2, line 10: the variance that is averaged is m / (m - 1) times the
    batch's, an unbiased estimate; the one the batch is divided by is not.

    Args:
        running: running mean and variance, each (C,); both are changed.
        statistics: mean and variance of the batch, each (C,), the variance divided by m.
        count: m, values a channel has in the batch, at least 2.
        momentum: share of the new batch in the averages, in [0, 1].

    Raises:
        ValueError: if the momentum is out of its range.
    """
    if not 0 <= momentum <= 1:
        raise ValueError(
            f"momentum must lie in [0, 1], got momentum={momentum}; it is the share of the new batch"
        )
    mean, variance = statistics
    running[0].lerp_(mean.to(running[0].dtype), momentum)
    running[1].lerp_((variance * (count / (count - 1))).to(running[1].dtype), momentum)


def batch_norm(
    maps: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    *,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise each channel by the statistics of the batch or by running averages.

    Ioffe & Szegedy (2015), algorithms 1 and 2; arguments as ``torch.nn.functional.batch_norm`` has them.

    Args:
        maps: (N, C, ...), floats.
        running_mean: (C,), changed in place in training; ``None`` keeps no averages.
        running_var: (C,), as ``running_mean``; both are given or neither.
        weight: (C,), the factor γ; ``None`` counts as 1.
        bias: (C,), the offset β; ``None`` counts as 0.
        training: whether the batch's own statistics are used, and the averages move; without averages they
            are used in any case.
        momentum: share of the new batch in the averages, in [0, 1].
        eps: added to the variance, above 0.

    Returns:
        (N, C, ...), of the maps' type.

    Raises:
        ValueError: if the batch's statistics are needed and a channel has a single value, only one average is
            given, or a channel count differs.

    Book: gradients
    """
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var must both be given or both be None, got one of them")
    for given in (running_mean, weight, bias):
        if given is not None and maps.ndim > 1 and given.shape != maps.shape[1:2]:
            raise ValueError(
                f"averages, weight and bias must have one number a channel, got {tuple(given.shape)} for maps "
                f"of shape {tuple(maps.shape)}; was the layer built for other channels?"
            )
    if running_mean is None or running_var is None:
        return normalise_channels(maps, *batch_statistics(maps), weight, bias, eps=eps)
    if not training:
        return normalise_channels(maps, running_mean, running_var, weight, bias, eps=eps)
    statistics = batch_statistics(maps)
    count = maps.numel() // maps.shape[1]
    update_running_averages((running_mean, running_var), statistics, count, momentum)
    return normalise_channels(maps, *statistics, weight, bias, eps=eps)


def batch_norm_backward(
    output_gradient: Tensor, maps: Tensor, weight: Tensor | None = None, *, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of batch norm in training, derived by hand.

    Ioffe & Szegedy (2015), section 3, their six lines contracted into the three of this module's head.

    Args:
        output_gradient: (N, C, ...), gradient of the loss at the layer's output.
        maps: (N, C, ...), the layer's input.
        weight: (C,), the factor γ; ``None`` counts as 1.
        eps: added to the variance, above 0.

    Returns:
        Gradients at the maps (N, C, ...), at γ (C,) and at β (C,).

    Raises:
        ValueError: if the shapes differ, or a channel has a single value.

    Book: gradients
    """
    if output_gradient.shape != maps.shape:
        raise ValueError(
            f"output_gradient must have the maps' shape {tuple(maps.shape)}, got {tuple(output_gradient.shape)}"
        )
    mean, variance = batch_statistics(maps)
    axes, shape = (0, *range(2, maps.ndim)), (1, -1) + (1,) * (maps.ndim - 2)
    normalised = normalise_channels(_precise(maps), mean, variance, eps=eps)  # x̂
    gradient = _precise(output_gradient)
    weight_gradient = (gradient * normalised).sum(axes)
    bias_gradient = gradient.sum(axes)
    count = maps.numel() // maps.shape[1]
    seen = gradient - (bias_gradient.view(shape) + normalised * weight_gradient.view(shape)) / count
    scale = (variance + eps).rsqrt() if weight is None else (variance + eps).rsqrt() * weight
    return (seen * scale.view(shape)).to(maps.dtype), weight_gradient, bias_gradient


def _precise(values: Tensor) -> Tensor:
    """Return values in float32 at least: sums of many 16-bit numbers would lose the small ones."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class BatchNorm2d(nn.Module):
    """Batch norm as a layer; its state dict is that of ``torch.nn.BatchNorm2d``.

    See :func:`batch_norm`.

    Args:
        num_features: channels of the maps, at least 1.
        eps: added to the variance, above 0.
        momentum: share of a new batch in the running averages, in [0, 1]; ``None`` averages all batches alike.
        affine: whether there are a factor and an offset.
        track_running_stats: whether running averages are kept; without them eval uses the batch as well.

    Raises:
        ValueError: if a setting is out of its range.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        *,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        if num_features < 1 or not eps > 0 or not (momentum is None or 0 <= momentum <= 1):
            raise ValueError(
                "num_features must be at least 1, eps above 0 and momentum in [0, 1] or None, got "
                f"{num_features=}, {eps=} and {momentum=}"
            )
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features) if tracked else None)
        self.register_buffer("num_batches_tracked", torch.tensor(0) if tracked else None)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, H, W), normalised; in training the running averages move.

        Raises:
            ValueError: if the maps have another number of axes or channels, or a channel has a single value
                in training.
        """
        if maps.ndim != 4 or maps.shape[1] != self.num_features:
            raise ValueError(
                f"maps must have the shape (N, {self.num_features}, H, W), got {tuple(maps.shape)}"
            )
        momentum, tracked = self.momentum, self.num_batches_tracked
        if (
            momentum is None
        ):  # the average of all batches so far: the share of this one is 1 over their number
            momentum = 0.0 if tracked is None else 1 / (float(tracked) + 1)
        out = batch_norm(
            *(maps, self.running_mean, self.running_var, self.weight, self.bias),
            training=self.training,
            momentum=momentum,
            eps=self.eps,
        )
        if self.training and tracked is not None:
            tracked += 1
        return out

    def extra_repr(self) -> str:
        """Return the settings, as ``repr`` shows them."""
        return (
            f"{self.num_features}, eps={self.eps:g}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
