"""What a random step on a batch is: it draws, then it applies; several make one."""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

Drawn = dict[str, Tensor]
"""What a step drew: tensors on the CPU, each with the images as its first axis."""


@dataclass(frozen=True, eq=False)
class BatchShape:
    """What a step may know of a batch before it sees the pixels."""

    count: int
    """Images in the batch, at least 0."""
    height: int
    """Height of the images in pixels, at least 1."""
    width: int
    """Width of the images in pixels, at least 1."""
    channels: int = 3
    """Channels of the images, at least 1."""
    indices: Tensor | None = None
    """(count,), int64: number of each image in its data set; ``None`` if nobody asks."""
    epoch: int = 1
    """Number of the pass over the data set, from 1."""

    def __post_init__(self) -> None:
        if operator.index(self.count) < 0 or min(self.height, self.width, self.channels) < 1:
            raise ValueError(
                "count must be at least 0, height, width and channels at least 1, got "
                f"count={self.count}, height={self.height}, width={self.width}, channels={self.channels}"
            )
        if self.epoch < 1:
            raise ValueError(f"epoch is the number of the pass, from 1, got epoch={self.epoch}")
        if self.indices is not None and (
            self.indices.shape != (self.count,) or self.indices.dtype != torch.int64
        ):
            raise ValueError(
                f"indices must be int64 of shape ({self.count},), one for each image, got "
                f"{self.indices.dtype} of shape {tuple(self.indices.shape)}"
            )

    @classmethod
    def of(cls, images: Tensor, *, indices: Tensor | None = None, epoch: int = 1) -> "BatchShape":
        """Return the shape of a batch that is already there.

        Args:
            images: (N, C, H, W).
            indices: (N,), int64: number of each image in its data set.
            epoch: number of the pass, from 1.

        Returns:
            The shape.

        Raises:
            ValueError: if ``images`` has not four axes, or another field is out of its range.
        """
        if images.ndim != 4:
            raise ValueError(f"images must have the axes (N, C, H, W), got shape {tuple(images.shape)}")
        count, channels, height, width = images.shape
        return cls(count, height, width, channels, indices, epoch)


class Augmentation(Protocol):
    """A random change of images that leaves their labels true."""

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw what shall happen to each image; the only random part.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            CPU tensors, each with one row an image.
        """
        ...

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Do what was drawn; each image by itself, so rows may be selected before or after.

        Args:
            images: (N, C, H, W), uint8 or float, on any device; never changed in place.
            drawn: what :meth:`draw` returned, or N rows of it.

        Returns:
            (N, C, H', W'), of the same type, memory format and device.
        """
        ...


@runtime_checkable
class Resizing(Protocol):
    """A step after which the images have another size."""

    def output_shape(self, shape: BatchShape) -> BatchShape:
        """Return the shape after the step.

        Args:
            shape: before the step.

        Returns:
            After the step.
        """
        ...


def select_rows(drawn: Mapping[str, Tensor], rows: Tensor | slice) -> Drawn:
    """Return what was drawn for some of the images.

    Args:
        drawn: what a step drew for a whole batch.
        rows: (M,), int64 or bool, or a slice.

    Returns:
        The selected rows of each tensor.
    """
    return {name: values[rows] for name, values in drawn.items()}


@dataclass(frozen=True)
class Compose:
    """Several steps, one after the other.

    All steps draw first, in order, from one generator. A step that follows a change of size draws for the new size.
    """

    steps: tuple[Augmentation, ...]
    """What to do, in order, at least one step; not MixUp or CutMix, which need the labels."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.steps:
            raise ValueError("Compose needs at least one step, got none; leave it out for no augmentation")
        for step in self.steps:
            if hasattr(step, "mixes_targets"):
                raise ValueError(
                    f"{type(step).__name__} mixes images and labels and cannot stand in Compose, which sees no "
                    "labels; apply it to the finished batch"
                )
            if not (hasattr(step, "draw") and hasattr(step, "apply")):
                raise ValueError(f"each step must have draw and apply, got {step!r}")

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw for all steps.

        Args:
            shape: of the batch before the first step.
            generator: source of randomness, on the CPU.

        Returns:
            What step i drew as ``name``, under the key ``"i.name"``.
        """
        drawn: Drawn = {}
        for number, step in enumerate(self.steps):
            drawn |= {f"{number}.{name}": values for name, values in step.draw(shape, generator).items()}
            shape = _shape_after(step, shape)
        return drawn

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Do what was drawn, step by step.

        Args:
            images: (N, C, H, W), uint8 or float.
            drawn: from :meth:`draw`, N rows.

        Returns:
            The images after the last step.
        """
        for number, step in enumerate(self.steps):
            start = f"{number}."
            own = {name[len(start) :]: values for name, values in drawn.items() if name.startswith(start)}
            images = step.apply(images, own)
        return images

    def output_shape(self, shape: BatchShape) -> BatchShape:
        """Return the shape after the last step.

        Args:
            shape: before the first step.

        Returns:
            After the last.
        """
        for step in self.steps:
            shape = _shape_after(step, shape)
        return shape


def _shape_after(step: Augmentation, shape: BatchShape) -> BatchShape:
    return step.output_shape(shape) if isinstance(step, Resizing) else shape


def resized(shape: BatchShape, side: int) -> BatchShape:
    """Return the shape with square images.

    Args:
        shape: any.
        side: new height and width in pixels.

    Returns:
        The same batch with the new size.
    """
    return replace(shape, height=side, width=side)
