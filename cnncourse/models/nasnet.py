"""NASNet: a network of two cells, each a small graph of operations that a search found.

Zoph, Vasudevan, Shlens & Le, "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
arXiv:1707.07012. What the paper leaves open follows the authors' code in TensorFlow's model garden.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor, nn

from cnncourse.layers import he_initialise
from cnncourse.models.depths import growing
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.nas_cells import Cell, Genotype, NasCell

# Zoph et al. (2018), figure 4. Each cell also joins one state that its blocks read, as the authors' code does: 768 and
# 1,056 channels are 6 times the filters of the last group.
NASNET_A = Genotype(
    normal=Cell(
        (
            (0, "sep 5x5", 1, "sep 3x3"),
            (1, "sep 5x5", 1, "sep 3x3"),
            (0, "avg 3x3", 1, "identity"),
            (1, "avg 3x3", 1, "avg 3x3"),
            (0, "sep 3x3", 0, "identity"),
        ),
        joined=(1, 2, 3, 4, 5, 6),
    ),
    reduction=Cell(
        (
            (0, "sep 5x5", 1, "sep 7x7"),
            (0, "max 3x3", 1, "sep 7x7"),
            (0, "avg 3x3", 1, "sep 5x5"),
            (3, "identity", 2, "avg 3x3"),
            (2, "sep 3x3", 0, "max 3x3"),
        ),
        joined=(3, 4, 5, 6),
    ),
)


class NASNet(nn.Module):
    """A network of normal cells in three groups, with a reduction cell between the groups.

    Zoph et al. (2018), figure 2. With the cells of NASNet-A, N = 6 and 32 filters it is the network called
    (6 @ 768) for CIFAR-10: 3.3 million parameters; with a stem for photographs, N = 4 and 44 filters
    (4 @ 1056): 5.3 million. The number behind the @ is that of the last cell's channels.

    Differs from the paper: no auxiliary head in training; the probability of dropping a path grows with the
    depth but not with the training step; even padding, where the authors' code pads as TensorFlow does.

    Args:
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        genotype: the two cells; as :meth:`Genotype.to_dict` writes them where a checkpoint has to remember them.
        repeats: normal cells in a group, N of the paper, at least 1.
        filters: channels of each state in the first group, at least 1; they double in each reduction.
        small_stem: start with a 3 x 3 convolution of three times the filters, for images of 32 pixels; else
            with one of 32 channels and stride 2 and two more reduction cells.
        drop_prob: dropout before the last layer, in [0, 1); the paper's mobile network has 0.5.
        depth_drop_prob: probability that a path of the last cell is left out, in [0, 1); it grows linearly from
            the first; the authors have 0.4 on CIFAR-10.

    Raises:
        ValueError: if a count is below 1 or a probability out of its range.
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        genotype: Genotype | Mapping[str, Any] = NASNET_A,
        repeats: int = 6,
        filters: int = 32,
        small_stem: bool = True,
        drop_prob: float = 0.0,
        depth_drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        least = 1 if small_stem else 8
        if repeats < 1 or filters < least or not 0 <= drop_prob < 1:
            raise ValueError(
                f"repeats must be at least 1, filters at least {least} and drop_prob lie in [0, 1), got "
                f"{repeats=}, {filters=} and {drop_prob=}"
            )
        self.in_channels, self.smallest_side = in_channels, 4 if small_stem else 32
        self.genotype = genotype if isinstance(genotype, Genotype) else Genotype.from_dict(genotype)
        channels = 3 * filters if small_stem else 32
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, 1 if small_stem else 2, int(small_stem), bias=False),
            nn.BatchNorm2d(channels),
        )
        # Filters and stride of each cell: reductions of the stem first, then the three groups.
        plan = [] if small_stem else [(filters // 4, 2), (filters // 2, 2)]
        for group in range(3):
            plan += [(filters * 2**group, 2)] if group else []
            plan += [(filters * 2**group, 1)] * repeats
        drops = growing(depth_drop_prob, len(plan))
        self.cells = nn.ModuleList()
        before, shrink = None, False
        for width, stride in plan:
            cell = self.genotype.normal if stride == 1 else self.genotype.reduction
            self.cells.append(
                NasCell(cell, channels, before, width, stride=stride, shrink=shrink, drop_prob=next(drops))
            )
            before, channels, shrink = channels, width * len(cell.outputs), stride == 2
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(drop_prob)
        self.fc = nn.Linear(channels, num_classes)
        he_initialise(self, "out")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 4 pixels with the small stem and
                32 with the other.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        # Shapes of NASNet-A (6 @ 768) at 32 pixels and of (4 @ 1056) at 224.
        check_images(images, "NASNet", self.in_channels, smallest=self.smallest_side)
        before, x = None, self.stem(images)  # (N, 96, 32, 32), (N, 32, 111, 111)
        for cell in self.cells:  #             reductions: (N, 44, 56, 56), (N, 88, 28, 28) in the second
            before, x = x, cell(x, before)  #  group 1: (N, 192, 32, 32), (N, 264, 28, 28)
        #                                      group 2: (N, 384, 16, 16), (N, 528, 14, 14)
        x = self.relu(x)  #                    group 3: (N, 768,  8,  8), (N, 1056, 7, 7)
        x = self.dropout(self.avgpool(x).flatten(1))
        logits: Tensor = self.fc(x)  #         (N, num_classes)
        return logits


ENTRIES: tuple[Entry, ...] = (
    Entry(
        *("nasnet_a_cifar", NASNet, "zoph2018", "figure 4, 6 @ 768", 3_346_538, 544_333_312, 32, 10),
        smallest_side=4,
        printed_parameters=Printed(3.3e6, 0.05e6, where="table 1"),
        printed_error=PrintedError("cifar10", 3.41, where="table 1; 2.65 with cutout"),
    ),
    Entry(
        "nasnet_a_mobile",
        partial(NASNet, repeats=4, filters=44, small_stem=False, drop_prob=0.5),
        *("zoph2018", "figure 4, 4 @ 1056", 5_289_978, 563_638_816, 224, 1000),
        printed_parameters=Printed(5.3e6, 0.05e6, where="table 3"),
        printed_operations=Printed(564e6, 0.5e6, where="table 3"),
        printed_error=PrintedError("imagenet", 26.0, 8.4, where="table 3"),
    ),
)
