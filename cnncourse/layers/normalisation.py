"""Layer and group normalisation of maps.

Ba, Kiros & Hinton, "Layer Normalization", 2016, arXiv:1607.06450. Wu & He, "Group Normalization", ECCV 2018,
arXiv:1803.08494. Liu, Mao, Wu, Feichtenhofer, Darrell & Xie, "A ConvNet for the 2020s", CVPR 2022,
arXiv:2201.03545.
"""

import torch
from torch import Tensor, nn


def channel_layer_norm(
    maps: Tensor, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-6
) -> Tensor:
    """Normalise each pixel over its channels: y = γ (x - mean) / √(variance + ε) + β.

    Ba et al. (2016), equation 3, with a pixel's channels as the layer, as ConvNeXt has it (Liu et al. 2022,
    section 2.6). Mean and variance are those of one pixel of one image: nothing depends on the batch.

    Args:
        maps: (N, C, H, W).
        weight: (C,), the factor γ; ``None`` counts as 1.
        bias: (C,), the offset β; ``None`` counts as 0.
        eps: added to the variance, above 0.

    Returns:
        (N, C, H, W): the maps, normalised; stored with the channels last.

    Raises:
        ValueError: if the maps have another number of axes or the factors another number of channels.
    """
    if maps.ndim != 4:
        raise ValueError(
            f"maps must have the shape (N, C, H, W), got {tuple(maps.shape)}; add the missing axes"
        )
    for name, given in (("weight", weight), ("bias", bias)):
        if given is not None and given.shape != maps.shape[1:2]:
            raise ValueError(
                f"{name} must have one number a channel, got {tuple(given.shape)} for maps of shape "
                f"{tuple(maps.shape)}; was the layer built for other channels?"
            )
    pixels = maps.permute(0, 2, 3, 1)  # (N, H, W, C): one fused kernel normalises the last axis
    return nn.functional.layer_norm(pixels, maps.shape[1:2], weight, bias, eps).permute(0, 3, 1, 2)


class LayerNorm2d(nn.Module):
    """Layer norm over the channels of each pixel; its state dict is that of torchvision's ConvNeXt.

    See :func:`channel_layer_norm`.

    Args:
        num_channels: channels of the maps, at least 1.
        eps: added to the variance, above 0; ConvNeXt's 1e-6.

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(self, num_channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        if num_channels < 1 or not eps > 0:
            raise ValueError(
                f"num_channels must be at least 1 and eps above 0, got num_channels={num_channels} and eps={eps}"
            )
        self.num_channels, self.eps = num_channels, eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, H, W), normalised."""
        return channel_layer_norm(maps, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings, as ``repr`` shows them."""
        return f"{self.num_channels}, eps={self.eps:g}"


def group_norm(
    maps: Tensor, groups: int, weight: Tensor | None = None, bias: Tensor | None = None, eps: float = 1e-5
) -> Tensor:
    """Normalise each image over groups of channels: y = γ (x - mean) / √(variance + ε) + β.

    Wu & He (2018), section 3.1, equations 1 to 7. One group is layer norm over the whole image, as many
    groups as channels are instance norm; none of them sees the batch.

    Args:
        maps: (N, C, ...), floats.
        groups: number of groups, a divisor of C; a group is C / groups neighbour channels.
        weight: (C,), the factor γ; ``None`` counts as 1.
        bias: (C,), the offset β; ``None`` counts as 0.
        eps: ε, added to the variance, above 0.

    Returns:
        (N, C, ...), of the maps' type.

    Raises:
        ValueError: if the groups do not divide the channels, or a group has a single value, whose variance is
            0 whatever the value is.

    Book: gradients
    """
    if maps.ndim < 2 or groups < 1 or maps.shape[1] % groups:
        raise ValueError(
            f"groups must divide the channels of maps (N, C, ...), got groups={groups} for maps of shape "
            f"{tuple(maps.shape)}; choose a divisor of C"
        )
    grouped = maps.reshape(maps.shape[0], groups, maps.shape[1] // groups, *maps.shape[2:])
    axes = tuple(range(2, grouped.ndim))
    if grouped[:1, :1].numel() == 1:
        raise ValueError(
            f"a group needs at least 2 values, got 1 with groups={groups} for maps of shape "
            f"{tuple(maps.shape)}; use fewer groups or larger maps"
        )
    precise = grouped.to(torch.promote_types(maps.dtype, torch.float32))
    variance, mean = torch.var_mean(precise, axes, correction=0, keepdim=True)
    normalised = ((precise - mean) * (variance + eps).rsqrt()).reshape(maps.shape)
    shape = (1, -1) + (1,) * (maps.ndim - 2)
    if weight is not None:
        normalised = normalised * weight.view(shape)
    if bias is not None:
        normalised = normalised + bias.view(shape)
    return normalised.to(maps.dtype)


class GroupNorm(nn.Module):
    """Group norm as a layer; its state dict is that of ``torch.nn.GroupNorm``; see :func:`group_norm`.

    Args:
        groups: number of groups, a divisor of ``num_channels``.
        num_channels: channels of the maps, at least 1.
        eps: added to the variance, above 0.

    Raises:
        ValueError: if a setting is out of its range or the groups do not divide the channels.
    """

    def __init__(self, groups: int, num_channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        if groups < 1 or num_channels < 1 or num_channels % groups or not eps > 0:
            raise ValueError(
                f"groups must divide num_channels, and eps be above 0, got groups={groups} for "
                f"num_channels={num_channels} and eps={eps}; choose a divisor"
            )
        self.groups, self.num_channels, self.eps = groups, num_channels, eps
        self.weight = nn.Parameter(torch.ones(num_channels))
        self.bias = nn.Parameter(torch.zeros(num_channels))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, ...), normalised."""
        return group_norm(maps, self.groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Return the settings, as ``repr`` shows them."""
        return f"{self.groups}, {self.num_channels}, eps={self.eps:g}"
