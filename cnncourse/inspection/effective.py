"""The effective receptive field: which pixels do move one unit, and how much.

Luo, Li, Urtasun & Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks",
NIPS 2016, arXiv:1701.04128.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import evaluating, find_layer, observed
from cnncourse.inspection.tables import html_table, text_table

TWO_SIGMA = 0.9545
"""Share of a Gaussian within two standard deviations, the paper's threshold (section 4.1)."""


@dataclass(frozen=True)
class EffectiveField:
    """How strongly each pixel moves one unit; prints as a small table."""

    heat: Tensor
    """(H, W): mean absolute gradient over images and channels; its sum is 1 unless it is all zero."""
    unit: tuple[int, int]
    """Row and column of the unit in the layer's map."""
    support: tuple[int, int, int, int]
    """First and last row, first and last column of the pixels with a gradient; (0, -1, 0, -1) if there are
    none."""

    @property
    def support_size(self) -> tuple[int, int]:
        """Height and width of the support in pixels."""
        top, bottom, left, right = self.support
        return bottom - top + 1, right - left + 1

    @property
    def size(self) -> float:
        """Side of a square as large as the effective field, in pixels.

        Luo et al. (2016), section 4.1: the square root of the number of pixels whose share is above
        1 - 95.45 % of the largest.
        """
        peak = self.heat.max()
        return float(((self.heat > (1 - TWO_SIGMA) * peak).sum() if peak > 0 else peak) ** 0.5)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        height, width = self.support_size
        rows = [
            ["unit (row, column)", f"{self.unit[0]}, {self.unit[1]}"],
            ["pixels with a gradient", f"{height} × {width}"],
            ["effective side in pixels", f"{self.size:.1f}"],
        ]
        return ["effective receptive field", ""], rows

    def __str__(self) -> str:
        return text_table(*self._cells())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), css_class="cnn-table cnn-effective-field")


def effective_receptive_field(
    model: nn.Module,
    layer: str | nn.Module,
    images: Tensor,
    *,
    unit: tuple[int, int] | None = None,
    channel: int | None = None,
) -> EffectiveField:
    """Measure how strongly each pixel of the input moves one unit of a layer.

    Luo et al. (2016), section 4.1: a gradient of 1 goes into the unit and 0 into all others; what arrives at
    the pixels is averaged. Differs from the paper: the absolute value is taken in each image before
    averaging, so that gradients of opposite sign in different images do not cancel. The network is put into
    eval mode for the measurement; its parameters and their gradients stay as they are.

    Args:
        model: network from (N, C, H, W).
        layer: name or module of a layer whose output has shape (N, C', H', W').
        images: (N, C, H, W), as the model expects them.
        unit: row and column in the layer's map; ``None`` is the middle one.
        channel: channel of the layer; ``None`` measures each channel and averages.

    Returns:
        The field.

    Raises:
        ValueError: if the layer's output is not a map, or there is no such unit or channel.

    Examples:
        >>> model = nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2))
        >>> effective_receptive_field(model, "1", torch.ones(1, 1, 8, 8), unit=(0, 1)).support
        (0, 3, 4, 7)

    Book: pooling_lenet
    """
    pixels = images.detach().clone().requires_grad_(True)
    kept: list[Tensor] = []

    def keep(_name: str, _inputs: Any, output: Tensor) -> None:
        kept[:] = [output.clone()]  # an activation behind the layer may work in place

    with observed({"": find_layer(model, layer)}, keep), evaluating(model), torch.enable_grad():
        model(pixels)
    if not kept:
        raise ValueError(f"layer {layer} takes no part in the forward pass of {type(model).__name__}")
    maps = kept[0]
    if maps.ndim != 4:
        raise ValueError(
            f"the layer must give maps (N, C, H, W), got {tuple(maps.shape)}; choose an earlier one"
        )
    channels, height, width = maps.shape[1:]
    row, column = (height // 2, width // 2) if unit is None else unit
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(f"unit must lie in the map of {height} x {width}, got unit={unit}")
    if channel is not None and not 0 <= channel < channels:
        raise ValueError(f"channel must lie in [0, {channels}), got channel={channel}")
    heat = torch.zeros(images.shape[2:], dtype=torch.float64)
    for index in range(channels) if channel is None else [channel]:
        (gradient,) = torch.autograd.grad(maps[:, index, row, column].sum(), pixels, retain_graph=True)
        heat += gradient.abs().cpu().double().mean(dim=(0, 1))
    total = heat.sum()
    return EffectiveField(heat / total if total > 0 else heat, (row, column), _support(heat))


def _support(heat: Tensor) -> tuple[int, int, int, int]:
    """Return the first and last row and column with a value above zero."""
    rows, columns = heat.sum(dim=1).nonzero(), heat.sum(dim=0).nonzero()
    if len(rows) == 0:
        return (0, -1, 0, -1)
    return int(rows[0]), int(rows[-1]), int(columns[0]), int(columns[-1])
