"""Labelled images that stay in their files until they are wanted: sets too large or too varied for a tensor."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.splits import stratified_split
from cnncourse.progress import progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageError(ValueError):
    """A file is no image that can be decoded; the message names it."""


@dataclass(frozen=True, repr=False)
class FolderImages:
    """Paths and labels, with their origin; every image is decoded when it is asked for."""

    paths: tuple[Path, ...]
    """N image files."""
    targets: Tensor
    """(N,), int64, class indices in [0, K)."""
    info: DataInfo
    """The data set they belong to."""
    split: str
    """Which part of it: ``train``, ``val``, ``test``, or a part of one of them."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the archives they came from, by file name; for a plain folder, of its list of files."""
    ignored: tuple[Path, ...] = ()
    """Files that lie among the images and are none."""

    def __post_init__(self) -> None:
        if self.targets.dtype != torch.int64 or self.targets.shape != (len(self.paths),):
            raise ValueError(
                f"targets must be int64 of shape ({len(self.paths)},), got {self.targets.dtype} "
                f"{tuple(self.targets.shape)}; there is one label for each image"
            )
        highest = len(self.info.classes)
        if len(self.targets) and not 0 <= int(self.targets.min()) <= int(self.targets.max()) < highest:
            raise ValueError(
                f"labels must lie in [0, {highest}) for {self.info.title}, got {int(self.targets.min())} to "
                f"{int(self.targets.max())}"
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        others = f" ({len(self.ignored):,} other files ignored)" if self.ignored else ""
        return (
            f"{self.info.title}, {self.split}: {len(self):,} image files{others}, {len(self.classes)} classes"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label."""
        return self.info.classes

    def select(self, indices: Tensor | slice, split: str | None = None) -> "FolderImages":
        """Return some of the images, in the given order.

        Args:
            indices: (M,) int64 or a slice.
            split: name of the part; ``None`` keeps this one's.

        Returns:
            The part.
        """
        chosen = torch.arange(len(self))[indices]
        return replace(
            self,
            paths=tuple(self.paths[index] for index in chosen.tolist()),
            targets=self.targets[chosen],
            split=self.split if split is None else split,
        )

    def held_out(
        self, fraction: float, *, generator: torch.Generator | None = None
    ) -> tuple["FolderImages", "FolderImages"]:
        """Split at random into a part to learn from and a part to choose settings on.

        Stratified: every class gives the same fraction, rounded to whole images.

        Args:
            fraction: share of the second part, 0 < fraction < 1.
            generator: source of randomness; ``None`` is PyTorch's global one.

        Returns:
            Two disjoint parts that together are the whole, each in the original order.

        Raises:
            ValueError: if the fraction is out of its range, or leaves a part empty.
        """
        second, first = stratified_split(self.targets, (fraction, 1 - fraction), generator)
        return (
            self.select(first, f"{self.split} without held-out part"),
            self.select(second, f"held-out part of {self.split}"),
        )

    def to_images(
        self,
        side: int,
        *,
        short_side: int | None = None,
        unreadable: Literal["stop", "skip"] = "stop",
        progress: bool | None = None,
    ) -> LabelledImages:
        """Decode all images to one size: the short side is scaled (bilinear), the middle is cut out.

        Args:
            side: height and width in pixels, at least 1.
            short_side: pixels of the short side before the cut, at least ``side``; ``None`` is ``side``, so
                that the cut takes as much as it can (usual for ImageNet: 256, then a side of 224).
            unreadable: at a file that cannot be decoded ``"stop"``, or ``"skip"`` it.
            progress: show a bar; ``None`` shows one only where somebody is likely to be watching.

        Returns:
            (N, 3, side, side) images; N x 3 x side x side bytes of memory.

        Raises:
            ValueError: if a size is out of its range.
            ImageError: if a file cannot be decoded and shall not be skipped, or none can.
        """
        scaled = side if short_side is None else short_side
        if side < 1 or scaled < side:
            raise ValueError(
                f"side must be at least 1 and short_side at least side, got {side=}, {short_side=}"
            )
        if unreadable not in ("stop", "skip"):
            raise ValueError(f"unreadable must be 'stop' or 'skip', got {unreadable!r}")
        images = torch.empty((len(self), 3, side, side), dtype=torch.uint8)
        whole = torch.ones(len(self), dtype=torch.bool)
        title = f"decoding {self.info.name}"
        with progress_bar(title, total=len(self), unit="image", show=progress) as advance:
            for index, path in enumerate(self.paths):
                try:
                    square = middle(read_image(path), side, scaled)
                except ImageError:
                    if unreadable == "stop":
                        raise
                    whole[index] = False
                else:
                    images[index] = torch.from_numpy(np.array(square)).permute(2, 0, 1)
                advance(1)
        if len(self) and not whole.any():
            raise ImageError(f"none of the {len(self)} images of {self!r} can be decoded")
        decoded = LabelledImages(images, self.targets, self.info, self.split, self.sha256)
        return decoded if whole.all() else decoded.select(whole.nonzero().squeeze(1))


def read_image(path: Path) -> "Image":
    """Return an image file as upright RGB.

    Grey levels become equal channels, transparency is dropped, and a photograph is turned as its camera
    says (EXIF), which tensors decoded by other libraries often are not.

    Args:
        path: a file of any format that Pillow knows.

    Returns:
        The decoded image, mode RGB.

    Raises:
        ImageError: if the file is missing, truncated, damaged or of another kind.
    """
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged metadata beside sound pixels
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                if upright.mode == "P":  # a palette may hold its transparency in a way that RGB refuses
                    upright = upright.convert("RGBA")
                return upright.convert("RGB")
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(
            f"{path} cannot be read as an image ({error}); replace or remove it, or skip what is unreadable"
        ) from error


def middle(image: "Image", side: int, short_side: int) -> "Image":
    """Scale the short side of an image and cut a square out of the middle.

    Args:
        image: any size.
        side: height and width of the result in pixels.
        short_side: pixels of the short side before the cut, at least ``side``.

    Returns:
        ``side`` x ``side`` pixels.
    """
    from PIL import Image

    width, height = image.size
    if width <= height:
        scaled = (short_side, int(short_side * height / width))
    else:
        scaled = (int(short_side * width / height), short_side)
    resized = image if scaled == image.size else image.resize(scaled, Image.Resampling.BILINEAR)
    left, top = round((scaled[0] - side) / 2), round((scaled[1] - side) / 2)
    return resized.crop((left, top, left + side, top + side))
