"""Labelled images: what every reader of this package returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.datasets.splits import stratified_split


@dataclass(frozen=True)
class DataInfo:
    """Where a data set comes from and what may be done with it."""

    name: str
    """Short name, as used in records: ``mnist``."""
    title: str
    """Name for people."""
    licence: str
    """Licence, or what is known of the terms of use."""
    citation: str
    """The work to cite."""
    homepage: str
    """Address that describes the data."""
    classes: tuple[str, ...]
    """Class names; the index is the label."""


@dataclass(frozen=True, repr=False)
class LabelledImages:
    """Images and labels in two tensors, with their origin."""

    images: Tensor
    """(N, C, H, W), uint8, 0 black to 255 white."""
    targets: Tensor
    """(N,), int64, class indices in [0, K)."""
    info: DataInfo
    """The data set they belong to."""
    split: str
    """Which part of it: ``train``, ``test``, or a part of one of them."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the files they were read from, by file name."""

    def __post_init__(self) -> None:
        if self.images.ndim != 4 or self.images.dtype != torch.uint8:
            raise ValueError(
                f"images must be uint8 of shape (N, C, H, W), got {self.images.dtype} "
                f"{tuple(self.images.shape)}"
            )
        if self.targets.dtype != torch.int64 or self.targets.shape != self.images.shape[:1]:
            raise ValueError(
                f"targets must be int64 of shape ({len(self.images)},), got {self.targets.dtype} "
                f"{tuple(self.targets.shape)}; there is one label for each image"
            )
        highest = len(self.info.classes)
        if len(self.targets) and not 0 <= int(self.targets.min()) <= int(self.targets.max()) < highest:
            raise ValueError(
                f"labels must lie in [0, {highest}) for {self.info.title}, got {int(self.targets.min())} to "
                f"{int(self.targets.max())}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        channels, height, width = self.images.shape[1:]
        return (
            f"{self.info.title}, {self.split}: {len(self):,} images of {channels} × {height} × {width}, "
            f"{len(self.classes)} classes"
        )

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; the index is the label."""
        return self.info.classes

    def select(self, indices: Tensor | slice, split: str | None = None) -> "LabelledImages":
        """Return some of the images, in the given order.

        Args:
            indices: (M,) int64 or a slice.
            split: name of the part; ``None`` keeps this one's.

        Returns:
            The part.
        """
        part = self.split if split is None else split
        return replace(self, images=self.images[indices], targets=self.targets[indices], split=part)

    def held_out(
        self, fraction: float, *, generator: torch.Generator | None = None
    ) -> tuple["LabelledImages", "LabelledImages"]:
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

    def padded(self, side: int) -> "LabelledImages":
        """Return the images in the middle of a black square.

        Args:
            side: new height and width in pixels, at least the present ones.

        Returns:
            The same labels with (N, C, side, side) images.

        Raises:
            ValueError: if the images are larger.

        Book: pooling_lenet
        """
        height, width = self.images.shape[2:]
        if side < max(height, width):
            raise ValueError(
                f"side must be at least {max(height, width)}, the images' side now, got side={side}"
            )
        top, left = (side - height) // 2, (side - width) // 2
        border = (left, side - width - left, top, side - height - top)
        return replace(self, images=functional.pad(self.images, border))
