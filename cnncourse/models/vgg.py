"""VGG: nothing but 3 x 3 convolutions, in stacks that grow from 11 to 19 layers.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556.
"""

from functools import partial
from typing import Literal

from torch import Tensor, nn

from cnncourse.layers import LocalResponseNorm, glorot_uniform_, he_initialise
from cnncourse.layers.undrawn import undrawn_linear
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# Simonyan & Zisserman (2015), table 1: one list a stage, each entry (side of the kernel, channels); a 2 x 2 max
# pooling follows each stage. Only column C has 1 x 1 kernels.
TABLE_1: dict[str, list[list[tuple[int, int]]]] = {
    "A": [[(3, 64)], [(3, 128)], [(3, 256)] * 2, [(3, 512)] * 2, [(3, 512)] * 2],
    "A-LRN": [[(3, 64)], [(3, 128)], [(3, 256)] * 2, [(3, 512)] * 2, [(3, 512)] * 2],
    "B": [[(3, 64)] * 2, [(3, 128)] * 2, [(3, 256)] * 2, [(3, 512)] * 2, [(3, 512)] * 2],
    "C": [
        *([(3, 64)] * 2, [(3, 128)] * 2, [(3, 256)] * 2 + [(1, 256)]),
        *([(3, 512)] * 2 + [(1, 512)], [(3, 512)] * 2 + [(1, 512)]),
    ],
    "D": [[(3, 64)] * 2, [(3, 128)] * 2, [(3, 256)] * 3, [(3, 512)] * 3, [(3, 512)] * 3],
    "E": [[(3, 64)] * 2, [(3, 128)] * 2, [(3, 256)] * 4, [(3, 512)] * 4, [(3, 512)] * 4],
}

LAST_SIDE = 7
"""Rows and columns of the last maps for images of 224 pixels."""

Init = Literal["he", "glorot", "paper"]


