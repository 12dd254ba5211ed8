"""DenseNets: every layer reads what all layers before it in its block gave.

Huang, Liu, van der Maaten & Weinberger, "Densely Connected Convolutional Networks", CVPR 2017, arXiv:1608.06993.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.layers import he_initialise
from cnncourse.models.depths import blocks_a_stage
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# Huang et al. (2017), table 1: depth, growth rate k, channels of the first convolution, layers in the four dense
# blocks. The network called 264 has 265 layers. Depth 161 with k = 48 is not in the table; it is the fourth network
# that the authors gave weights for.
TABLE_1: dict[int, tuple[int, int, tuple[int, int, int, int]]] = {
    121: (32, 64, (6, 12, 24, 16)),
    169: (32, 64, (6, 12, 32, 32)),
    201: (32, 64, (6, 12, 48, 32)),
    264: (32, 64, (6, 12, 64, 48)),
    161: (48, 96, (6, 12, 36, 24)),
}

# Huang et al. (2017), table 2: depth L, growth rate k, with bottlenecks and compression (BC) or without,
# millions of parameters, error on CIFAR-10 with augmentation in per cent.
TABLE_2 = (
    (40, 12, False, 1.0, 5.24),
    (100, 12, False, 7.0, 4.10),
    (100, 24, False, 27.2, 3.74),
    (100, 12, True, 0.8, 4.51),
    (250, 24, True, 15.3, 3.62),
    (190, 40, True, 25.6, 3.46),
)

BOTTLENECK = 4
"""Channels that a 1 x 1 convolution hands to the 3 x 3 one, in growth rates (section 3, bottleneck layers)."""

COMPRESSION = 0.5
"""Share of the channels that a transition keeps where there is compression (section 3)."""


class DenseLayer(nn.Module):
    """Norm, ReLU and 3 x 3 convolution, with a narrowing 1 x 1 convolution in front: H of Huang et al. (2017).

    Args:
        in_channels: channels of all maps before.
        growth: channels of the output.
        bottleneck: with the 1 x 1 convolution.
        drop_prob: dropout behind each convolution, in [0, 1).
    """

    def __init__(self, in_channels: int, growth: int, *, bottleneck: bool, drop_prob: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.norm2: nn.BatchNorm2d | None = None
        if bottleneck:
            self.conv1 = nn.Conv2d(in_channels, BOTTLENECK * growth, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(BOTTLENECK * growth)
            self.conv2 = nn.Conv2d(BOTTLENECK * growth, growth, 3, padding=1, bias=False)
        else:
            self.conv1 = nn.Conv2d(in_channels, growth, 3, padding=1, bias=False)
        self.drop = nn.Dropout(drop_prob) if drop_prob else None

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return maps (N, growth, H, W) for the list of all maps before, each (N, *, H, W)."""
        x: Tensor = self.conv1(self.relu(self.norm1(torch.cat(maps, 1))))
        if self.drop is not None:
            x = self.drop(x)
        if self.norm2 is not None:
            x = self.conv2(self.relu(self.norm2(x)))
            if self.drop is not None:
                x = self.drop(x)
        return x


