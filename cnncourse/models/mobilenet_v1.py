"""MobileNet: every convolution but the first is split into one that filters and one that mixes channels.

Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto & Adam, "MobileNets: Efficient Convolutional Neural
Networks for Mobile Vision Applications", 2017, arXiv:1704.04861.
"""

from torch import Tensor, nn

from cnncourse.layers import conv_norm, he_initialise
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images

# Howard et al. (2017), table 1: output channels of a pair "Conv dw", "Conv" and stride of its first one. The
# table prints a stride of 2 in the last pair as well, but gives it 7 x 7 inputs and outputs: the stride is 1.
TABLE_1 = (
    # channels, stride
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)

FIRST = 32
"""Channels of the first, full convolution (table 1)."""


def depthwise_separable(in_channels: int, out_channels: int, stride: int) -> nn.Sequential:
    """Return a 3 x 3 depthwise and a 1 x 1 convolution, each with batch norm and ReLU.

    Howard et al. (2017), section 3.1 and figure 3: 1 / out_channels + 1 / 9 of the multiply-adds of a full
    3 x 3 convolution.

    Args:
        in_channels: channels read, at least 1.
        out_channels: channels given, at least 1.
        stride: stride of the depthwise convolution.

    Returns:
        The two, named 0 and 1.
    """
    return nn.Sequential(
        conv_norm(
            in_channels, in_channels, stride=stride, groups=in_channels, activation=nn.ReLU(inplace=True)
        ),
        conv_norm(in_channels, out_channels, 1, activation=nn.ReLU(inplace=True)),
    )


class MobileNetV1(nn.Module):
    """MobileNet as its first paper has it.

    Howard et al. (2017), table 1: 4.2 million parameters, 569 million multiply-adds. Section 3.4's resolution
    multiplier is the side of the images.

    Differs from the paper: He's starting values; the paper names none. The softmax of table 1's last row is
    left to the loss.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        width: factor α on all channels (section 3.3, the width multiplier), above 0; channels are rounded.

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(self, num_classes: int = 1000, in_channels: int = 3, *, width: float = 1.0) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if not width > 0:
            raise ValueError(
                f"width must be above 0, got width={width}; the paper's are 1, 0.75, 0.5 and 0.25"
            )
        self.in_channels = in_channels
        read = max(1, round(FIRST * width))
        features: list[nn.Module] = [conv_norm(in_channels, read, stride=2, activation=nn.ReLU(inplace=True))]
        for channels, stride in TABLE_1:
            out = max(1, round(channels * width))
            features.append(depthwise_separable(read, out, stride))
            read = out
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
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
        check_images(images, "MobileNetV1", self.in_channels, smallest=32)
        x = self.features(images)  #       (N, 1024, 7, 7) at 224 pixels
        x = self.avgpool(x).flatten(1)  #  (N, 1024)
        logits: Tensor = self.fc(x)  #     (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("mobilenet_v1", MobileNetV1, "howard2017", "table 1", 4_231_976, 568_740_352, 224, 1000),
        printed_parameters=Printed(4.2e6, 0.05e6, where="table 4"),
        printed_operations=Printed(569e6, 0.5e6, where="table 4"),
        printed_error=PrintedError("imagenet", 29.4, where="table 4, as an accuracy of 70.6"),
    ),
)
