"""MobileNetV2: residual blocks that are narrow at both ends and wide, but depthwise, in the middle.

Sandler, Howard, Zhu, Zhmoginov & Chen, "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018,
arXiv:1801.04381.
"""

from torch import Tensor, nn

from cnncourse.layers import conv_norm, he_initialise
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# Sandler et al. (2018), table 2: expansion factor t, output channels c, blocks n, stride s of the first block.
TABLE_2 = (
    # t,   c, n, s
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)

FIRST, LAST = 32, 1280
"""Channels of the first convolution and of the last one (table 2)."""


def round_channels(channels: float, divisor: int = 8) -> int:
    """Return the multiple of a divisor nearest to a number of channels, never less than 90 % of it.

    Args:
        channels: wanted number, above 0.
        divisor: what the result is a multiple of, at least 1.

    Returns:
        The number of channels, at least ``divisor``.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * channels else rounded + divisor


class InvertedResidual(nn.Module):
    """1 x 1 expansion, 3 x 3 depthwise convolution, linear 1 x 1 projection: Sandler et al. (2018), table 1.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        stride: stride of the depthwise convolution.
        expansion: factor t between the input's channels and the middle's; 1 leaves the first layer out.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(in_channels, middle, 1, activation=nn.ReLU6(inplace=True)))
        layers.append(
            conv_norm(middle, middle, stride=stride, groups=middle, activation=nn.ReLU6(inplace=True))
        )
        layers += conv_norm(middle, out_channels, 1)
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return F(x), or x + F(x) where the shapes allow it, for maps (N, C, H, W)."""
        out: Tensor = self.conv(x)
        return x + out if self.residual else out


class MobileNetV2(nn.Module):
    """MobileNetV2; its state dict is torchvision's.

    Sandler et al. (2018), table 2: 3.4 million parameters, 300 million multiply-adds.

    Differs from the paper: dropout of 0.2 before the last layer, as the public weights were trained.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        width: factor on all channels (section 5, the width multiplier), above 0; channels become multiples
            of 8, and the last convolution does not become narrower than 1,280.
        drop_prob: dropout before the last layer, in [0, 1).

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(
        self, num_classes: int = 1000, in_channels: int = 3, *, width: float = 1.0, drop_prob: float = 0.2
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if not width > 0 or not 0 <= drop_prob < 1:
            raise ValueError(
                f"width must be above 0 and drop_prob lie in [0, 1), got {width=} and {drop_prob=}"
            )
        self.in_channels = in_channels
        read, last = round_channels(FIRST * width), round_channels(LAST * max(1.0, width))
        features: list[nn.Module] = [
            conv_norm(in_channels, read, stride=2, activation=nn.ReLU6(inplace=True))
        ]
        for expansion, channels, blocks, stride in TABLE_2:
            out = round_channels(channels * width)
            for index in range(blocks):
                features.append(InvertedResidual(read, out, stride if index == 0 else 1, expansion))
                read = out
        features.append(conv_norm(read, last, 1, activation=nn.ReLU6(inplace=True)))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(drop_prob), nn.Linear(last, num_classes))
        he_initialise(self, "out")
        for module in self.classifier.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0, 0.01)
                nn.init.zeros_(module.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, "MobileNetV2", self.in_channels, smallest=32)
        x = self.features(images)  #          (N, 1280, 7, 7) at 224 pixels
        x = self.avgpool(x).flatten(1)  #     (N, 1280)
        logits: Tensor = self.classifier(x)  # (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("mobilenet_v2", MobileNetV2, "sandler2018", "table 2", 3_504_872, 300_774_272, 224, 1000),
        printed_parameters=Printed(3.4e6, 0.11e6, where="table 4; 3.47 million without batch norm, cut off"),
        printed_operations=Printed(300e6, 1e6, where="table 4"),
        printed_error=PrintedError("imagenet", 28.0, where="table 4, as an accuracy of 72.0"),
        weights=torchvision("mobilenet_v2-b0353104.pth"),
        public_accuracy=(71.878, 90.286),
        preprocessing=IMAGENET,
    ),
)
