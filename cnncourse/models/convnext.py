"""ConvNeXt: a residual network rebuilt step by step with what had worked in vision transformers.

Liu, Mao, Wu, Feichtenhofer, Darrell & Xie, "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545.
"""

from functools import partial

import torch
from torch import Tensor, nn

from cnncourse.layers import LayerNorm2d, StochasticDepth, truncated_normal_
from cnncourse.layers.undrawn import undrawn_linear
from cnncourse.models.entry import Entry, Preprocessing, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET_MEAN, IMAGENET_STD, torchvision

# Liu et al. (2022), section 3 and table 5: channels C and blocks B of the four stages, stochastic depth.
SIZES = {
    # size: C, B, stochastic depth of the last block
    "tiny": ((96, 192, 384, 768), (3, 3, 9, 3), 0.1),
    "small": ((96, 192, 384, 768), (3, 3, 27, 3), 0.4),
    "base": ((128, 256, 512, 1024), (3, 3, 27, 3), 0.5),
}

EPS = 1e-6
"""Added to the variances of all layer norms."""


class ChannelsLast(nn.Module):
    """Move the channels' axis from its place to the end: (N, C, H, W) to (N, H, W, C)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return a view of the maps."""
        return maps.permute(0, 2, 3, 1)


class ChannelsFirst(nn.Module):
    """Move the channels' axis from the end to its place: (N, H, W, C) to (N, C, H, W)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return a view of the maps."""
        return maps.permute(0, 3, 1, 2)


class CNBlock(nn.Module):
    """7 x 7 depthwise convolution, layer norm, four times as many channels, GELU, and back: figure 4.

    The two 1 x 1 convolutions are linear layers on maps with the channels at the end: the same numbers. Their
    weights hold anything until the network draws them.

    Args:
        channels: channels of input and output.
        layer_scale: starting value of the factors on the branch's channels.
        drop_prob: stochastic depth of the branch, in [0, 1).
    """

    def __init__(self, channels: int, layer_scale: float, drop_prob: float) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=7, padding=3, groups=channels),
            ChannelsLast(),
            nn.LayerNorm(channels, eps=EPS),
            undrawn_linear(channels, 4 * channels),
            nn.GELU(),
            undrawn_linear(4 * channels, channels),
            ChannelsFirst(),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), layer_scale))
        self.stochastic_depth = StochasticDepth(drop_prob)

    def forward(self, x: Tensor) -> Tensor:
        """Return x + F(x) for maps (N, C, H, W)."""
        out: Tensor = self.stochastic_depth(self.layer_scale * self.block(x))
        out += x
        return out


class ConvNeXt(nn.Module):
    """ConvNeXt-T, -S or -B; its state dict is torchvision's.

    Liu et al. (2022), section 3: 29, 50 and 89 million parameters, 4.5, 8.7 and 15.4 billion multiply-adds.

    Differs from the paper: starting weights have a standard deviation of 0.02, as in the authors' code, where
    table 5 prints 0.2; they are cut off at twice that, where the code cuts at 2, a hundred times as far.

    Args:
        size: ``"tiny"``, ``"small"`` or ``"base"``.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from 0 at the first;
            ``None`` is the paper's for the size: 0.1, 0.4 or 0.5.
        layer_scale: starting value of the factors on each branch's channels.

    Raises:
        ValueError: if a setting is out of its range or the size is unknown.
    """

    def __init__(
        self,
        size: str = "tiny",
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        depth_drop_prob: float | None = None,
        layer_scale: float = 1e-6,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if size not in SIZES:
            raise ValueError(f"size must be one of {', '.join(SIZES)}, got {size!r}")
        channels, blocks, papers = SIZES[size]
        depth_drop_prob = papers if depth_drop_prob is None else depth_drop_prob
        if not 0 <= depth_drop_prob < 1:
            raise ValueError(f"depth_drop_prob must lie in [0, 1), got depth_drop_prob={depth_drop_prob}")
        self.size, self.in_channels = size, in_channels
        features: list[nn.Module] = []
        read, met = in_channels, 0
        for stage, (width, count) in enumerate(zip(channels, blocks, strict=True)):
            if stage == 0:  # "patchify": windows of 4 x 4 that do not overlap
                stem = nn.Conv2d(read, width, kernel_size=4, stride=4)
                features.append(nn.Sequential(stem, LayerNorm2d(width, EPS)))
            else:
                halve = nn.Conv2d(read, width, kernel_size=2, stride=2)
                features.append(nn.Sequential(LayerNorm2d(read, EPS), halve))
            drops = [depth_drop_prob * (met + index) / (sum(blocks) - 1) for index in range(count)]
            features.append(nn.Sequential(*(CNBlock(width, layer_scale, drop) for drop in drops)))
            read, met = width, met + count
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(LayerNorm2d(read, EPS), nn.Flatten(1), nn.Linear(read, num_classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                truncated_normal_(module, 0.02)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        check_images(images, f"ConvNeXt-{self.size.capitalize()}", self.in_channels, smallest=32)
        x = self.features(images)  #          (N, 768, 7, 7) at 224 pixels, size "tiny"
        x = self.avgpool(x)  #                (N, 768, 1, 1)
        logits: Tensor = self.classifier(x)  # (N, num_classes)
        return logits


# size, parameters, multiply-adds, printed parameters in millions, operations in billions and accuracy; shorter
# side before the cut, file and accuracy of the public weights
ROWS = (
    ("tiny", 28_589_128, 4_455_531_264, 29, 4.5, 82.1, 236, "convnext_tiny-983f1562.pth", (82.520, 96.146)),
    ("small", 50_223_688, 8_683_712_256, 50, 8.7, 83.1, 230, "convnext_small-0c510722.pth", (83.616, 96.650)),
    ("base", 88_591_464, 15_354_729_472, 89, 15.4, 83.8, 232, "convnext_base-6075fbad.pth", (84.062, 96.870)),
)

ENTRIES: tuple[Entry, ...] = tuple(
    Entry(
        *(f"convnext_{size}", partial(ConvNeXt, size), "liu2022", "section 3"),
        *(parameters, multiply_adds, 224, 1000),
        printed_parameters=Printed(millions * 1e6, 0.5e6, where="table 1"),
        printed_operations=Printed(billions * 1e9, 0.05e9, where="table 1"),
        printed_error=PrintedError(
            "imagenet", round(100 - top1, 1), where=f"table 1, as an accuracy of {top1}"
        ),
        weights=torchvision(file),
        public_accuracy=accuracy,
        preprocessing=Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=resize),
    )
    for size, parameters, multiply_adds, millions, billions, top1, resize, file, accuracy in ROWS
)
