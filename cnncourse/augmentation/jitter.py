"""Random brightness, contrast, saturation and hue, in random order."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augmentation.colour import change, check_amounts, check_channels
from cnncourse.augmentation.pixels import back_to, check_rows, white, working_copy
from cnncourse.augmentation.steps import BatchShape, Drawn

PROPERTIES = ("brightness", "contrast", "saturation", "hue")

Range = float | tuple[float, float]


@dataclass(frozen=True)
class ColourJitter:
    """Change brightness, contrast, saturation and hue of each image by amounts of its own, in an order of its own.

    A strength s stands for factors from max(0, 1 - s) to 1 + s, for the hue for turns from -s to s; a pair gives the
    two ends. uint8 images are rounded once, after the last change.

    Howard, "Some improvements on deep convolutional neural network based image classification", 2013, section 2.2,
    arXiv:1312.5402 (factors from 0.5 to 1.5, order at random). Differs from the paper: the hue is our addition, as in
    torchvision; the strengths are the caller's.
    """

    brightness: Range = 0.0
    """Strength, at least 0, or least and largest factor, of all values."""
    contrast: Range = 0.0
    """Strength, at least 0, or least and largest factor, of the distance to the image's mean grey."""
    saturation: Range = 0.0
    """Strength, at least 0, or least and largest factor, of the distance to the pixel's grey; RGB only."""
    hue: Range = 0.0
    """Strength in [0, 0.5], or ends in [-0.5, 0.5], in whole turns of the colour circle; RGB only."""

    def __post_init__(self) -> None:
        for name in PROPERTIES:
            least, largest = self._ends(name)
            lower, upper = (-0.5, 0.5) if name == "hue" else (0.0, math.inf)
            strength = getattr(self, name)
            if not lower <= least <= largest <= upper or largest == math.inf:
                limits = (
                    "[0, 0.5], or a rising pair in [-0.5, 0.5]"
                    if name == "hue"
                    else "at least 0, or a rising pair"
                )
                raise ValueError(f"{name} must be {limits}, got {name}={strength}")
        if not self._active():
            raise ValueError(
                "ColourJitter changes nothing: give brightness, contrast, saturation or hue a strength"
            )

    def _ends(self, name: str) -> tuple[float, float]:
        strength: Range = getattr(self, name)
        if isinstance(strength, (int, float)):
            if name == "hue":
                return -strength, strength
            # A negative strength gives a falling pair, which is refused.
            return max(0.0, 1 - strength), 1 + strength
        least, largest = strength
        return least, largest

    def _active(self) -> list[str]:
        return [n for n in PROPERTIES if self._ends(n) != ((0.0, 0.0) if n == "hue" else (1.0, 1.0))]

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw an order and the amounts, evenly between their ends.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``order``: (N, 4), int64, a permutation for each image: 0 brightness, 1 contrast, 2 saturation, 3 hue;
            and for each of them that is in use its amounts by its name: (N,), float32.

        Raises:
            ValueError: if saturation or hue is in use and the images have not three channels.
        """
        drawn = {"order": torch.rand(shape.count, len(PROPERTIES), generator=generator).argsort(1)}
        for name in self._active():
            check_channels(name, shape.channels)
            least, largest = self._ends(name)
            even = torch.rand(shape.count, generator=generator)
            drawn[name] = (even * (largest - least) + least).clamp_(least, largest)
        return drawn

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Change the properties in the order drawn.

        Args:
            images: (N, C, H, W), uint8 or float in [0, 1].
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W), held between black and white after each change.

        Raises:
            ValueError: if types or shapes do not fit.
        """
        check_rows(images, order=drawn["order"])
        active = self._active()
        for name in active:
            check_amounts(name, images, drawn[name])
        pixels, top = working_copy(images), white(images)
        if len(active) == 1:
            return back_to(images, change(active[0], pixels, drawn[active[0]], top))
        order = drawn["order"].cpu()
        for place in order.unbind(1):
            for name in active:
                (rows,) = (place == PROPERTIES.index(name)).nonzero(as_tuple=True)
                if len(rows) == len(images):
                    pixels = change(name, pixels, drawn[name], top)
                elif len(rows):
                    where = rows.to(images.device, non_blocking=True)
                    part = pixels.index_select(0, where)
                    pixels.index_copy_(0, where, change(name, part, drawn[name][rows], top))
        return back_to(images, pixels)
