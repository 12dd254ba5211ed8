"""LeNet-5 as it was in 1998, with every detail that has been simplified since.

LeCun, Bottou, Bengio & Haffner, "Gradient-Based Learning Applied to Document Recognition",
Proceedings of the IEEE 86(11), 1998, sections II.B, II.C and appendix A.
"""

import random

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.lenet import REMEDY, SIDE

# LeCun et al. (1998), table I: the maps of S2 that each of the 16 maps of C3 sees.
TABLE_I = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)),
)

# The targets of F6, characters of 7 x 12 pixels (section II.B, figure 3): 0 to 4 side by side, then 5 to 9. The
# drawings are this course's; those of the paper are not printed in full.
BITMAPS = (
    """
    ..###.. ...##.. .#####. .#####. ....##.
    .##.##. ..###.. ##...## ##...## ...###.
    ##...## .####.. .....## .....## ..####.
    ##...## ...##.. .....## .....## ..#.##.
    ##...## ...##.. ....##. ....##. .##.##.
    ##...## ...##.. ....##. ..###.. .#..##.
    ##...## ...##.. ...##.. ....##. ##..##.
    ##...## ...##.. ..##... .....## #######
    ##...## ...##.. .##.... .....## ....##.
    ##...## ...##.. ##..... .....## ....##.
    .##.##. ...##.. ##..... ##...## ....##.
    ..###.. .###### ####### .#####. ....##.
    """,
    """
    ####### ...###. ####### .#####. .#####.
    ##..... ..##... .....## ##...## ##...##
    ##..... .##.... .....## ##...## ##...##
    ##..... ##..... ....##. ##...## ##...##
    ##..... ##..... ....##. .##.##. ##...##
    ######. ######. ...##.. ..###.. .######
    .....## ##...## ...##.. .##.##. .....##
    .....## ##...## ..##... ##...## .....##
    .....## ##...## ..##... ##...## .....##
    .....## ##...## .##.... ##...## ....##.
    ##...## ##...## .##.... ##...## ...##..
    .#####. .#####. .##.... .#####. .###...
    """,
)

UNITS = 84
"""Units of F6: the pixels of a drawn character."""


def scaled_tanh(x: Tensor) -> Tensor:
    """Return 1.7159 tanh(2x / 3), which maps 1 to 1 and -1 to -1 (appendix A).

    Args:
        x: any shape.

    Returns:
        The same shape, between -1.7159 and 1.7159.
    """
    return 1.7159 * torch.tanh(x * (2 / 3))


def character_codes(num_classes: int) -> list[list[float]]:
    """Return the fixed targets of F6 for each class: 1 where a drawn character has ink, else -1.

    Args:
        num_classes: number of codes, at least 1. Classes above the ten digits get random codes, the same each
            time.

    Returns:
        A list of 84 numbers for each class.
    """
    rows = [[line.split() for line in block.split("\n") if line.strip()] for block in BITMAPS]
    codes = [
        [1.0 if pixel == "#" else -1.0 for line in block for pixel in line[place]]
        for block in rows
        for place in range(5)
    ]
    source = random.Random(1998)
    codes += [[source.choice((-1.0, 1.0)) for _ in range(UNITS)] for _ in range(10, num_classes)]
    return codes[:num_classes]


class ScaledTanh(nn.Module):
    """The squashing function as a layer; see :func:`scaled_tanh`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return 1.7159 tanh(2x / 3)."""
        return scaled_tanh(x)


class SubSampling(nn.Module):
    """The sum of 2 x 2 places times a trainable coefficient plus a trainable bias, one of each a map (S2, S4).

    Args:
        maps: number of maps.
    """

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.coefficient = nn.Parameter(torch.empty(maps))
        self.bias = nn.Parameter(torch.empty(maps))

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H / 2, W / 2) for maps (N, C, H, W)."""
        total = 4 * functional.avg_pool2d(x, 2)
        return total * self.coefficient.view(-1, 1, 1) + self.bias.view(-1, 1, 1)


class TableConvolution(nn.Module):
    """A 5 x 5 convolution whose maps see only some maps of the input (C3, table I).

    It has weights for the connections that there are. They are put into a full kernel, zero elsewhere, because
    one full convolution is several times faster than 60 small ones; so 240,000 multiply-adds are computed where
    the table has 150,000.
    """

    def __init__(self) -> None:
        super().__init__()
        pairs = [(given, read) for given, seen in enumerate(TABLE_I) for read in seen]
        self.weight = nn.Parameter(torch.empty(len(pairs), 5, 5))
        self.bias = nn.Parameter(torch.empty(len(TABLE_I)))
        given, read = zip(*pairs, strict=True)
        self.register_buffer("given", torch.tensor(given), persistent=False)
        self.register_buffer("read", torch.tensor(read), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, 16, 10, 10) for maps (N, 6, 14, 14)."""
        kernel = self.weight.new_zeros(len(TABLE_I), 6, 5, 5)
        kernel = kernel.index_put((self.get_buffer("given"), self.get_buffer("read")), self.weight)
        return functional.conv2d(x, kernel, self.bias)


