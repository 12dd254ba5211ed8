"""Drawn figures on textured backgrounds, with exact masks and boxes: data whose every property is a knob.

Each property has its own stream of random numbers. Two calls that differ in one knob therefore show the same
figures in the same places: what changes between them is the knob's doing.
"""

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.augmentation.streams import generator_for
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.shape_drawing import FIGURES, coverage, extents, signed_distances
from cnncourse.datasets.textures import cloud_field, rgb, weave_field

SHAPES = DataInfo(
    name="shapes",
    title="Drawn shapes",
    licence="MIT (drawn by this course)",
    citation="The cnncourse authors",
    homepage="https://github.com/cnncourse/cnncourse",
    classes=tuple(FIGURES),
)

LEAST_DIAMETER = 6.0
"""Pixels across below which figures cannot be told apart."""

FAR_NOISE = 0.12
"""Standard deviation of the pixel noise at domain 1, as a share of full scale."""

_CONTRAST = 0.45  # least distance in RGB between a figure's colour and the background's mean colour
_CANDIDATES = 12  # colours drawn for each figure, of which the first with enough contrast is taken
_CHUNK = 2**22  # pixels drawn at once: keeps the temporary arrays in tens of megabytes


@dataclass(frozen=True, repr=False, kw_only=True)
class ShapeImages(LabelledImages):
    """Labelled images that also know where the object is."""

    masks: Tensor
    """(N, H, W), bool: pixels whose centre the object shows."""
    boxes: Tensor
    """(N, 4), int64: smallest box around the mask, x0, y0, x1, y1; x1 and y1 lie just outside."""
    cues: Tensor
    """(N,), int64: label that the planted corner tag stands for, -1 without a tag."""

    def __post_init__(self) -> None:
        super().__post_init__()
        count, _, height, width = self.images.shape
        for name, tensor, dtype, shape in (
            ("masks", self.masks, torch.bool, (count, height, width)),
            ("boxes", self.boxes, torch.int64, (count, 4)),
            ("cues", self.cues, torch.int64, (count,)),
        ):
            if tensor.dtype != dtype or tensor.shape != shape:
                raise ValueError(
                    f"{name} must be {dtype} of shape {shape}, got {tensor.dtype} {tuple(tensor.shape)}"
                )

    def select(self, indices: Tensor | slice, split: str | None = None) -> "ShapeImages":
        """Return some of the images with their masks, boxes and cues, in the given order.

        Args:
            indices: (M,) int64 or a slice.
            split: name of the part; ``None`` keeps this one's.

        Returns:
            The part.
        """
        return replace(
            self,
            images=self.images[indices],
            targets=self.targets[indices],
            split=self.split if split is None else split,
            masks=self.masks[indices],
            boxes=self.boxes[indices],
            cues=self.cues[indices],
        )

    def padded(self, side: int) -> "ShapeImages":
        """Return the images in the middle of a black square, masks and boxes moved along.

        Args:
            side: new height and width in pixels, at least the present ones.

        Returns:
            The same labels with (N, C, side, side) images.

        Raises:
            ValueError: if the images are larger.
        """
        plain = LabelledImages(self.images, self.targets, self.info, self.split).padded(side)
        height, width = self.images.shape[2:]
        top, left = (side - height) // 2, (side - width) // 2
        border = (left, side - width - left, top, side - height - top)
        return replace(
            self,
            images=plain.images,
            masks=functional.pad(self.masks, border),
            boxes=self.boxes + torch.tensor([left, top, left, top]),
        )


