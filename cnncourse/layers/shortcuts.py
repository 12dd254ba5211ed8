"""Shortcuts A, B and C: how the input of a residual block reaches its output when the shapes differ.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 3.3
and table 3: (A) zeros for the additional channels, no parameters; (B) a projection where the shape changes,
the identity elsewhere; (C) a projection everywhere.
"""

from typing import Literal, get_args

from torch import Tensor, nn
from torch.nn import functional

ShortcutOption = Literal["A", "B", "C"]


def pad_shortcut(maps: Tensor, out_channels: int, stride: int = 1) -> Tensor:
    """Keep every ``stride``-th pixel and put channels of zeros around the ones that are there.

    He et al. (2016), option A. The paper does not say where the zeros go; here one half is put before the
    channels and the other half after them, the larger half last.

    Args:
        maps: (N, C, H, W).
        out_channels: channels wanted, at least C.
        stride: step between the pixels that are kept, at least 1.

    Returns:
        (N, out_channels, ceil(H / stride), ceil(W / stride)).

    Raises:
        ValueError: if there are fewer channels wanted than given.

    Book: resnet
    """
    missing = out_channels - maps.shape[1]
    if missing < 0:
        raise ValueError(
            f"zeros can only add channels, got out_channels={out_channels} for {maps.shape[1]} channels; "
            "use a projection (option B or C)"
        )
    kept = maps[:, :, ::stride, ::stride]
    return functional.pad(kept, (0, 0, 0, 0, missing // 2, missing - missing // 2))


class PadShortcut(nn.Module):
    """Option A as a layer; see :func:`pad_shortcut`.

    Args:
        out_channels: channels of the output.
        stride: step between the pixels that are kept.
    """

    def __init__(self, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.out_channels, self.stride = out_channels, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, H, W) as (N, out_channels, H / stride, W / stride)."""
        return pad_shortcut(maps, self.out_channels, self.stride)

    def extra_repr(self) -> str:
        """Return the setting, as ``repr`` shows it."""
        return f"out_channels={self.out_channels}, stride={self.stride}"


def shortcut(option: ShortcutOption, in_channels: int, out_channels: int, stride: int = 1) -> nn.Module:
    """Return the shortcut of a residual block.

    He et al. (2016), section 3.3 and table 3. A projection is a 1 x 1 convolution with the block's stride
    and a batch norm.

    Args:
        option: ``"A"``, ``"B"`` or ``"C"``.
        in_channels: channels of the block's input, at least 1.
        out_channels: channels of its output, at least 1.
        stride: stride of the block, at least 1.

    Returns:
        The identity, a :class:`PadShortcut`, or the two layers of a projection.

    Raises:
        ValueError: if there is no such option.

    Book: resnet
    """
    if option not in get_args(ShortcutOption):
        raise ValueError(f"shortcut must be one of {list(get_args(ShortcutOption))}, got {option!r}")
    same_shape = in_channels == out_channels and stride == 1
    if same_shape and option != "C":
        return nn.Identity()
    if option == "A":
        return PadShortcut(out_channels, stride)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False),
        nn.BatchNorm2d(out_channels),
    )