class DenseBlock(nn.ModuleDict):
    """Layers that each read the block's input and the outputs of all layers before: equation 2.

    Args:
        layers: number of layers, at least 1.
        in_channels: channels of the input.
        growth: channels that each layer adds.
        bottleneck: layers with a 1 x 1 convolution.
        drop_prob: dropout behind each convolution, in [0, 1).
    """

    def __init__(
        self, layers: int, in_channels: int, growth: int, *, bottleneck: bool, drop_prob: float
    ) -> None:
        super().__init__()
        for index in range(layers):
            self[f"denselayer{index + 1}"] = DenseLayer(
                in_channels + index * growth, growth, bottleneck=bottleneck, drop_prob=drop_prob
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return the input (N, C, H, W) and all layers' outputs behind it: (N, C + layers * growth, H, W)."""
        maps = [x]
        for layer in self.values():
            maps.append(layer(maps))
        return torch.cat(maps, 1)


def _transition(in_channels: int, out_channels: int, drop_prob: float) -> nn.Sequential:
    """Return the layers between two blocks: norm, ReLU, 1 x 1 convolution, 2 x 2 mean pooling (section 3)."""
    conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    layers: dict[str, nn.Module] = {"norm": nn.BatchNorm2d(in_channels), "relu": nn.ReLU(inplace=True)}
    layers |= {"conv": conv} | ({"drop": nn.Dropout(drop_prob)} if drop_prob else {})
    return nn.Sequential(OrderedDict(layers | {"pool": nn.AvgPool2d(2)}))


class _DenseNetwork(nn.Module):
    """A stem, dense blocks with transitions between them, a norm and a ReLU, mean pooling and a linear layer."""

    def __init__(
        self,
        stem: nn.Sequential,
        blocks: Sequence[int],
        growth: int,
        num_classes: int,
        *,
        bottleneck: bool,
        drop_prob: float,
        called: str,
        smallest: int,
    ) -> None:
        super().__init__()
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob must lie in [0, 1), got {drop_prob=}")
        conv0 = stem[0]
        assert isinstance(conv0, nn.Conv2d)
        self.in_channels, channels = conv0.in_channels, conv0.out_channels
        self.called, self.smallest_side = called, smallest
        self.features = stem
        for number, layers in enumerate(blocks, start=1):
            block = DenseBlock(layers, channels, growth, bottleneck=bottleneck, drop_prob=drop_prob)
            stem.add_module(f"denseblock{number}", block)
            channels += layers * growth
            if number < len(blocks):
                kept = int(channels * COMPRESSION) if bottleneck else channels
                stem.add_module(f"transition{number}", _transition(channels, kept, drop_prob))
                channels = kept
        stem.add_module(f"norm{len(blocks) + 1}", nn.BatchNorm2d(channels))
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        he_initialise(self, "in")
        nn.init.zeros_(self.classifier.bias)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels (4 of the networks
                for small images).

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, self.called, self.in_channels, smallest=self.smallest_side)
        # Inside, DenseNet-121 at 224 pixels and DenseNet-BC (100, 12) at 32 pixels:
        #   pool0       (N,  64, 56, 56)    conv0       (N,  24, 32, 32)
        #   denseblock1 (N, 256, 56, 56)    denseblock1 (N, 216, 32, 32)
        #   transition1 (N, 128, 28, 28)    transition1 (N, 108, 16, 16)
        #   denseblock2 (N, 512, 28, 28)    denseblock2 (N, 300, 16, 16)
        #   transition2 (N, 256, 14, 14)    transition2 (N, 150,  8,  8)
        #   denseblock3 (N, 1024, 14, 14)   denseblock3 (N, 342,  8,  8)
        #   transition3 (N, 512,  7,  7)
        x = self.relu(self.features(images))  # (N, 1024, 7, 7), (N, 342, 8, 8)
        x = self.avgpool(x).flatten(1)  #       (N, 1024), (N, 342)
        logits: Tensor = self.classifier(x)  #  (N, num_classes)
        return logits


class DenseNet(_DenseNetwork):
    """A DenseNet-BC for photographs; its state dict is torchvision's.

    Huang et al. (2017), table 1.

    Differs from the paper: none known; a norm and a ReLU follow the first convolution, which the table does
    not print and the authors' networks have.

    Args:
        depth: 121, 161, 169, 201 or 264; the growth rate is 32, and 48 at depth 161.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        drop_prob: dropout behind every convolution but the first, in [0, 1).

    Raises:
        ValueError: if the depth is not in the table, a count is below 1, or the probability is out of its range.
    """

    def __init__(
        self, depth: int = 121, num_classes: int = 1000, in_channels: int = 3, *, drop_prob: float = 0.0
    ) -> None:
        if depth not in TABLE_1:
            raise ValueError(f"depth must be one of {sorted(TABLE_1)} (table 1), got depth={depth}")
        check_counts(num_classes, in_channels)
        growth, first, blocks = TABLE_1[depth]
        conv0 = nn.Conv2d(in_channels, first, 7, 2, padding=3, bias=False)
        layers = {"conv0": conv0, "norm0": nn.BatchNorm2d(first), "relu0": nn.ReLU(inplace=True)}
        stem = nn.Sequential(OrderedDict(layers | {"pool0": nn.MaxPool2d(3, 2, padding=1)}))
        how: dict[str, Any] = {"called": f"DenseNet-{depth}", "smallest": 32}
        super().__init__(stem, blocks, growth, num_classes, bottleneck=True, drop_prob=drop_prob, **how)


