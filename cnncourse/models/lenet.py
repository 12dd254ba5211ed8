"""LeNet-5, the network that read cheques.

LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, section II.B and figure 2.
"""

from typing import Literal

from torch import Tensor, nn

from cnncourse.models.entry import Entry, Printed
from cnncourse.models.inputs import check_counts, check_images

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "tanh": nn.Tanh}
POOLS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "mean": nn.AvgPool2d}

SIDE = 32
"""Height and width of the input, in pixels: digits of 28 x 28 with a margin of two pixels."""

REMEDY = "pad 28 x 28 digits by 2 pixels on each side, or build the model with the right in_channels"


class LeNet5(nn.Module):
    """Today's LeNet-5: two convolutions, each with a pooling layer, then three fully connected layers.

    LeCun et al. (1998), figure 2. Layers carry the paper's names (C1, S2, C3, S4, C5, F6).

    Differs from the paper: ReLU instead of the scaled tanh 1.7159 tanh(2x/3) (``activation="tanh"`` is a
    plain tanh); 2 x 2 max pooling instead of sub-sampling with a trainable factor and offset for each map
    (``pool="mean"`` is sub-sampling without the two parameters); C3 sees all six maps of S2, not the
    subsets of Table I; the output layer is linear and gives logits, not Euclidean radial basis functions
    with fixed targets. With these choices the network has 61,706 parameters for 10 classes and one
    input channel; the paper counts about 60,000.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        activation: ``"relu"`` or ``"tanh"``, used after C1, C3, C5 and F6.
        pool: ``"max"`` or ``"mean"``, 2 x 2 windows with stride 2.

    Raises:
        ValueError: if a count is below 1, or a choice is unknown.

    Book: pooling_lenet
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        *,
        activation: Literal["relu", "tanh"] = "relu",
        pool: Literal["max", "mean"] = "max",
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {sorted(ACTIVATIONS)}, got {activation!r}")
        if pool not in POOLS:
            raise ValueError(f"pool must be one of {sorted(POOLS)}, got {pool!r}")
        self.in_channels = in_channels
        act, pooling = ACTIVATIONS[activation], POOLS[pool]
        self.c1 = nn.Conv2d(in_channels, 6, kernel_size=5)
        self.act1 = act()
        self.s2 = pooling(kernel_size=2)
        self.c3 = nn.Conv2d(6, 16, kernel_size=5)
        self.act3 = act()
        self.s4 = pooling(kernel_size=2)
        self.flatten = nn.Flatten()
        self.c5 = nn.Linear(16 * 5 * 5, 120)
        self.act5 = act()
        self.f6 = nn.Linear(120, 84)
        self.act6 = act()
        self.output = nn.Linear(84, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, 32, 32), normalised floats.

        Returns:
            (N, num_classes): logits; no softmax, the loss applies it.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, "LeNet-5", self.in_channels, smallest=SIDE, largest=SIDE, remedy=REMEDY)
        x = self.act1(self.c1(images))  # (N,   6, 28, 28)
        x = self.s2(x)  #                 (N,   6, 14, 14)
        x = self.act3(self.c3(x))  #      (N,  16, 10, 10)
        x = self.s4(x)  #                 (N,  16,  5,  5)
        x = self.flatten(x)  #            (N, 400)
        x = self.act5(self.c5(x))  #      (N, 120)
        x = self.act6(self.f6(x))  #      (N,  84)
        logits: Tensor = self.output(x)  # (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("lenet5", LeNet5, "lecun1998", "figure 2", 61_706, 416_520, 32, 10, 1),
        printed_parameters=Printed(60_000, 2_000, where="section II.B; C3 and the output differ"),
    ),
)
