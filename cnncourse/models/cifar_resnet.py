"""The ResNets for small images, of 6n + 2 layers, and their plain twins without shortcuts.

He, Zhang, Ren & Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385, section 4.2.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from cnncourse.layers import ShortcutOption, StochasticDepth, he_initialise, shortcut
from cnncourse.models.depths import blocks_a_stage, growing
from cnncourse.models.entry import Entry, Preprocessing, Printed, PrintedError, WeightsSource
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET_MEAN, IMAGENET_STD

# He et al. (2016), section 4.2: output map size, number of layers, number of filters; the first row counts the
# convolution in front. Sides are those of 32 x 32 images.
STAGES = (
    # side, layers,   filters
    (32, "1 + 2n", 16),
    (16, "2n", 32),
    (8, "2n", 64),
)


class Block(nn.Module):
    """Two 3 x 3 convolutions, with a shortcut around them or without.

    Args:
        in_channels: channels of the input.
        out_channels: channels of both convolutions.
        stride: stride of the first convolution and of the shortcut.
        option: kind of shortcut; ``None`` is a plain block.
        drop_prob: probability that the branch of an image is left out in training, in [0, 1).
        batch_norm: ``False`` puts biases in the place of both normalisations.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        option: ShortcutOption | None,
        drop_prob: float = 0.0,
        *,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        biased = not batch_norm
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=biased)
        self.bn1 = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=biased)
        self.bn2 = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        self.shortcut = None if option is None else shortcut(option, in_channels, out_channels, stride)
        self.stochastic_depth = StochasticDepth(drop_prob) if drop_prob else None

    def forward(self, x: Tensor) -> Tensor:
        """Return relu(F(x) + shortcut(x)), or relu(F(x)) of a plain block, for maps (N, C, H, W)."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.stochastic_depth is not None:
            out = self.stochastic_depth(out)
        if self.shortcut is not None:
            out += self.shortcut(x)
        result: Tensor = self.relu(out)
        return result


class CifarResNet(nn.Module):
    """A residual network for 32 x 32 images, or its plain twin.

    He et al. (2016), section 4.2. ResNet-20 has 269,722 parameters for 10 classes.

    Differs from the paper: none known; where option A puts its zeros is not printed, see
    :func:`cnncourse.layers.pad_shortcut`.

    Args:
        depth: number of layers with weights, 6n + 2: the paper has 20, 32, 44, 56, 110 and 1202.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        shortcut: option ``"A"`` (the paper's choice here), ``"B"`` or ``"C"``.
        residual: ``False`` leaves the shortcuts out: the plain network with the same layers and, with
            option A, the same parameters.
        zero_gamma: the last batch norm of each branch starts with a factor of 0, so that each block starts
            as its shortcut (Goyal et al., arXiv:1706.02677, section 5.1).
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from the first
            (Huang et al., arXiv:1603.09382, whose last block has 0.5).
        batch_norm: ``False`` leaves all normalisations out and gives the convolutions biases: not in the paper.
        width: factor of the paper's 16, 32 and 64 filters, above 0; the products must be whole.

    Raises:
        ValueError: if the depth has another form, a count is below 1, a probability is out of its range, the
            shortcut is unknown, a width makes a part of a filter, or a network is asked to start or to drop what
            it has not, or what only shortcuts survive.

    Book: resnet
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        *,
        shortcut: ShortcutOption = "A",
        residual: bool = True,
        zero_gamma: bool = False,
        depth_drop_prob: float = 0.0,
        batch_norm: bool = True,
        width: float = 1.0,
    ) -> None:
        super().__init__()
        n = blocks_a_stage(depth)
        check_counts(num_classes, in_channels)
        if not residual and (zero_gamma or depth_drop_prob):
            raise ValueError(
                "without shortcuts nothing passes a branch of zeros, got residual=False with "
                f"{zero_gamma=} and {depth_drop_prob=}; leave both out or build the residual network"
            )
        if not batch_norm and (zero_gamma or shortcut != "A"):
            raise ValueError(
                "without batch norm there is no gamma to start at zero, nor a normalised projection, got "
                f"batch_norm=False with {zero_gamma=} and {shortcut=}; leave zero_gamma out and take shortcut 'A'"
            )
        self.depth, self.residual, self.in_channels = depth, residual, in_channels
        option = shortcut if residual else None
        widths = _filters(width)
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=not batch_norm)
        self.bn1 = nn.BatchNorm2d(widths[0]) if batch_norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        drops = growing(depth_drop_prob, len(widths) * n)
        stages, read = [], widths[0]
        block = partial(Block, option=option, batch_norm=batch_norm)
        for filters in widths:
            first = block(read, filters, 1 if filters == widths[0] else 2, drop_prob=next(drops))
            rest = (block(filters, filters, 1, drop_prob=next(drops)) for _ in range(n - 1))
            stages.append(nn.Sequential(first, *rest))
            read = filters
        self.layer1, self.layer2, self.layer3 = stages
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(read, num_classes)
        he_initialise(self, "in")
        if zero_gamma:
            for module in self.modules():
                if isinstance(module, Block) and isinstance(module.bn2, nn.BatchNorm2d):
                    nn.init.zeros_(module.bn2.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch of images.

        Args:
            images: (N, in_channels, H, W), normalised floats, sides of at least 4 pixels.

        Returns:
            (N, num_classes): logits.

        Raises:
            ValueError: if the images have another shape.
        """
        kind = "ResNet" if self.residual else "plain"
        check_images(images, f"{kind}-{self.depth}", self.in_channels, smallest=4)
        x = self.relu(self.bn1(self.conv1(images)))  # (N, 16, 32, 32)
        x = self.layer1(x)  #                          (N, 16, 32, 32)
        x = self.layer2(x)  #                          (N, 32, 16, 16)
        x = self.layer3(x)  #                          (N, 64,  8,  8)
        x = self.avgpool(x).flatten(1)  #              (N, 64)
        logits: Tensor = self.fc(x)  #                 (N, num_classes)
        return logits


def _filters(width: float) -> list[int]:
    """Return the filters of the three stages."""
    products = [width * filters for _side, _layers, filters in STAGES]
    if width <= 0 or any(product != int(product) for product in products):
        raise ValueError(
            f"width must be above 0 and 16 times it a whole number of filters, got {width=}; "
            f"try {max(1, round(16 * width)) / 16:g}"
        )
    return [int(product) for product in products]


def from_akamaster(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the public CIFAR-10 weights of akamaster/pytorch_resnet_cifar10 (BSD-2-Clause).

    Their keys start with ``module.`` (written from a data-parallel wrapper) and call the last layer ``linear``;
    the rest is ours: conv1, bn1, layer1.0.conv1, ... They are for option A.

    Args:
        state: the file's ``state_dict``.

    Returns:
        The same tensors under this module's names.
    """
    renamed = {key.removeprefix("module."): tensor for key, tensor in state.items()}
    return {
        f"fc{key.removeprefix('linear')}" if key.startswith("linear.") else key: tensor
        for key, tensor in renamed.items()
    }


AKAMASTER = Preprocessing(32, IMAGENET_MEAN, IMAGENET_STD)
"""What the public weights were trained with: CIFAR-10 by ImageNet's mean and standard deviation."""


def _residual(*row: int, printed: tuple[float, float], error: float, of: str = "", file: str = "") -> Entry:
    depth, parameters, multiply_adds = row
    source = f"https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/{file}"
    return Entry(
        *(f"resnet{depth}", partial(CifarResNet, depth), "he2016", "section 4.2, table 6"),
        *(parameters, multiply_adds, 32, 10),
        smallest_side=4,
        printed_parameters=Printed(*printed),
        printed_error=PrintedError("cifar10", error, where=f"table 6{of}"),
        weights=WeightsSource(source, "BSD-2-Clause", "cifar10") if file else None,
        preprocessing=AKAMASTER if file else None,
        translate=from_akamaster,
    )


def _plain(depth: int, parameters: int, multiply_adds: int) -> Entry:
    builder = partial(CifarResNet, depth, residual=False)
    return Entry(
        *(f"plain{depth}", builder, "he2016", "section 4.2", parameters, multiply_adds, 32, 10),
        smallest_side=4,
    )


ENTRIES: tuple[Entry, ...] = (
    _residual(20, 269_722, 40_551_040, printed=(0.27e6, 0.005e6), error=8.75, file="resnet20-12fca82f.th"),
    _residual(32, 464_154, 68_862_592, printed=(0.46e6, 0.005e6), error=7.51, file="resnet32-d509ac18.th"),
    _residual(44, 658_586, 97_174_144, printed=(0.66e6, 0.005e6), error=7.17, file="resnet44-014dd654.th"),
    _residual(56, 853_018, 125_485_696, printed=(0.85e6, 0.005e6), error=6.97, file="resnet56-4bfd9763.th"),
    _residual(
        110, 1_727_962, 252_887_680, printed=(1.7e6, 0.05e6), error=6.43, of=", best of 5 runs, mean 6.61"
    ),
    _residual(1202, 19_421_274, 2_829_238_912, printed=(19.4e6, 0.05e6), error=7.93),
    _plain(20, 269_722, 40_551_040),
    _plain(32, 464_154, 68_862_592),
    _plain(44, 658_586, 97_174_144),
    _plain(56, 853_018, 125_485_696),
    _plain(110, 1_727_962, 252_887_680),
)
