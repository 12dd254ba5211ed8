"""Pre-activation ResNets: norm and ReLU in front of each convolution, and nothing on the way past a block.

He, Zhang, Ren & Sun, "Identity Mappings in Deep Residual Networks", ECCV 2016, arXiv:1603.05027.
"""

from functools import partial
from typing import Any

from torch import Tensor, nn

from cnncourse.layers import PadShortcut, StochasticDepth, he_initialise
from cnncourse.models.depths import blocks_a_stage, growing
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images

# He et al. (2016b), table 3: depth, with or without bottlenecks, error on CIFAR-10 of the original block and of
# this one, in per cent.
TABLE_3 = (
    (110, False, 6.61, 6.37),
    (164, True, 5.93, 5.46),
    (1001, True, 7.61, 4.92),
)

CIFAR_WIDTHS = (16, 32, 64)
"""Channels of the 3 x 3 convolutions in the three stages for 32 x 32 images, as in He et al. (2016a)."""

# Depth, kind of block, number of blocks in each stage. Depth 200 is He et al. (2016b), section 5: 16 blocks more than
# depth 152 on maps of 28 pixels; the others are the table of He et al. (2016a).
IMAGENET_BLOCKS: dict[int, tuple[str, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
    200: ("bottleneck", (3, 24, 36, 3)),
}

IMAGENET_WIDTHS = (64, 128, 256, 512)
"""Channels of the 3 x 3 convolutions in the four stages for photographs, as in He et al. (2016a)."""


class PreActBlock(nn.Module):
    """Two or three convolutions, each behind a norm and a ReLU: He et al. (2016b), figure 1(b).

    Args:
        in_channels: channels of the input.
        width: channels of the 3 x 3 convolutions.
        stride: stride of the first convolution and of the shortcut.
        bottleneck: 1 x 1, 3 x 3 and 1 x 1 convolutions with four times the width behind, else two 3 x 3 ones.
        first: the first block of the network, whose input was activated by the layers in front of it.
        projection: a shortcut that changes the shape is a 1 x 1 convolution of the activated input; else it
            pads with zeros.
        drop_prob: probability that the branch of an image is left out in training, in [0, 1).

    Book: resnet
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int,
        *,
        bottleneck: bool,
        first: bool,
        projection: bool,
        drop_prob: float,
    ) -> None:
        super().__init__()
        out_channels = 4 * width if bottleneck else width
        sides = (1, 3, 1) if bottleneck else (3, 3)
        self.bn1 = None if first else nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, width, sides[0], stride, padding=sides[0] // 2, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width) if bottleneck else None
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False) if bottleneck else None
        self.projects = projection and (stride > 1 or in_channels != out_channels)
        self.shortcut: nn.Module | None = None
        if self.projects:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        elif stride > 1 or in_channels != out_channels:
            self.shortcut = PadShortcut(out_channels, stride)
        self.stochastic_depth = StochasticDepth(drop_prob) if drop_prob else None

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut(x) + F(x) for maps (N, C, H, W); nothing is done to the sum."""
        active = x if self.bn1 is None else self.relu(self.bn1(x))
        out = self.conv2(self.relu(self.bn2(self.conv1(active))))
        if self.bn3 is not None and self.conv3 is not None:
            out = self.conv3(self.relu(self.bn3(out)))
        if self.stochastic_depth is not None:
            out = self.stochastic_depth(out)
        out += x if self.shortcut is None else self.shortcut(active if self.projects else x)
        result: Tensor = out
        return result


def _stages(
    widths: tuple[int, ...],
    blocks: tuple[int, ...],
    bottleneck: bool,
    projection: bool,
    depth_drop_prob: float,
) -> list[nn.Sequential]:
    """Return the stages of a network whose first convolution gives widths[0] channels."""
    drops = growing(depth_drop_prob, sum(blocks))
    how: dict[str, Any] = {"bottleneck": bottleneck, "projection": projection}
    stages, read = [], widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        layers = []
        for index in range(count):
            stride = 2 if stage > 0 and index == 0 else 1
            first = stage == index == 0
            layers.append(PreActBlock(read, width, stride, first=first, drop_prob=next(drops), **how))
            read = 4 * width if bottleneck else width
        stages.append(nn.Sequential(*layers))
    return stages


class PreActCifarResNet(nn.Module):
    """A pre-activation ResNet for 32 x 32 images.

    He et al. (2016b), section 4: the widths of He et al. (2016a), section 4.2, where a block of two 3 x 3
    convolutions with 16 channels becomes one of 1 x 1, 3 x 3 and 1 x 1 convolutions with 16, 16 and 64. The
    first block starts from the activated first convolution, the last one is followed by a norm and a ReLU
    (appendix). With bottlenecks the shortcuts that change the shape are projections of the activated input;
    without, they have no parameters (option A).

    Differs from the paper: none known; where option A puts its zeros is not printed, see
    :func:`cnncourse.layers.pad_shortcut`.

    Args:
        depth: number of layers with weights: 6n + 2 (the paper has 110), with bottlenecks 9n + 2 (the paper
            has 164 and 1001).
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        bottleneck: blocks of three convolutions instead of two.
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from the first.

    Raises:
        ValueError: if the depth has another form, a count is below 1, or the probability is out of its range.
    """

    def __init__(
        self,
        depth: int = 110,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        bottleneck: bool = False,
        depth_drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        n = blocks_a_stage(depth, 9 if bottleneck else 6)
        check_counts(num_classes, in_channels)
        self.depth, self.in_channels = depth, in_channels
        self.conv1 = nn.Conv2d(in_channels, CIFAR_WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CIFAR_WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.layer1, self.layer2, self.layer3 = _stages(
            CIFAR_WIDTHS, (n,) * 3, bottleneck, bottleneck, depth_drop_prob
        )
        channels = CIFAR_WIDTHS[-1] * (4 if bottleneck else 1)
        self.bn_last = nn.BatchNorm2d(channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialise(self, "out")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 4 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        # Shapes of the bottlenecks at 32 pixels; without them the stages have 16, 32 and 64 channels.
        check_images(images, f"pre-activation ResNet-{self.depth}", self.in_channels, smallest=4)
        x = self.relu(self.bn1(self.conv1(images)))  # (N,  16, 32, 32)
        x = self.layer1(x)  #                          (N,  64, 32, 32)
        x = self.layer2(x)  #                          (N, 128, 16, 16)
        x = self.layer3(x)  #                          (N, 256,  8,  8)
        x = self.relu(self.bn_last(x))
        x = self.avgpool(x).flatten(1)  #              (N, 256)
        logits: Tensor = self.fc(x)  #                 (N, num_classes)
        return logits


class PreActResNet(nn.Module):
    """A pre-activation ResNet for photographs.

    He et al. (2016b), section 5 and appendix: ResNet-200, and the depths of He et al. (2016a), table 1, with
    the same blocks. Shortcuts that change the shape are projections of the activated input.

    Differs from the paper: none known; the paper prints errors of depths 152 and 200, the others follow the
    same table.

    Args:
        depth: 18, 34, 50, 101, 152 or 200.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        small_stem: start with a 3 x 3 convolution of stride 1 and no pooling, for images of 32 pixels.
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from the first.

    Raises:
        ValueError: if the depth is not in the table, a count is below 1, or the probability is out of its range.
    """

    def __init__(
        self,
        depth: int = 200,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        small_stem: bool = False,
        depth_drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        if depth not in IMAGENET_BLOCKS:
            raise ValueError(f"depth must be one of {sorted(IMAGENET_BLOCKS)}, got depth={depth}")
        check_counts(num_classes, in_channels)
        kind, blocks = IMAGENET_BLOCKS[depth]
        bottleneck = kind == "bottleneck"
        self.depth, self.in_channels = depth, in_channels
        self.smallest_side = 8 if small_stem else 32
        side, stride = (3, 1) if small_stem else (7, 2)
        width = IMAGENET_WIDTHS[0]
        self.conv1 = nn.Conv2d(in_channels, width, side, stride, padding=side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_stem else nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, self.layer2, self.layer3, self.layer4 = _stages(
            IMAGENET_WIDTHS, blocks, bottleneck, True, depth_drop_prob
        )
        channels = IMAGENET_WIDTHS[-1] * (4 if bottleneck else 1)
        self.bn_last = nn.BatchNorm2d(channels)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        he_initialise(self, "out")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels (8 with the small
                stem).

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        # Shapes of the bottlenecks at 224 pixels; depths 18 and 34 have a quarter of the channels in the stages.
        check_images(
            images, f"pre-activation ResNet-{self.depth}", self.in_channels, smallest=self.smallest_side
        )
        x = self.relu(self.bn1(self.conv1(images)))  # (N,   64, 112, 112)
        x = self.maxpool(x)  #                         (N,   64,  56,  56)
        x = self.layer1(x)  #                          (N,  256,  56,  56)
        x = self.layer2(x)  #                          (N,  512,  28,  28)
        x = self.layer3(x)  #                          (N, 1024,  14,  14)
        x = self.layer4(x)  #                          (N, 2048,   7,   7)
        x = self.relu(self.bn_last(x))
        x = self.avgpool(x).flatten(1)  #              (N, 2048)
        logits: Tensor = self.fc(x)  #                 (N, num_classes)
        return logits


def _cifar(
    depth: int, parameters: int, multiply_adds: int, printed: Printed, *, bottleneck: bool, where: str
) -> Entry:
    (error,) = (ours for row_depth, _bottleneck, _original, ours in TABLE_3 if row_depth == depth)
    return Entry(
        f"preact_resnet{depth}",
        partial(PreActCifarResNet, depth, bottleneck=bottleneck),
        *("he2016identity", "section 4, table 3", parameters, multiply_adds, 32, 10),
        smallest_side=4,
        printed_parameters=printed,
        printed_error=PrintedError("cifar10", error, where=where),
    )


ENTRIES: tuple[Entry, ...] = (
    _cifar(
        *(110, 1_727_962, 252_887_680),
        Printed(1.7e6, 0.05e6, where="table 4, of the original block"),
        bottleneck=False,
        where="table 3, median of 5 runs",
    ),
    _cifar(
        *(164, 1_703_258, 244_500_992),
        Printed(1.7e6, 0.05e6, where="table 4"),
        bottleneck=True,
        where="table 3, median of 5 runs",
    ),
    _cifar(
        *(1001, 10_327_706, 1_487_849_984),
        Printed(10.2e6, 0.15e6, where="table 4; 10.18 million without batch norm"),
        bottleneck=True,
        where="table 3, median of 5 runs; 4.62 with half the batch (table 4)",
    ),
    Entry(
        *("preact_resnet200", partial(PreActResNet, 200), "he2016identity", "section 5 and appendix"),
        *(64_666_152, 14_776_270_848, 224, 1000),
        printed_error=PrintedError("imagenet", 20.7, 5.3, where="table 5, one crop of 320 pixels"),
    ),
)
