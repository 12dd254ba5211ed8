"""What GoogLeNet is made of: convolutions, inception modules, auxiliary heads.

Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842, section 4, figure 2 and section 5.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_DROP_PROB = 0.7
"""Dropout in the auxiliary heads (section 5)."""


class Convolution(nn.Module):
    """A convolution and a ReLU, with a bias as in the paper or with a batch norm between them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: side of the kernel, odd; the sides of the maps stay as they are but for the stride.
        stride: step of the kernel.
        batch_norm: whether a batch norm takes the place of the bias.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, *, batch_norm: bool
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=not batch_norm
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps (N, C', H', W') for maps (N, C, H, W)."""
        result: Tensor = self.relu(self.bn(self.conv(x)))
        return result


class Inception(nn.Module):
    """Four branches that look at the same maps, one behind the other in the output: figure 2b.

    Args:
        in_channels: channels of the input.
        widths: a row of table 1.
        convolution: builds a convolution of the branches.
        largest: side of the kernels in the third branch: 5 as in the paper.
    """

    def __init__(
        self,
        in_channels: int,
        widths: tuple[int, int, int, int, int, int],
        convolution: Callable[[int, int, int], nn.Module],
        largest: int,
    ) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = widths
        self.branch1 = convolution(in_channels, one, 1)
        self.branch2 = nn.Sequential(convolution(in_channels, reduce3, 1), convolution(reduce3, three, 3))
        self.branch3 = nn.Sequential(
            convolution(in_channels, reduce5, 1), convolution(reduce5, five, largest)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), convolution(in_channels, pooled, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of all branches for maps (N, C, H, W); height and width stay."""
        return torch.cat((self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)), dim=1)


class Head(nn.Module):
    """An auxiliary head: a small network that guesses the class from the middle of the large one (section 5).

    Args:
        in_channels: channels of the maps that it reads.
        num_classes: number of logits.
        convolution: builds its convolution.
        adaptive: average any maps to 4 x 4 places, as torchvision does; else over 5 x 5 places with stride 3, as
            in the paper, which makes 4 x 4 of 14 x 14.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        convolution: Callable[[int, int, int], nn.Module],
        *,
        adaptive: bool,
    ) -> None:
        super().__init__()
        self.adaptive = adaptive
        self.conv = convolution(in_channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(HEAD_DROP_PROB)
        self.fc2 = nn.Linear(1024, num_classes)

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits (N, num_classes) for maps (N, C, H, W)."""
        if self.adaptive or maps.shape[2:] != (14, 14):
            x = functional.adaptive_avg_pool2d(maps, 4)  # (N, C, 4, 4)
        else:
            x = functional.avg_pool2d(maps, 5, stride=3)  # (N, C, 4, 4)
        x = self.conv(x).flatten(1)  #                      (N, 2048)
        x = self.dropout(self.relu(self.fc1(x)))  #         (N, 1024)
        logits: Tensor = self.fc2(x)  #                     (N, num_classes)
        return logits
