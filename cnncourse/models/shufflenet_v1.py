"""ShuffleNet: the 1 x 1 convolutions have groups as well, and a shuffle of the channels lets the groups talk.

Zhang, Zhou, Lin & Sun, "ShuffleNet: An Extremely Efficient Convolutional Neural Network for Mobile Devices",
CVPR 2018, arXiv:1707.01083.
"""

import torch
from torch import Tensor, nn

from cnncourse.layers import channel_shuffle, conv_norm, he_initialise
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.mobilenet_v2 import round_channels

# Zhang et al. (2018), table 1: output channels of stages 2, 3 and 4 for each number of groups.
TABLE_1 = {
    1: (144, 288, 576),
    2: (200, 400, 800),
    3: (240, 480, 960),
    4: (272, 544, 1088),
    8: (384, 768, 1536),
}

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each has stride 2 (table 1, column "repeat")."""

FIRST = 24
"""Channels of the first convolution (table 1)."""

BOTTLENECK = 4
"""A unit's inner convolution has a quarter of its output channels (section 3.2)."""


class ShuffleUnit(nn.Module):
    """Grouped 1 x 1 convolution, shuffle, 3 x 3 depthwise, grouped 1 x 1: Zhang et al. (2018), figure 2 b, c.

    With stride 2 the shortcut is a 3 x 3 mean and is put beside the branch instead of being added to it.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output; with stride 1 those of the input.
        stride: 1 or 2.
        groups: groups of the 1 x 1 convolutions.
        first_groups: groups of the first of them, ``groups`` if ``None``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, groups: int, first_groups: int | None = None
    ) -> None:
        super().__init__()
        inner = out_channels // BOTTLENECK
        first_groups = groups if first_groups is None else first_groups
        beside = in_channels if stride == 2 else 0
        self.groups = groups
        self.reduce = conv_norm(in_channels, inner, 1, groups=first_groups, activation=nn.ReLU(inplace=True))
        self.depthwise = conv_norm(inner, inner, stride=stride, groups=inner)
        self.expand = conv_norm(inner, out_channels - beside, 1, groups=groups)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if stride == 2 else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's output for maps (N, C, H, W)."""
        branch = self.reduce(x)  #                                (N, C' / 4, H, W)
        branch = channel_shuffle(branch, self.groups)
        branch = self.expand(self.depthwise(branch))  #           (N, C' or C' - C, H / stride, W / stride)
        if self.shortcut is None:
            return torch.relu_(branch + x)
        return torch.relu_(torch.cat((self.shortcut(x), branch), dim=1))


class ShuffleNetV1(nn.Module):
    """ShuffleNet with a number of groups and a scale.

    Zhang et al. (2018), table 1: about 140 million multiply-adds for each number of groups, so that more
    groups buy more channels; its five figures come out when the last layer is left out of the count. The first
    1 x 1 convolution of stage 2 has one group: it reads 24 channels only.

    Differs from the paper: He's starting values; the paper names none. At scales at which the groups do not
    divide the scaled channels, the nearest numbers that they divide are taken.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        groups: groups of the 1 x 1 convolutions: 1, 2, 3, 4 or 8.
        scale: factor on all channels, above 0; the paper's "ShuffleNet s x".

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(
        self, num_classes: int = 1000, in_channels: int = 3, *, groups: int = 3, scale: float = 1.0
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if groups not in TABLE_1 or not scale > 0:
            raise ValueError(
                f"groups must be one of {', '.join(map(str, TABLE_1))} and scale above 0, got groups={groups} "
                f"and scale={scale}"
            )
        self.in_channels = in_channels
        read = round_channels(FIRST * scale, groups)
        self.conv1 = conv_norm(in_channels, read, stride=2, activation=nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        stages = []
        for index, (channels, units) in enumerate(zip(TABLE_1[groups], UNITS, strict=True)):
            out = round_channels(channels * scale, BOTTLENECK * groups)
            stage: list[nn.Module] = [ShuffleUnit(read, out, 2, groups, 1 if index == 0 else None)]
            stage += [ShuffleUnit(out, out, 1, groups) for _ in range(units - 1)]
            stages.append(nn.Sequential(*stage))
            read = out
        self.stage2, self.stage3, self.stage4 = stages
        self.globalpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(read, num_classes)
        he_initialise(self, "out")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, "ShuffleNetV1", self.in_channels, smallest=32)
        x = self.conv1(images)  #             (N,  24, 112, 112) at 224 pixels, groups=3, scale=1
        x = self.maxpool(x)  #                (N,  24, 56, 56)
        x = self.stage2(x)  #                 (N, 240, 28, 28)
        x = self.stage3(x)  #                 (N, 480, 14, 14)
        x = self.stage4(x)  #                 (N, 960, 7, 7)
        x = self.globalpool(x).flatten(1)  #  (N, 960)
        logits: Tensor = self.fc(x)  #        (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("shufflenet_v1", ShuffleNetV1, "zhang2018", "table 1, 3 groups", 1_865_728, 137_460_672, 224, 1000),
        printed_operations=Printed(
            137e6, 0.5e6, where="table 1; the other columns come out without the last layer"
        ),
        printed_error=PrintedError("imagenet", 32.6, where="table 2"),
    ),
)
