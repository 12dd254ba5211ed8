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