class VGG(nn.Module):
    """A VGG network; the state dict of columns A, B, D and E is torchvision's.

    Simonyan & Zisserman (2015), table 1.

    Differs from the paper: maps of other than 7 x 7 places are averaged to 7 x 7 in front of the fully
    connected layers, where the paper turns those layers into convolutions; at 224 pixels nothing is averaged.
    Batch norm (``batch_norm=True``) is younger than the paper and torchvision's addition. The starting values
    are He's (``init="he"``); the paper's own are there as ``init="paper"``. It also says that A was trained
    first and gave the deeper ones their first four and last three layers, and that Glorot's values turned out
    to do without (``init="glorot"``). Dropout scales in training, not in the test.

    Args:
        column: ``"A"``, ``"A-LRN"``, ``"B"``, ``"C"``, ``"D"`` or ``"E"`` of table 1: 11, 11, 13, 16, 16 and
            19 layers with weights.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        batch_norm: a batch norm between each convolution and its ReLU.
        hidden: units of the first two fully connected layers, at least 1; without effect on a small head.
        small_head: one linear layer on the mean of the last maps instead of three layers on 7 x 7 places: a
            hundredth of their weights, for images of about 32 pixels.
        drop_prob: dropout behind the first two fully connected layers, in [0, 1); without effect on a small
            head.
        init: ``"he"``: convolutions by He's rule and fan-out, fully connected layers with a standard deviation
            of 0.01, as torchvision draws them; ``"glorot"``: all weights uniform by Glorot's rule; ``"paper"``:
            all weights normal with the variance of 0.01 that section 3.1 prints, which is a standard deviation
            of 0.1. A number above 0 is the standard deviation of a normal distribution for all weights. Biases
            are 0 in each case.

    Raises:
        ValueError: if the column is not in the table or a setting is out of its range.

    Book: vgg
    """

    def __init__(
        self,
        column: str,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        batch_norm: bool = False,
        hidden: int = 4096,
        small_head: bool = False,
        drop_prob: float = 0.5,
        init: Init | float = "he",
    ) -> None:
        super().__init__()
        if column not in TABLE_1:
            raise ValueError(f"column must be one of {', '.join(TABLE_1)} (table 1), got {column!r}")
        check_counts(num_classes, in_channels)
        if hidden < 1 or not 0 <= drop_prob < 1:
            raise ValueError(
                f"hidden must be at least 1 and drop_prob lie in [0, 1), got {hidden=} and {drop_prob=}"
            )
        if not (init in ("he", "glorot", "paper") or (isinstance(init, int | float) and init > 0)):
            raise ValueError(
                f"init must be 'he', 'glorot', 'paper' or a standard deviation above 0, got init={init!r}"
            )
        self.column, self.in_channels = column, in_channels
        layers: list[nn.Module] = []
        read = in_channels
        for stage in TABLE_1[column]:
            for kernel, channels in stage:
                layers.append(nn.Conv2d(read, channels, kernel, padding=kernel // 2))
                layers += [nn.BatchNorm2d(channels)] if batch_norm else []
                layers.append(nn.ReLU(inplace=True))
                if column == "A-LRN" and len(layers) <= 3:  # behind the first layer only
                    layers.append(LocalResponseNorm())
                read = channels
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1 if small_head else LAST_SIDE)
        if small_head:
            self.classifier = nn.Sequential(nn.Linear(read, num_classes))
        else:
            self.classifier = nn.Sequential(
                *(undrawn_linear(read * LAST_SIDE**2, hidden), nn.ReLU(inplace=True), nn.Dropout(drop_prob)),
                *(undrawn_linear(hidden, hidden), nn.ReLU(inplace=True), nn.Dropout(drop_prob)),
                nn.Linear(hidden, num_classes),
            )
        self._initialise(init)

    def _initialise(self, init: Init | float) -> None:
        """Draw the weights; biases become 0."""
        deviation = 0.01 if init == "he" else 0.1 if init == "paper" else init
        if init == "he":
            he_initialise(self, "out")
        for module in self.modules():
            if not isinstance(module, nn.Conv2d | nn.Linear):
                continue
            if init == "glorot":
                glorot_uniform_(module)
            elif isinstance(deviation, float) and not (init == "he" and isinstance(module, nn.Conv2d)):
                nn.init.normal_(module.weight, 0, deviation)
            if module.bias is not None:
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
        # Shapes at 224 pixels. The stages of features end at
        # (N, 64, 112, 112), (N, 128, 56, 56), (N, 256, 28, 28), (N, 512, 14, 14) and (N, 512, 7, 7).
        check_images(images, f"VGG-{self.column}", self.in_channels, smallest=32)
        x = self.features(images)  #            (N, 512, 7, 7)
        x = self.avgpool(x).flatten(1)  #       (N, 25088); (N, 512) with a small head
        logits: Tensor = self.classifier(x)  #  (N, num_classes)
        return logits


# torchvision's name, column, parameters, multiply-adds; millions of parameters in table 2 and errors in table 3,
# trained and tested at one scale of 256 pixels; torchvision's file and its accuracies, without and with batch norm.
ROWS = (
    (
        *("vgg11", "A", 132_863_336, 7_609_090_048, (133e6, 29.6, 10.4)),
        *(("vgg11-8a719046.pth", 69.02, 88.628), ("vgg11_bn-6002323d.pth", 70.37, 89.81)),
    ),
    (
        *("vgg13", "B", 133_047_848, 11_308_466_176, (133e6, 28.7, 9.9)),
        *(("vgg13-19584684.pth", 69.928, 89.246), ("vgg13_bn-abd245e5.pth", 71.586, 90.374)),
    ),
    (
        *("vgg16", "D", 138_357_544, 15_470_264_320, (138e6, 27.0, 8.8)),
        *(("vgg16-397923af.pth", 71.592, 90.382), ("vgg16_bn-6c64b313.pth", 73.36, 91.516)),
    ),
    (
        *("vgg19", "E", 143_667_240, 19_632_062_464, (144e6, 27.3, 9.0)),
        *(("vgg19-dcbb9e9d.pth", 72.376, 90.876), ("vgg19_bn-c79401a0.pth", 74.218, 91.842)),
    ),
    ("vgg11_lrn", "A-LRN", 132_863_336, 7_609_090_048, (133e6, 29.7, 10.5), None, None),
    ("vgg16_c", "C", 133_638_952, 11_770_888_192, (134e6, 28.1, 9.4), None, None),
)


def _norms(column: str) -> int:
    """Return the parameters that batch norm adds: a factor and an offset for each channel."""
    return sum(2 * channels for stage in TABLE_1[column] for _kernel, channels in stage)


ENTRIES: tuple[Entry, ...] = (
    *(
        Entry(
            *(name, partial(VGG, column), "simonyan2015", f"table 1, column {column}"),
            *(parameters, multiply_adds, 224, 1000),
            printed_parameters=Printed(millions, 0.5e6, where="table 2"),
            printed_error=PrintedError(
                "imagenet", top1, top5, "table 3, scale 256, averaged over the whole image"
            ),
            weights=torchvision(public[0]) if public else None,
            public_accuracy=public[1:] if public else None,
            preprocessing=IMAGENET if public else None,
        )
        for name, column, parameters, multiply_adds, (millions, top1, top5), public, _bn in ROWS
    ),
    *(
        Entry(
            *(f"{name}_bn", partial(VGG, column, batch_norm=True), "simonyan2015"),
            f"table 1, column {column}; batch norm is not in the paper",
            *(parameters + _norms(column), multiply_adds, 224, 1000),
            weights=torchvision(public[0]),
            public_accuracy=public[1:],
            preprocessing=IMAGENET,
        )
        for name, column, parameters, multiply_adds, _printed, _plain, public in ROWS
        if public
    ),
)