class RadialBasis(nn.Module):
    """Squared distances between the input and fixed codes, one for each class (section II.B, equation 7).

    Args:
        num_classes: number of classes, at least 1.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.register_buffer("codes", torch.tensor(character_codes(num_classes)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return distances (N, K), none below 0, for the outputs (N, 84) of F6."""
        return (x[:, None] - self.get_buffer("codes")).square().sum(dim=2)


class LeNet5Of1998(nn.Module):
    """LeNet-5 of 1998: 60,000 trainable parameters and 340,908 connections, as the paper counts them.

    LeCun et al. (1998), section II.B, figure 2 and table I. The logits are the negative distances of F6 to a
    drawn character of each class, so that the largest is the class. Cross-entropy on them is equation 9 of the paper
    without its constant (:func:`map_loss` has it).

    Differs from the paper: the ten characters are drawn by this course, and classes beyond ten get random codes.
    The paper's inputs are -0.1 where the paper is white and 1.175 where there is ink.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.

    Raises:
        ValueError: if a count is below 1.
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        self.num_classes, self.in_channels = num_classes, in_channels
        self.c1, self.act1 = nn.Conv2d(in_channels, 6, 5), ScaledTanh()
        self.s2, self.act2 = SubSampling(6), ScaledTanh()
        self.c3, self.act3 = TableConvolution(), ScaledTanh()
        self.s4, self.act4 = SubSampling(16), ScaledTanh()
        self.c5, self.act5 = nn.Conv2d(16, 120, 5), ScaledTanh()
        self.f6, self.act6 = nn.Linear(120, UNITS), ScaledTanh()
        self.output = RadialBasis(num_classes)
        self._initialise()

    @torch.no_grad()
    def _initialise(self) -> None:
        """Draw all parameters from [-2.4 / F, 2.4 / F], F being the inputs of the unit (appendix A)."""
        plain: list[tuple[nn.Module, int]] = [(self.c1, 25 * self.in_channels), (self.s2, 4), (self.s4, 4)]
        plain += [(self.c5, 400), (self.f6, 120)]
        for layer, inputs in plain:
            for parameter in layer.parameters():
                parameter.uniform_(-2.4 / inputs, 2.4 / inputs)
        start = 0
        for given, seen in enumerate(TABLE_I):
            bound = 2.4 / (25 * len(seen))
            self.c3.weight[start : start + len(seen)].uniform_(-bound, bound)
            self.c3.bias[given].uniform_(-bound, bound)
            start += len(seen)

    def connections(self) -> dict[str, int]:
        """Return the connections of each layer as the paper counts them: inputs of all units, and their biases.

        Returns:
            Name of the layer and its number; 340,908 in all with 10 classes and one channel.
        """
        return {
            "c1": 28 * 28 * sum(p.numel() for p in self.c1.parameters()),
            "s2": 14 * 14 * 6 * (4 + 1),
            "c3": 10 * 10 * sum(p.numel() for p in self.c3.parameters()),
            "s4": 5 * 5 * 16 * (4 + 1),
            "c5": sum(p.numel() for p in self.c5.parameters()),
            "f6": sum(p.numel() for p in self.f6.parameters()),
            "output": UNITS * self.num_classes,
        }

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, 32, 32), normalised floats.

        Returns:
            (N, num_classes): logits, the negative squared distances to the drawn characters.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, "LeNet-5 of 1998", self.in_channels, smallest=SIDE, largest=SIDE, remedy=REMEDY)
        x = self.act1(self.c1(images))  #       (N,   6, 28, 28)
        x = self.act2(self.s2(x))  #            (N,   6, 14, 14)
        x = self.act3(self.c3(x))  #            (N,  16, 10, 10)
        x = self.act4(self.s4(x))  #            (N,  16,  5,  5)
        x = self.act5(self.c5(x)).flatten(1)  # (N, 120)
        x = self.act6(self.f6(x))  #            (N,  84)
        logits: Tensor = -self.output(x)  #     (N, num_classes)
        return logits


def map_loss(logits: Tensor, targets: Tensor, rubbish: float) -> Tensor:
    """Return the paper's discriminative loss: equation 9, the maximum a posteriori criterion.

    It is cross-entropy with one more class, of images that are no character, at a fixed distance: without it
    the distances of all classes could grow together.

    Args:
        logits: (N, K), negative distances.
        targets: (N,), class indices in [0, K).
        rubbish: the constant j, above 0; the paper does not print its value.

    Returns:
        One number, the mean over the images.

    Raises:
        ValueError: if the constant is not above 0.
    """
    if not rubbish > 0:
        raise ValueError(f"rubbish is a distance and must be above 0, got rubbish={rubbish}")
    none = logits.new_full((len(logits), 1), -rubbish)
    return functional.cross_entropy(torch.cat((logits, none), dim=1), targets)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("lenet5_1998", LeNet5Of1998, "lecun1998", "section II.B, table I", 60_000, 415_680, 32, 10, 1),
        printed_parameters=Printed(60_000, 0.5, where="section II.B"),
        printed_error=PrintedError("mnist", 0.95, where="section III.B"),
    ),
)