def shapes(
    split: Literal["train", "test"],
    *,
    side: int = 32,
    count: int = 2000,
    size: tuple[float, float] = (0.4, 0.8),
    clutter: int = 2,
    domain: float = 0.0,
    shortcut: float = 0.0,
    seed: int = 0,
) -> ShapeImages:
    """Draw one of ten figures an image, anywhere, in any colour, size and direction, on a textured background.

    Label i % 10 belongs to image i, so every leading part is balanced; more images continue the same
    sequence. Figures lie wholly inside the image and in front of everything but the corner tag.

    Args:
        split: ``"train"`` or ``"test"``, drawn from streams of their own.
        side: height and width in pixels, at least 16.
        count: number of images, at least 10.
        size: least and greatest diameter of the circle around the figure, as shares of the side.
        clutter: number of fragments of other figures behind the figure, at least 0.
        domain: how far from the usual look, 0 to 1: the background goes over from clouds to a weave, its
            hue from green-blue to orange-red, and noise grows to a standard deviation of 0.12 of full scale.
        shortcut: probability that a coloured tag in the upper left corner, of an eighth of the side, stands
            for the label; otherwise it stands for one of the other labels, all alike. 0 is no tag, 0.1 a tag
            that tells nothing, 1 one that tells all.
        seed: of all draws.

    Returns:
        (N, 3, side, side) images and (N,) labels 0 to 9, with masks, boxes and cues.

    Raises:
        ValueError: if an argument is out of its range or unknown.
    """
    _check(split, side, count, size, clutter=clutter, domain=domain, shortcut=shortcut)
    drawn = {
        name: torch.rand(count, numbers, generator=generator_for(seed, "shapes", split, name))
        for name, numbers in {
            "figure": 4, "colour": 3 * _CANDIDATES, "palette": 5, "clouds": 336, "weave": 6, "tag": 2,
        }.items()
    }  # fmt: skip
    for piece in range(clutter):
        stream = generator_for(seed, "shapes", split, "clutter", piece)
        drawn[f"clutter {piece}"] = torch.rand(count, 10, generator=stream)
    noise = generator_for(seed, "shapes", split, "noise")
    targets = torch.arange(count) % len(FIGURES)
    images, masks = [], []
    step = max(1, _CHUNK // side**2)
    for start in range(0, count, step):
        rows = slice(start, start + step)
        some = {name: numbers[rows] for name, numbers in drawn.items()}
        picture, mask = _drawn(targets[rows], some, side, size=size, clutter=clutter, domain=domain)
        if domain:
            # Two uniform numbers, as torch.randn of more images would not begin with those of fewer.
            pair = torch.rand(len(picture), 2, 3, side, side, generator=noise)
            picture += FAR_NOISE * domain * math.sqrt(6) * (pair.sum(1) - 1)
        images.append((255 * picture).round_().clamp_(0, 255).to(torch.uint8))
        masks.append(mask)
    pixels, mask = torch.cat(images), torch.cat(masks)
    cues = torch.full((count,), -1)
    if shortcut:
        cues = _cues(targets, drawn["tag"], shortcut)
        length = tag_side(side)
        pixels[:, :, :length, :length] = TAG_COLOURS[cues].view(-1, 3, 1, 1)
        mask[:, :length, :length] = False
    digest = hashlib.sha256(pixels.numpy().tobytes() + targets.numpy().astype("<i8").tobytes()).hexdigest()
    return ShapeImages(
        pixels,
        targets,
        SHAPES,
        split,
        {"cnncourse.datasets.shapes, as uint8 images and int64 labels": digest},
        masks=mask,
        boxes=extents(mask),
        cues=cues,
    )


TAG_COLOURS = (
    255 * rgb(torch.arange(10) / 10, torch.ones(10), torch.tensor([1.0, 0.75]).repeat(5))
).round().to(torch.uint8)  # fmt: skip
"""(10, 3) colours of the corner tag, one a label."""


def tag_side(side: int) -> int:
    """Return the side of the corner tag in images of the given side: an eighth, rounded."""
    return round(side / 8)


def _cues(targets: Tensor, drawn: Tensor, shortcut: float) -> Tensor:
    """Return the labels for which the tags stand: the image's own, or any of the others."""
    classes = len(FIGURES)
    other = (targets + 1 + (drawn[:, 1] * (classes - 1)).long()) % classes
    return torch.where(drawn[:, 0] < shortcut, targets, other)


def _drawn(
    targets: Tensor,
    drawn: dict[str, Tensor],
    side: int,
    *,
    size: tuple[float, float],
    clutter: int,
    domain: float,
) -> tuple[Tensor, Tensor]:
    """Return (N, 3, side, side) pictures in [0, 1] and (N, side, side) masks."""
    pictures, ground = _background(drawn, side, domain)
    for piece in range(clutter):
        _add_fragment(pictures, drawn[f"clutter {piece}"])
    place = drawn["figure"]
    radii = side / 2 * (size[0] + (size[1] - size[0]) * place[:, 0])
    centres = radii.unsqueeze(1) + place[:, 1:3] * (side - 2 * radii).unsqueeze(1)
    distances = signed_distances(targets, centres, radii, 2 * math.pi * place[:, 3], side)
    _paint(pictures, coverage(distances), _contrasting(drawn["colour"], ground))
    return pictures, distances < 0


def _background(drawn: dict[str, Tensor], side: int, domain: float) -> tuple[Tensor, Tensor]:
    """Return textured grounds (N, 3, side, side) and their mean colours (N, 3)."""
    clouds, weave = cloud_field(drawn["clouds"], side), weave_field(drawn["weave"], side)
    field = math.sqrt(1 - domain) * clouds + math.sqrt(domain) * weave
    palette = drawn["palette"]
    # From green-blue (0.4 to 0.65 of a turn) on through violet to red-orange (0.95 to 1.2).
    hue = 0.4 + 0.25 * palette[:, 0] + 0.55 * domain
    colour = rgb(hue, 0.25 + 0.35 * palette[:, 1], 0.35 + 0.35 * palette[:, 2])
    strength = 0.08 + 0.08 * palette[:, 3]
    tint = rgb(hue + 0.2 * (palette[:, 4] - 0.5), torch.full_like(hue, 0.3), torch.ones_like(hue))
    texture = field.unsqueeze(1) * (strength.unsqueeze(1) * tint).view(-1, 3, 1, 1)
    return (colour.view(-1, 3, 1, 1) + texture).clamp_(0, 1), colour


def _add_fragment(pictures: Tensor, drawn: Tensor) -> None:
    """Paint a piece of a figure, cut off by a straight line, anywhere in each picture."""
    side = pictures.shape[-1]
    figures = (drawn[:, 0] * len(FIGURES)).long()
    radii = side * (0.1 + 0.1 * drawn[:, 1])
    centres = side * drawn[:, 2:4]
    distances = signed_distances(figures, centres, radii, 2 * math.pi * drawn[:, 4], side)
    turn = 2 * math.pi * drawn[:, 5]
    pixel = torch.arange(side) + 0.5
    across = (pixel - centres[:, :1]).unsqueeze(1) * torch.cos(turn).view(-1, 1, 1)
    down = (pixel - centres[:, 1:]).unsqueeze(2) * torch.sin(turn).view(-1, 1, 1)
    cut = across + down + ((0.4 * drawn[:, 6] - 0.2) * radii).view(-1, 1, 1)
    colour = rgb(drawn[:, 7], 0.4 + 0.6 * drawn[:, 8], 0.3 + 0.7 * drawn[:, 9])
    _paint(pictures, coverage(torch.maximum(distances, cut)), colour)


def _contrasting(drawn: Tensor, ground: Tensor) -> Tensor:
    """Return for each image the first drawn colour far enough from the ground's, or else the farthest."""
    hue, saturation, value = drawn.view(-1, _CANDIDATES, 3).unbind(2)
    colours = rgb(hue, 0.4 + 0.6 * saturation, 0.25 + 0.75 * value)
    distance = (colours - ground.unsqueeze(1)).square().sum(2).sqrt()
    enough = distance >= _CONTRAST
    choice = torch.where(enough.any(1), enough.int().argmax(1), distance.argmax(1))
    return colours[torch.arange(len(colours)), choice]


def _paint(pictures: Tensor, shares: Tensor, colour: Tensor) -> None:
    """Lay a colour over each picture, where and as far as it covers the pixels."""
    pictures.lerp_(colour.view(-1, 3, 1, 1).expand_as(pictures), shares.unsqueeze(1).expand_as(pictures))


def _check(
    split: str,
    side: int,
    count: int,
    size: tuple[float, float],
    *,
    clutter: int,
    domain: float,
    shortcut: float,
) -> None:
    if split not in ("train", "test"):
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if side < 16:
        raise ValueError(f"side must be at least 16, or figures look alike, got side={side}")
    if count < len(FIGURES):
        raise ValueError(f"count must be at least {len(FIGURES)}, one image a class, got count={count}")
    if not 0 < size[0] <= size[1] <= 1:
        raise ValueError(f"size must be two shares of the side in increasing order in (0, 1], got {size}")
    if size[0] * side < LEAST_DIAMETER:
        raise ValueError(
            f"figures must be at least {LEAST_DIAMETER:g} pixels across, got size={size} of side={side}; "
            f"take a size of at least {LEAST_DIAMETER / side:.2g}"
        )
    if clutter < 0:
        raise ValueError(f"clutter must be at least 0 fragments, got {clutter}")
    for name, share in (("domain", domain), ("shortcut", shortcut)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must lie in [0, 1], got {share}")
