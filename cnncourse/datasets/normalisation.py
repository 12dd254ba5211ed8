"""Mean and standard deviation of each channel: measured on a data set, then taken out of every batch."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.datasets.decoding import centred, decode
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import LabelledImages

_IMAGES_AT_ONCE = 4096


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
    def of(
        cls, data: LabelledImages | FolderImages, *, at_most: int = 1000, seed: int = 0
    ) -> "Normalisation":
        """Measure a data set, always the training images.

        Images in memory are measured all and exactly. Of images in files a sample drawn with ``seed`` is
        decoded, scaled to a short side of 256 pixels and cut to the middle 224 x 224, as networks will see
        them; the sampled images weigh the same.

        Args:
            data: at least one image.
            at_most: images to decode, at least 1; it matters for images in files only.
            seed: of the choice of these.

        Returns:
            Mean and standard deviation over images and pixels.

        Raises:
            ValueError: if there are no images, or a channel is the same everywhere.
            ImageError: if a chosen file cannot be decoded.
        """
        if len(data) == 0:
            raise ValueError("a normalisation is measured on at least one image, got none")
        if at_most < 1:
            raise ValueError(f"at_most must be at least 1, got {at_most=}")
        if isinstance(data, LabelledImages):
            starts = range(0, len(data), _IMAGES_AT_ONCE)
            parts = (data.images[start : start + _IMAGES_AT_ONCE] for start in starts)
        else:
            order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
            chosen = (data.paths[index] for index in order[:at_most].tolist())
            parts = (centred(decode(path), 224, 256)[None] for path in chosen)
        counts = torch.stack([_level_counts(part) for part in parts]).sum(dim=0)
        levels = torch.arange(256, dtype=torch.float64) / 255
        weights = counts.double() / counts.sum(dim=1, keepdim=True)
        mean = weights @ levels
        std = (weights @ levels**2 - mean**2).clamp(min=0).sqrt()
        return cls(tuple(mean.tolist()), tuple(std.tolist()))

    def __call__(
        self, images: Tensor, *, dtype: torch.dtype = torch.float32, channels_last: bool = False
    ) -> Tensor:
        """Turn uint8 images into floats with mean about 0 and standard deviation about 1.

        The arithmetic is float32 whatever the result's type; the rounding to it comes last.

        Args:
            images: (N, C, H, W), uint8.
            dtype: of the result, a floating-point type.
            channels_last: lay the channels of a pixel side by side in memory; the values stay the same.

        Returns:
            (N, C, H, W), of ``dtype``.
        """
        mean, std = (levels.view(-1, 1, 1).to(images.device) for levels in self.levels())
        layout = torch.channels_last if channels_last else torch.contiguous_format
        return ((images.float() - mean) / std).to(dtype=dtype, memory_format=layout)

    def levels(self) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation in the units of uint8 images, each (C,) float32."""
        return torch.tensor(self.mean) * 255, torch.tensor(self.std) * 255


def _level_counts(images: Tensor) -> Tensor:
    """Return how often each level occurs: (N, C, H, W) uint8 to (C, 256) int64."""
    return torch.stack(
        [torch.bincount(channel.reshape(-1).long(), minlength=256) for channel in images.transpose(0, 1)]
    )