class CifarDenseNet(_DenseNetwork):
    """A DenseNet for 32 x 32 images, plain or with bottlenecks and compression (BC).

    Huang et al. (2017), section 3, implementation details, and table 2: three blocks with the same number of
    layers. Plain networks start with 16 channels, BC ones with 2 k.

    Differs from the paper: none known.

    Args:
        depth: layers L: 3n + 4 with n layers a block, with bottlenecks 6n + 4.
        growth: growth rate k: channels that each layer adds, at least 1.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        bottleneck: with bottlenecks, and transitions that keep half of the channels: DenseNet-BC.
        drop_prob: dropout behind every convolution but the first, in [0, 1); the paper takes 0.2 where it
            does not augment.

    Raises:
        ValueError: if the depth has another form, a count is below 1, or the probability is out of its range.
    """

    def __init__(
        self,
        depth: int = 100,
        growth: int = 12,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        bottleneck: bool = True,
        drop_prob: float = 0.0,
    ) -> None:
        n = blocks_a_stage(depth, 6 if bottleneck else 3, 4)
        check_counts(num_classes, in_channels)
        if growth < 1:
            raise ValueError(f"growth must be at least 1, got growth={growth}; the paper has 12, 24 and 40")
        first = 2 * growth if bottleneck else 16
        stem = nn.Sequential(OrderedDict(conv0=nn.Conv2d(in_channels, first, 3, padding=1, bias=False)))
        called = f"{'DenseNet-BC' if bottleneck else 'DenseNet'} ({depth}, {growth})"
        how: dict[str, Any] = {"bottleneck": bottleneck, "called": called, "smallest": 4}
        super().__init__(stem, (n,) * 3, growth, num_classes, drop_prob=drop_prob, **how)


def from_torchvision_file(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate torchvision's published DenseNet files (BSD-3-Clause).

    They were written when a layer's parts were called ``norm.1``, ``conv.1``, ``norm.2`` and ``conv.2``;
    torchvision's networks and ours call them ``norm1``, ``conv1``, ``norm2`` and ``conv2``.

    Args:
        state: the file's content.

    Returns:
        The same tensors under this module's names.
    """
    old = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\.")
    return {old.sub(r"\1\2.", key): tensor for key, tensor in state.items()}


# Depth, parameters, multiply-adds, errors with one crop (table 3), public file, its accuracy.
PHOTOGRAPHS = (
    (121, 7_978_856, 2_834_161_664, (25.02, 7.71), "densenet121-a639ec97.pth", (74.434, 91.972)),
    (161, 28_681_000, 7_727_907_072, None, "densenet161-8d451a50.pth", (77.138, 93.560)),
    (169, 14_149_480, 3_359_843_328, (23.80, 6.85), "densenet169-b2777c0a.pth", (75.600, 92.806)),
    (201, 20_013_928, 4_291_365_888, (22.58, 6.34), "densenet201-c1103571.pth", (76.896, 93.370)),
)


def _cifar(depth: int, growth: int, counts: tuple[int, int], *, bottleneck: bool = True) -> Entry:
    ((millions, error),) = (row[3:] for row in TABLE_2 if row[:3] == (depth, growth, bottleneck))
    return Entry(
        f"densenet_bc{depth}_{growth}" if bottleneck else f"densenet{depth}_{growth}",
        partial(CifarDenseNet, depth, growth, bottleneck=bottleneck),
        *("huang2017", "table 2", *counts, 32, 10),
        smallest_side=4,
        printed_parameters=Printed(millions * 1e6, 0.05e6),
        printed_error=PrintedError("cifar10", error, where="table 2"),
    )


ENTRIES: tuple[Entry, ...] = (
    _cifar(40, 12, (1_019_722, 264_812_928), bottleneck=False),
    _cifar(100, 12, (769_162, 287_929_692)),
    _cifar(250, 24, (15_324_406, 5_418_785_724)),
    _cifar(190, 40, (25_624_430, 9_301_945_740)),
    *(
        Entry(
            *(f"densenet{depth}", partial(DenseNet, depth), "huang2017", "table 1"),
            *(parameters, multiply_adds, 224, 1000),
            printed_parameters=Printed(20e6, 0.5e6, where="section 4.4") if depth == 201 else None,
            printed_error=PrintedError("imagenet", *errors, "table 3") if errors else None,
            weights=torchvision(file),
            public_accuracy=accuracy,
            preprocessing=IMAGENET,
            translate=from_torchvision_file,
        )
        for depth, parameters, multiply_adds, errors, file, accuracy in PHOTOGRAPHS
    ),
)
