"""Batches of a data set that lives on the device: no workers, no copies of single images."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.datasets.labelled import LabelledImages

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""A random change of a batch: uint8 images (N, C, H, W) and a generator to images of the same shape."""


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each channel, in units of the full range (0 black, 1 white)."""

    mean: tuple[float, ...]
    """One number a channel."""
    std: tuple[float, ...]
    """One number a channel, above 0."""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std) or not self.std or min(self.std) <= 0:
            raise ValueError(
                f"mean and std must have one number a channel, std above 0, got {self.mean=} and {self.std=}"
            )

    @classmethod
    def of(cls, data: LabelledImages) -> "Normalisation":
        """Measure a data set, always the training images.

        Args:
            data: at least one image.

        Returns:
            Mean and standard deviation over images and pixels.

        Raises:
            ValueError: if there are no images, or a channel is the same everywhere.
        """
        if len(data) == 0:
            raise ValueError("a normalisation is measured on at least one image, got none")
        counts = torch.stack(
            [
                torch.bincount(channel.reshape(-1).long(), minlength=256)
                for channel in data.images.transpose(0, 1)
            ]
        ).double()
        levels = torch.arange(256, dtype=torch.float64) / 255
        weights = counts / counts.sum(dim=1, keepdim=True)
        mean = weights @ levels
        std = (weights @ levels**2 - mean**2).clamp(min=0).sqrt()
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(self, images: Tensor) -> Tensor:
        """Turn uint8 images into floats with mean about 0 and standard deviation about 1.

        Args:
            images: (N, C, H, W), uint8.

        Returns:
            (N, C, H, W), float32.
        """
        mean = torch.tensor(self.mean, device=images.device).view(-1, 1, 1) * 255
        std = torch.tensor(self.std, device=images.device).view(-1, 1, 1) * 255
        return (images.float() - mean) / std


class Batches:
    """Iterate over a data set in batches of normalised floats; a new order in each pass if shuffled.

    The uint8 images are moved to the device once and become floats batch by batch.

    Args:
        data: the images and labels.
        batch_size: images a batch, at least 1; the last batch may be smaller.
        normalisation: applied to each batch after the augmentation.
        device: where the batches shall be.
        shuffle: draw a new order for each pass.
        generator: a CPU generator for order and augmentation; needed for either.
        augmentation: random change of each uint8 batch.

    Raises:
        ValueError: if there are no images, the batch size is below 1, or a generator is missing.

    Book: pooling_lenet
    """

    def __init__(
        self,
        data: LabelledImages,
        batch_size: int,
        normalisation: Normalisation,
        *,
        device: torch.device | str = "cpu",
        shuffle: bool = False,
        generator: torch.Generator | None = None,
        augmentation: Augmentation | None = None,
    ) -> None:
        if len(data) == 0:
            raise ValueError(f"the data set is empty ({data!r}); there is nothing to make batches of")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got batch_size={batch_size}")
        if (shuffle or augmentation is not None) and generator is None:
            raise ValueError(
                "shuffling and augmentation need a generator, such as torch.Generator().manual_seed(0)"
            )
        self.data = data
        self.batch_size = batch_size
        self.normalisation = normalisation
        self.shuffle = shuffle
        self.generator = generator
        self.augmentation = augmentation
        self.images = data.images.to(device)
        self.targets = data.targets.to(device)

    def __len__(self) -> int:
        return math.ceil(len(self.images) / self.batch_size)

    @property
    def image_count(self) -> int:
        """Images in one pass."""
        return len(self.images)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.images), generator=self.generator) if self.shuffle else None
        if order is not None:
            order = order.to(self.images.device)
        for start in range(0, len(self.images), self.batch_size):
            chosen = (
                slice(start, start + self.batch_size)
                if order is None
                else order[start : start + self.batch_size]
            )
            images, targets = self.images[chosen], self.targets[chosen]
            if self.augmentation is not None and self.generator is not None:
                images = self.augmentation(images, self.generator)
            yield self.normalisation(images), targets
