"""SqueezeNet: the accuracy of AlexNet with a fiftieth of its parameters.

Iandola, Han, Moskewicz, Ashraf, Dally & Keutzer, "SqueezeNet: AlexNet-Level Accuracy with 50x Fewer Parameters and
<0.5MB Model Size", arXiv:1602.07360, 2016.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from cnncourse.layers import he_initialise
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# Iandola et al. (2016), table 1: maps of the squeezing 1 x 1 convolution, of the expanding 1 x 1 and of the
# expanding 3 x 3 one; version 1.1 has the same fire modules.
FIRES = {
    "fire2": (16, 64, 64),
    "fire3": (16, 64, 64),
    "fire4": (32, 128, 128),
    "fire5": (32, 128, 128),
    "fire6": (48, 192, 192),
    "fire7": (48, 192, 192),
    "fire8": (64, 256, 256),
    "fire9": (64, 256, 256),
}

# The first convolution (channels, side of the kernel), in front of which fire modules a pooling stands, and the
# smallest side of the images: table 1, and the authors' repository for version 1.1.
VERSIONS: dict[str, tuple[int, int, tuple[str, ...], int]] = {
    "1.0": (96, 7, ("fire2", "fire5", "fire9"), 21),
    "1.1": (64, 3, ("fire2", "fire4", "fire6"), 17),
}


class Fire(nn.Module):
    """Few 1 x 1 filters squeeze, then 1 x 1 and 3 x 3 filters side by side expand: section 3.2, figure 1.

    Args:
        in_channels: channels of the input.
        squeeze: maps of the squeezing convolution.
        expand1x1: maps of the expanding 1 x 1 convolution.
        expand3x3: maps of the expanding 3 x 3 convolution.
    """

    def __init__(self, in_channels: int, squeeze: int, expand1x1: int, expand3x3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze, 1)
        self.squeeze_activation = nn.ReLU(inplace=True)
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand1x1_activation = nn.ReLU(inplace=True)
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)
        self.expand3x3_activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of both expansions, one after the other, for maps (N, C, H, W)."""
        squeezed = self.squeeze_activation(self.squeeze(x))
        small = self.expand1x1_activation(self.expand1x1(squeezed))
        large = self.expand3x3_activation(self.expand3x3(squeezed))
        return torch.cat((small, large), dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet without a bypass; its state dict is torchvision's.

    Iandola et al. (2016), table 1: 1,248,424 parameters.

    Differs from the paper: none in the layers; weights are He's, those of the last convolution normal with a
    standard deviation of 0.01. The paper's maps of 111 x 111, 55 x 55, 27 x 27 and 13 x 13 are those of 227
    pixels; at the 224 that it prints the first two are 109 x 109 and 54 x 54. The logits are behind a ReLU, as
    in the paper, so that none is negative. Version 1.1 is the authors' later one, with fewer operations.

    Args:
        version: ``"1.0"`` or ``"1.1"``.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        drop_prob: dropout behind the last fire module, in [0, 1).

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(
        self,
        version: Literal["1.0", "1.1"] = "1.0",
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        drop_prob: float = 0.5,
    ) -> None:
        super().__init__()
        if version not in VERSIONS:
            raise ValueError(f"version must be '1.0' or '1.1', got {version!r}")
        check_counts(num_classes, in_channels)
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob must lie in [0, 1), got drop_prob={drop_prob}")
        self.version, self.in_channels = version, in_channels
        read, kernel, pooled, self.smallest_side = VERSIONS[version]
        features: list[nn.Module] = [nn.Conv2d(in_channels, read, kernel, stride=2), nn.ReLU(inplace=True)]
        for name, (squeeze, expand1x1, expand3x3) in FIRES.items():
            features += [nn.MaxPool2d(3, stride=2, ceil_mode=True)] if name in pooled else []
            features.append(Fire(read, squeeze, expand1x1, expand3x3))
            read = expand1x1 + expand3x3
        self.features = nn.Sequential(*features)
        conv10 = nn.Conv2d(read, num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(drop_prob), conv10, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1)
        )
        he_initialise(self)
        nn.init.normal_(conv10.weight, 0, 0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 21 pixels (17 for version 1.1).

        Returns:
            (N, num_classes): logits, none below 0.

        Raises:
            ValueError: if the images have another shape.
        """
        # Version 1.0 at 227 pixels: conv1 and pool1 (N, 96, 111 then 55), fire4 and pool4 (N, 256, 55 then 27),
        # fire8 and pool8 (N, 512, 27 then 13).
        check_images(images, f"SqueezeNet {self.version}", self.in_channels, smallest=self.smallest_side)
        x = self.features(images)  #   (N, 512, 13, 13)
        x = self.classifier(x)  #      (N, num_classes, 1, 1), the mean over 13 x 13 places
        logits: Tensor = x.flatten(1)  # (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "squeezenet1_0",
        partial(SqueezeNet, "1.0"),
        *("iandola2016", "table 1", 1_248_424, 818_924_576, 224, 1000),
        smallest_side=21,
        printed_parameters=Printed(1_248_424, 0.5),
        printed_error=PrintedError("imagenet", 42.5, 19.7, "table 2, as accuracies of 57.5 and 80.3"),
        weights=torchvision("squeezenet1_0-b66bff10.pth"),
        public_accuracy=(58.092, 80.42),
        preprocessing=IMAGENET,
    ),
    Entry(
        "squeezenet1_1",
        partial(SqueezeNet, "1.1"),
        *("iandola2016", "the authors' repository", 1_235_496, 349_151_936, 224, 1000),
        smallest_side=17,
        weights=torchvision("squeezenet1_1-b8a52dc0.pth"),
        public_accuracy=(58.178, 80.624),
        preprocessing=IMAGENET,
    ),
)
