"""Channel shuffle: the channels of several groups are dealt out so that the next group reads from all of them.

Zhang, Zhou, Lin & Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
CVPR 2018, arXiv:1707.01083, section 3.1.
"""

from torch import Tensor, nn


def channel_shuffle(maps: Tensor, groups: int) -> Tensor:
    """Reorder channels so that each new group holds channels of all old groups.

    Zhang et al. (2018), section 3.1: the channels are written row by row into a table of ``groups`` rows and
    read column by column. With C channels, shuffling by C / groups undoes it.

    Args:
        maps: (N, C, ...).
        groups: number of groups, at least 1, a divisor of C.

    Returns:
        (N, C, ...): channel i · groups + g is channel g · C / groups + i of the input.

    Raises:
        ValueError: if the groups do not divide the channels.
    """
    if maps.ndim < 2 or groups < 1 or maps.shape[1] % groups:
        raise ValueError(
            f"groups must divide the channels of maps (N, C, ...), got groups={groups} for maps of shape "
            f"{tuple(maps.shape)}; choose a divisor of C"
        )
    table = maps.reshape(maps.shape[0], groups, maps.shape[1] // groups, *maps.shape[2:])
    return table.transpose(1, 2).reshape(maps.shape)


class ChannelShuffle(nn.Module):
    """Channel shuffle as a layer without weights; see :func:`channel_shuffle`.

    Args:
        groups: number of groups, at least 1.

    Raises:
        ValueError: if the number is below 1.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        if groups < 1:
            raise ValueError(f"groups must be at least 1, got groups={groups}; 1 leaves the order as it is")
        self.groups = groups

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, ...) with their channels reordered."""
        return channel_shuffle(maps, self.groups)

    def extra_repr(self) -> str:
        """Return the setting, as ``repr`` shows it."""
        return f"groups={self.groups}"
