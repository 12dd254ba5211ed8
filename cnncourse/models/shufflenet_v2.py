"""ShuffleNet V2: half of the channels pass a unit untouched, and a shuffle mixes the halves afterwards.

Ma, Zhang, Zheng & Sun, "ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design", ECCV 2018,
arXiv:1807.11164.
"""

from functools import partial

import torch
from torch import Tensor, nn

from cnncourse.layers import channel_shuffle, conv_norm, he_initialise
from cnncourse.models.entry import Entry, Preprocessing, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, torchvision

# Ma et al. (2018), table 5: channels of stages 2, 3 and 4 and of conv5.
TABLE_5 = {
    "x0_5": (48, 96, 192, 1024),
    "x1_0": (116, 232, 464, 1024),
    "x1_5": (176, 352, 704, 1024),
    "x2_0": (244, 488, 976, 2048),
}

UNITS = (4, 8, 4)
"""Units of stages 2, 3 and 4; the first of each has stride 2 (table 5, column "repeat")."""

FIRST = 24
"""Channels of the first convolution (table 5)."""


class InvertedResidual(nn.Module):
    """Channel split, a branch of three convolutions, concatenation, shuffle: Ma et al. (2018), figure 3 c, d.

    With stride 2 nothing is split: both branches read all channels, and the number of channels changes.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, even; with stride 1 those of the input.
        stride: 1 or 2.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        half = out_channels // 2
        read = in_channels if stride == 2 else half
        self.stride = stride
        self.branch1 = nn.Sequential()
        if stride == 2:
            self.branch1 = nn.Sequential(
                *conv_norm(in_channels, in_channels, stride=stride, groups=in_channels),
                *conv_norm(in_channels, half, 1, activation=nn.ReLU(inplace=True)),
            )
        self.branch2 = nn.Sequential(
            *conv_norm(read, half, 1, activation=nn.ReLU(inplace=True)),
            *conv_norm(half, half, stride=stride, groups=half),
            *conv_norm(half, half, 1, activation=nn.ReLU(inplace=True)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the unit's output for maps (N, C, H, W)."""
        if self.stride == 1:
            untouched, half = x.chunk(2, dim=1)
            out = torch.cat((untouched, self.branch2(half)), dim=1)
        else:
            out = torch.cat((self.branch1(x), self.branch2(x)), dim=1)
        return channel_shuffle(out, 2)


class ShuffleNetV2(nn.Module):
    """ShuffleNet V2 in one of the paper's four sizes; its state dict is torchvision's.

    Ma et al. (2018), table 5: 1.4, 2.3, 3.5 and 7.4 million parameters; its operations are 0.8 to 1.4 % more
    than the multiply-adds of the convolutions and the last layer.

    Differs from the paper: He's starting values; the paper names none.

    Args:
        size: ``"x0_5"``, ``"x1_0"``, ``"x1_5"`` or ``"x2_0"``: a column of table 5.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.

    Raises:
        ValueError: if a count is below 1 or the size is unknown.
    """

    def __init__(
        self,
        size: str = "x1_0",
        num_classes: int = 1000,
        in_channels: int = 3,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if size not in TABLE_5:
            raise ValueError(f"size must be one of {', '.join(TABLE_5)}, got {size!r}")
        self.in_channels = in_channels
        *widths, last = TABLE_5[size]
        self.conv1 = conv_norm(in_channels, FIRST, stride=2, activation=nn.ReLU(inplace=True))
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        read, stages = FIRST, []
        for out, units in zip(widths, UNITS, strict=True):
            first = InvertedResidual(read, out, 2)
            stages.append(nn.Sequential(first, *(InvertedResidual(out, out, 1) for _ in range(units - 1))))
            read = out
        self.stage2, self.stage3, self.stage4 = stages
        self.conv5 = conv_norm(read, last, 1, activation=nn.ReLU(inplace=True))
        self.fc = nn.Linear(last, num_classes)
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
        check_images(images, "ShuffleNetV2", self.in_channels, smallest=32)
        x = self.conv1(images)  #        (N,   24, 112, 112) at 224 pixels, size "x1_0"
        x = self.maxpool(x)  #           (N,   24, 56, 56)
        x = self.stage2(x)  #            (N,  116, 28, 28)
        x = self.stage3(x)  #            (N,  232, 14, 14)
        x = self.stage4(x)  #            (N,  464, 7, 7)
        x = self.conv5(x)  #             (N, 1024, 7, 7)
        x = x.mean((2, 3))  #            (N, 1024)
        logits: Tensor = self.fc(x)  #   (N, num_classes)
        return logits


LARGER_CUT = Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=232)
"""What the two larger sizes see: torchvision trained them later, with another recipe."""

LESS = "table 5; it counts up to 1.4 % more than convolutions and last layer have, and does not say what"

# size, parameters, multiply-adds, printed parameters and operations in millions, printed error, file, accuracy
ROWS = (
    ("x0_5", 1_366_792, 40_476_448, 1.4, 41, 39.7, "shufflenetv2_x0.5-f707e7126e.pth", (60.552, 81.746)),
    ("x1_0", 2_278_604, 144_907_992, 2.3, 146, 30.6, "shufflenetv2_x1-5666bf0f80.pth", (69.362, 88.316)),
    ("x1_5", 3_503_624, 295_759_392, 3.5, 299, 27.4, "shufflenetv2_x1_5-3c479a10.pth", (72.996, 91.086)),
    ("x2_0", 7_393_996, 583_253_464, 7.4, 591, 25.1, "shufflenetv2_x2_0-8be3c8ee.pth", (76.230, 93.006)),
)

ENTRIES: tuple[Entry, ...] = tuple(
    Entry(
        *(f"shufflenet_v2_{size}", partial(ShuffleNetV2, size), "ma2018", "table 5"),
        *(parameters, multiply_adds, 224, 1000),
        printed_parameters=Printed(millions * 1e6, 0.05e6),
        printed_operations=Printed(operations * 1e6, 0.014 * operations * 1e6, where=LESS),
        printed_error=PrintedError("imagenet", error, where="table 8"),
        weights=torchvision(file),
        public_accuracy=accuracy,
        preprocessing=IMAGENET if size in ("x0_5", "x1_0") else LARGER_CUT,
    )
    for size, parameters, multiply_adds, millions, operations, error, file, accuracy in ROWS
)
