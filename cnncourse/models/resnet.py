"""ResNet, networks of 18 to 152 layers whose blocks add to their input; its wide and its grouped relative.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385.
Zagoruyko & Komodakis, "Wide Residual Networks", BMVC 2016, arXiv:1605.07146.
Xie, Girshick, Dollár, Tu & He, "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017,
arXiv:1611.05431.
"""

from functools import partial

from torch import Tensor, nn

from cnncourse.layers import ShortcutOption, StochasticDepth, he_initialise, shortcut
from cnncourse.models.depths import growing
from cnncourse.models.entry import Entry, Printed, PrintedError
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET, torchvision

# He et al. (2016), table 1: depth, kind of block, number of blocks in conv2_x, conv3_x, conv4_x, conv5_x.
TABLE_1: dict[int, tuple[str, tuple[int, int, int, int]]] = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}

WIDTHS = (64, 128, 256, 512)
"""Channels of the 3 x 3 convolutions in conv2_x to conv5_x (table 1)."""

EXPANSION = {"basic": 1, "bottleneck": 4}
"""How many times wider a block's output is than its 3 x 3 convolution (table 1)."""


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: He et al. (2016), figure 5, left.

    Args:
        in_channels: channels of the input.
        width: channels of both convolutions and of the output.
        stride: stride of the first convolution and of the shortcut.
        option: kind of shortcut.
        drop_prob: probability that the branch of an image is left out in training, in [0, 1).
    """

    def __init__(
        self, in_channels: int, width: int, stride: int, option: ShortcutOption, drop_prob: float = 0.0
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = shortcut(option, in_channels, width, stride)
        self.stochastic_depth = StochasticDepth(drop_prob) if drop_prob else None

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm at the end of the residual branch."""
        return self.bn2

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + shortcut(x)) for maps (N, C, H, W)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stochastic_depth is not None:
            out = self.stochastic_depth(out)
        out += self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions and a shortcut: He et al. (2016), figure 5, right.

    Args:
        in_channels: channels of the input.
        width: channels of the 3 x 3 convolution.
        out_channels: channels of the output.
        stride: stride of the block.
        option: kind of shortcut.
        groups: groups of the 3 x 3 convolution.
        stride_in_1x1: the first convolution carries the stride, else the 3 x 3 one.
        drop_prob: probability that the branch of an image is left out in training, in [0, 1).
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        out_channels: int,
        *,
        stride: int,
        option: ShortcutOption,
        groups: int,
        stride_in_1x1: bool,
        drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = nn.Conv2d(in_channels, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(option, in_channels, out_channels, stride)
        self.stochastic_depth = StochasticDepth(drop_prob) if drop_prob else None

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm at the end of the residual branch."""
        return self.bn3

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + shortcut(x)) for maps (N, C, H, W)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.stochastic_depth is not None:
            out = self.stochastic_depth(out)
        out += self.downsample(x)
        result: Tensor = self.relu(out)
        return result


class ResNet(nn.Module):
    """A residual network for photographs; its state dict is torchvision's.

    He et al. (2016), table 1. ``groups`` and ``group_width`` give Wide ResNet-50-2 (1 and 128; Zagoruyko &
    Komodakis 2016, section 3.5) and ResNeXt-50 32x4d (32 and 4; Xie et al. 2017, table 1).

    Differs from the paper: the 3 x 3 convolution of a bottleneck carries the stride, which is how the
    public weights were trained (``stride_in_1x1=True`` is the paper's); weights are drawn by fan-out.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        small_stem: start with a 3 x 3 convolution of stride 1 and no pooling, for images of 32 pixels.
        zero_gamma: the last batch norm of each branch starts with a factor of 0, so that each block starts
            as its shortcut (Goyal et al., arXiv:1706.02677, section 5.1).
        shortcut: option ``"A"``, ``"B"`` or ``"C"`` (section 3.3).
        groups: groups of the 3 x 3 convolutions, at least 1; bottlenecks only.
        group_width: channels of a group in conv2_x, at least 1; 64 with one group is the paper's width.
        stride_in_1x1: the stride is in the first 1 x 1 convolution of a bottleneck, as in the paper.
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from the first
            (Huang et al., arXiv:1603.09382).

    Raises:
        ValueError: if the depth is not in the table, a count is below 1, a probability is out of its range, or
            basic blocks are asked for groups.

    Book: resnet
    """

    def __init__(
        self,
        depth: int,
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        small_stem: bool = False,
        zero_gamma: bool = False,
        shortcut: ShortcutOption = "B",
        groups: int = 1,
        group_width: int = 64,
        stride_in_1x1: bool = False,
        depth_drop_prob: float = 0.0,
    ) -> None:
        super().__init__()
        if depth not in TABLE_1:
            raise ValueError(f"depth must be one of {sorted(TABLE_1)} (table 1), got depth={depth}")
        check_counts(num_classes, in_channels)
        kind, blocks = TABLE_1[depth]
        if kind == "basic" and (groups, group_width, stride_in_1x1) != (1, 64, False):
            raise ValueError(
                f"only bottlenecks have groups, another width or a stride in 1 x 1, got depth={depth} with "
                f"groups={groups}, group_width={group_width}, stride_in_1x1={stride_in_1x1}; use depth 50 or more"
            )
        if min(groups, group_width) < 1:
            raise ValueError(f"groups and group_width must be at least 1, got {groups=} and {group_width=}")
        self.depth, self.in_channels = depth, in_channels
        self.smallest_side = 8 if small_stem else 32
        side, stride = (3, 1) if small_stem else (7, 2)
        self.conv1 = nn.Conv2d(in_channels, WIDTHS[0], side, stride, padding=side // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small_stem else nn.MaxPool2d(3, stride=2, padding=1)
        drops = growing(depth_drop_prob, sum(blocks))

        def block(read: int, width: int, stride: int) -> nn.Module:
            if kind == "basic":
                return BasicBlock(read, width, stride, shortcut, next(drops))
            inner = width * group_width // 64 * groups
            return Bottleneck(
                read,
                inner,
                width * EXPANSION[kind],
                stride=stride,
                option=shortcut,
                groups=groups,
                stride_in_1x1=stride_in_1x1,
                drop_prob=next(drops),
            )

        stages, read = [], WIDTHS[0]
        for stage, (width, count) in enumerate(zip(WIDTHS, blocks, strict=True)):
            out = width * EXPANSION[kind]
            first = block(read, width, 1 if stage == 0 else 2)
            stages.append(nn.Sequential(first, *(block(out, width, 1) for _ in range(count - 1))))
            read = out
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(read, num_classes)
        he_initialise(self, "out")
        if zero_gamma:
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    nn.init.zeros_(module.last_norm.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 32 pixels (8 with the small
                stem).

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        # Shapes of ResNet-50 at 224 pixels; ResNet-18 and 34 have a quarter of the channels after the stem.
        check_images(images, f"ResNet-{self.depth}", self.in_channels, smallest=self.smallest_side)
        x = self.relu(self.bn1(self.conv1(images)))  # (N,   64, 112, 112)
        x = self.maxpool(x)  #                         (N,   64,  56,  56)
        x = self.layer1(x)  #                          (N,  256,  56,  56)
        x = self.layer2(x)  #                          (N,  512,  28,  28)
        x = self.layer3(x)  #                          (N, 1024,  14,  14)
        x = self.layer4(x)  #                          (N, 2048,   7,   7)
        x = self.avgpool(x).flatten(1)  #              (N, 2048)
        logits: Tensor = self.fc(x)  #                 (N, num_classes)
        return logits


# Depth, parameters, multiply-adds, operations and errors (He et al. 2016, tables 1 to 3), public file, its accuracy.
# The paper's operations are those with the stride in the 1 x 1 convolutions, some rounded, some cut off.
ROWS = (
    (18, 11_689_512, 1_814_073_344, 1.8e9, (27.88, None), "resnet18-f37072fd.pth", (69.758, 89.078)),
    (34, 21_797_672, 3_663_761_408, 3.6e9, (24.52, 7.46), "resnet34-b627a593.pth", (73.314, 91.42)),
    (50, 25_557_032, 4_089_184_256, 3.8e9, (22.85, 6.71), "resnet50-0676ba61.pth", (76.13, 92.862)),
    (101, 44_549_160, 7_801_405_440, 7.6e9, (21.75, 6.05), "resnet101-63fe2227.pth", (77.374, 93.546)),
    (152, 60_192_808, 11_513_626_624, 11.3e9, (21.43, 5.71), "resnet152-394f9c45.pth", (78.312, 94.046)),
)

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "resnet18_cifar",
        partial(ResNet, 18, small_stem=True),
        *("he2016", "table 1, without the first sub-samplings", 11_173_962, 555_422_720, 32, 10),
        smallest_side=8,
    ),
    *(
        Entry(
            *(f"resnet{depth}", partial(ResNet, depth), "he2016", "table 1"),
            *(parameters, multiply_adds, 224, 1000),
            printed_operations=Printed(operations, 0.1e9, {"stride_in_1x1": True} if depth >= 50 else {}),
            printed_error=PrintedError(
                "imagenet",
                top1,
                top5,
                "table 2, ten crops; shortcut A" if depth == 18 else "table 3, ten crops",
            ),
            weights=torchvision(file),
            public_accuracy=accuracy,
            preprocessing=IMAGENET,
        )
        for depth, parameters, multiply_adds, operations, (top1, top5), file, accuracy in ROWS
    ),
    Entry(
        "wide_resnet50_2",
        partial(ResNet, 50, group_width=128),
        *("zagoruyko2016", "table 8", 68_883_240, 11_398_021_120, 224, 1000),
        printed_parameters=Printed(68.9e6, 0.05e6),
        printed_error=PrintedError("imagenet", 21.9, 6.03, "table 8"),
        weights=torchvision("wide_resnet50_2-95faca4d.pth"),
        public_accuracy=(78.468, 94.086),
        preprocessing=IMAGENET,
    ),
    Entry(
        "resnext50_32x4d",
        partial(ResNet, 50, groups=32, group_width=4),
        *("xie2017", "table 1", 25_028_904, 4_230_479_872, 224, 1000),
        printed_parameters=Printed(25.0e6, 0.05e6),
        printed_operations=Printed(4.2e9, 0.05e9),
        printed_error=PrintedError("imagenet", 22.2, where="table 3"),
        weights=torchvision("resnext50_32x4d-7cdf4587.pth"),
        public_accuracy=(77.618, 93.698),
        preprocessing=IMAGENET,
    ),
)
