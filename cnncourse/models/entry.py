"""What the catalogue knows of a network, as data."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn


@dataclass(frozen=True)
class Printed:
    """A number as a paper prints it, and how far an exact count may be from it."""

    value: float
    """The printed number, in ones: 25.5 million is 25.5e6."""
    within: float
    """Largest distance of the exact count: half of the last printed digit, a whole one where papers cut off."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the builder that give the network of the paper, where the default is another one."""
    where: str = ""
    """Table of the paper, where it is not the entry's; a reason, where the distance needs one."""

    def __post_init__(self) -> None:
        if not (self.value > 0 and self.within > 0):
            raise ValueError(
                f"value and within must be above 0, got value={self.value} and within={self.within}"
            )


@dataclass(frozen=True)
class PrintedError:
    """The error of a network as a paper prints it: one network, not an ensemble; one crop where that is printed."""

    data: Literal["imagenet", "cifar10", "mnist"]
    """Images it was measured on: ImageNet's validation set, the test sets of the others."""
    top1: float | None
    """Per cent of images whose first guess is wrong; ``None`` if it is not printed."""
    top5: float | None = None
    """Per cent of images whose first five guesses are wrong; ``None`` if it is not printed."""
    where: str = ""
    """Table of the paper and, if it was not one crop of the usual size, what was averaged."""

    def __post_init__(self) -> None:
        if self.data not in ("imagenet", "cifar10", "mnist"):
            raise ValueError(f"data must be 'imagenet', 'cifar10' or 'mnist', got {self.data!r}")
        errors = [error for error in (self.top5, self.top1) if error is not None]
        if not errors:
            raise ValueError(
                "one of top1 and top5 must be a number; leave the printed error out if none is printed"
            )
        if not all(0 < error < 100 for error in errors) or errors != sorted(errors):
            raise ValueError(
                f"errors must lie between 0 and 100 per cent, top5 not above top1, got top1={self.top1} and "
                f"top5={self.top5}; an accuracy is 100 minus the error"
            )


@dataclass(frozen=True)
class Preprocessing:
    """What images must go through before a network with given weights sees them."""

    side: int
    """Height and width of the input in pixels, cut from the middle."""
    mean: tuple[float, ...]
    """Mean of each channel in [0, 1] units, subtracted."""
    std: tuple[float, ...]
    """Standard deviation of each channel in [0, 1] units, divided by."""
    resize: int | None = None
    """Shorter side in pixels before the cut; ``None`` leaves the images as they are."""
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    """How the resizing interpolates."""

    def __post_init__(self) -> None:
        if self.side < 1 or (self.resize is not None and self.resize < self.side):
            raise ValueError(
                "side must be at least 1 and not larger than resize, got "
                f"side={self.side} and resize={self.resize}"
            )
        if len(self.mean) != len(self.std) or min(self.std) <= 0:
            raise ValueError(
                f"mean and std need one number a channel, std above 0, got {self.mean} and {self.std}"
            )


@dataclass(frozen=True)
class WeightsSource:
    """Where public weights come from."""

    source: str
    """Address of the file, whose name ends in the first digits of its SHA-256 (``resnet18-f37072fd.pth``), or
    ``package:pattern`` for a file inside an installed package."""
    licence: str
    """Terms of the weights."""
    data: Literal["imagenet", "cifar10"] = "imagenet"
    """What they were trained on: the word that asks :func:`cnncourse.models.build` for them."""

    @property
    def packaged(self) -> bool:
        """Whether an installed package carries the file."""
        return "://" not in self.source

    @property
    def file(self) -> str:
        """Name of the file, without the address in front."""
        return self.source.rpartition("/")[2]

    @property
    def sha256(self) -> str:
        """The first digits of the file's SHA-256, at least 8, from its name; empty if a package carries the file."""
        found = re.search(r"-([0-9a-f]{8,64})\.\w+$", self.file)
        return found[1] if found and not self.packaged else ""

    def __post_init__(self) -> None:
        if self.data not in ("imagenet", "cifar10"):
            raise ValueError(f"data must be 'imagenet' or 'cifar10', got {self.data!r}")
        if not (self.packaged or self.sha256):
            raise ValueError(
                f"source must name a file that ends in -<first digits of its SHA-256>.<suffix>, got {self.source}; "
                "without them nobody could tell a damaged download"
            )


def unchanged(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict as it is: the translation of weights that carry our names."""
    return dict(state)


@dataclass(frozen=True)
class Entry:
    """One network of the catalogue."""

    name: str
    """Its name, in lower case with underscores."""
    builder: Callable[..., nn.Module]
    """Function or class that takes num_classes, in_channels and the network's own options."""
    paper: str
    """Key of the paper in the bibliography."""
    where: str
    """Table or section of the paper."""
    parameters: int
    """Weights and biases, with the default classes and channels."""
    multiply_adds: int
    """Multiply-adds of one image of the default side."""
    side: int
    """Default height and width of the images, in pixels."""
    num_classes: int
    """Default number of logits."""
    in_channels: int = 3
    """Default number of channels of the images."""
    smallest_side: int = 32
    """Least height and width that the network takes, in pixels; one pixel less is refused."""
    printed_parameters: Printed | None = None
    """What the paper prints; ``None`` if it does not."""
    printed_operations: Printed | None = None
    """Multiply-adds as the paper prints them, most often under the name of FLOPs; ``None`` if it does not."""
    printed_error: PrintedError | None = None
    """Error as the paper prints it; ``None`` if it prints none of this very network."""
    weights: WeightsSource | None = None
    """Public weights; ``None`` if there are none."""
    public_accuracy: tuple[float, float] | None = None
    """Top-1 and top-5 accuracy of the public weights on ImageNet's validation set, in per cent, as their authors
    state them; ``None`` if they do not."""
    preprocessing: Preprocessing | None = None
    """What images must go through before the network with the public weights sees them."""
    translate: Callable[[Mapping[str, Tensor]], dict[str, Tensor]] = unchanged
    """Turns the names of public weights into ours; only used for state dicts whose names are not ours."""

    def __post_init__(self) -> None:
        if not 1 <= self.smallest_side <= self.side:
            raise ValueError(
                f"{self.name}: smallest_side must lie in [1, side], got smallest_side={self.smallest_side} and "
                f"side={self.side}"
            )
        if (self.weights is None) != (self.preprocessing is None):
            raise ValueError(f"{self.name}: public weights need their preprocessing, and only they do")
        if self.public_accuracy is not None:
            top1, top5 = self.public_accuracy
            if self.weights is None or not 0 < top1 <= top5 < 100:
                raise ValueError(
                    f"{self.name}: public_accuracy needs public weights and 0 < top-1 <= top-5 < 100, got "
                    f"{self.public_accuracy}"
                )
