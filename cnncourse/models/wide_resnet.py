"""Wide ResNets for small images: few layers, many channels.

Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146. Its network for photographs,
WRN-50-2-bottleneck, is a :class:`cnncourse.models.ResNet` with wide bottlenecks.
"""

from functools import partial

from torch import Tensor, nn

from cnncourse.layers import StochasticDepth, he_initialise
from cnncourse.models.depths import blocks_a_stage, growing
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images

# Zagoruyko & Komodakis (2016), table 1: output size and channels of the groups; k is the widening factor and
# each group has N blocks of two 3 x 3 convolutions.
TABLE_1 = (
    # side, channels
    (32, 16),  # conv1, not widened
    (32, 16),  # conv2, times k
    (16, 32),  # conv3, times k
    (8, 64),  #  conv4, times k
)


class WideBlock(nn.Module):
    """Norm, ReLU and a 3 x 3 convolution, twice, and a shortcut: Zagoruyko & Komodakis (2016), figure 1(c, d).

    Args:
        in_channels: channels of the input.
        out_channels: channels of both convolutions.
        stride: stride of the first convolution and of the shortcut.
        drop_prob: dropout between the convolutions, in [0, 1).
        depth_drop_prob: probability that the branch of an image is left out in training, in [0, 1).
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int, drop_prob: float, depth_drop_prob: float
    ) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.dropout = nn.Dropout(drop_prob) if drop_prob else None
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        # Only a change of channels asks for a projection; a stride comes with one, except at k = 1.
        self.shortcut = (
            None
            if in_channels == out_channels and stride == 1
            else nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        )
        self.stochastic_depth = StochasticDepth(depth_drop_prob) if depth_drop_prob else None

    def forward(self, x: Tensor) -> Tensor:
        """Return shortcut(x) + F(x) for maps (N, C, H, W); a projection reads the activated input."""
        active = self.relu(self.bn1(x))
        out = self.relu(self.bn2(self.conv1(active)))
        if self.dropout is not None:
            out = self.dropout(out)
        out = self.conv2(out)
        if self.stochastic_depth is not None:
            out = self.stochastic_depth(out)
        out += x if self.shortcut is None else self.shortcut(active)
        result: Tensor = out
        return result


class WideResNet(nn.Module):
    """WRN-d-k: a pre-activation network of depth d that is k times as wide as the usual one.

    Zagoruyko & Komodakis (2016), table 1. WRN-28-10 has 36.5 million parameters.

    Differs from the paper: none known; as there, the depth counts convolutions (projections too), not the last
    layer.

    Args:
        depth: 6n + 4, at least 10: three groups of n blocks with two convolutions, the first one, three projections.
        width: widening factor k, at least 1.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        drop_prob: dropout between the convolutions of each block, in [0, 1); the paper takes 0.3 on CIFAR.
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from the first.

    Raises:
        ValueError: if the depth has another form, a count is below 1, or a probability is out of its range.
    """

    def __init__(
        self,
        depth: int = 28,
        width: int = 10,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        drop_prob: float = 0.0,
        depth_drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        n = blocks_a_stage(depth, 6, 4)
        check_counts(num_classes, in_channels)
        if width < 1 or not 0 <= drop_prob < 1:
            raise ValueError(
                f"width must be at least 1 and drop_prob lie in [0, 1), got {width=} and {drop_prob=}"
            )
        self.depth, self.width, self.in_channels = depth, width, in_channels
        drops = growing(depth_drop_prob, 3 * n)
        read = TABLE_1[0][1]
        self.conv1 = nn.Conv2d(in_channels, read, 3, padding=1, bias=False)
        groups = []
        for index, (_side, channels) in enumerate(TABLE_1[1:]):
            blocks = []
            for block in range(n):
                stride = 2 if index > 0 and block == 0 else 1
                blocks.append(WideBlock(read, channels * width, stride, drop_prob, next(drops)))
                read = channels * width
            groups.append(nn.Sequential(*blocks))
        self.conv2, self.conv3, self.conv4 = groups
        self.bn = nn.BatchNorm2d(read)
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(read, num_classes)
        he_initialise(self, "in")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 4 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, f"WRN-{self.depth}-{self.width}", self.in_channels, smallest=4)
        x = self.conv1(images)  #          (N,   16, 32, 32)
        x = self.conv2(x)  #               (N, 16 k, 32, 32)
        x = self.conv3(x)  #               (N, 32 k, 16, 16)
        x = self.conv4(x)  #               (N, 64 k,  8,  8)
        x = self.relu(self.bn(x))
        x = self.avgpool(x).flatten(1)  #  (N, 64 k)
        logits: Tensor = self.fc(x)  #     (N, num_classes)
        return logits


def _wrn(depth: int, width: int, counts: tuple[int, int], printed: Printed, error: PrintedError) -> Entry:
    return Entry(
        *(f"wide_resnet{depth}_{width}", partial(WideResNet, depth, width), "zagoruyko2016", "table 1"),
        *(*counts, 32, 10),
        smallest_side=4,
        printed_parameters=printed,
        printed_error=error,
    )


ENTRIES: tuple[Entry, ...] = (
    _wrn(
        *(16, 8, (10_961_370, 1_548_145_664)),
        Printed(11.0e6, 0.05e6, where="table 5"),
        PrintedError("cifar10", 4.27, where="table 5"),
    ),
    _wrn(
        *(40, 4, (8_949_210, 1_298_582_016)),
        Printed(8.9e6, 0.05e6, where="table 5"),
        PrintedError("cifar10", 4.53, where="table 5"),
    ),
    _wrn(
        *(28, 10, (36_479_194, 5_243_328_768)),
        Printed(36.5e6, 0.05e6, where="table 5"),
        PrintedError("cifar10", 4.00, where="table 5, median of 5 runs; 3.89 with dropout (table 6)"),
    ),
)
