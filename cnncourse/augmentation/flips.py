"""Left and right exchanged: at random, or in every other pass."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cnncourse.augmentation.pixels import check_rows, is_channels_last
from cnncourse.augmentation.steps import BatchShape, Drawn


def flip(images: Tensor, flipped: Tensor) -> Tensor:
    """Exchange left and right in some of the images.

    Args:
        images: (N, C, H, W), of any type.
        flipped: (N,), bool: which ones.

    Returns:
        (N, C, H, W), a new tensor.

    Raises:
        ValueError: if ``flipped`` is not bool or has another number of rows.
    """
    check_rows(images, flipped=flipped)
    if flipped.dtype != torch.bool:
        raise ValueError(f"flipped must be bool, got {flipped.dtype}; write flipped > 0")
    channels_last = is_channels_last(images)
    pixels = images.permute(0, 2, 3, 1) if channels_last else images
    # Whole images are copied out of both versions: several times faster on a CPU than choosing pixel by pixel.
    both = torch.cat([pixels, pixels.flip(2 if channels_last else 3)])
    rows = torch.arange(len(images)) + len(images) * flipped.cpu()
    chosen = both.index_select(0, rows.to(images.device, non_blocking=True))
    return chosen.permute(0, 3, 1, 2) if channels_last else chosen


def first_flips(seed: int, indices: Tensor) -> Tensor:
    """Say by a hash which images alternating flip turns round in the first pass.

    The hash is the finaliser of SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators",
    OOPSLA 2014, figure 16), over the index and over the seed.

    Args:
        seed: any whole number of at most 64 bits.
        indices: (N,), int64, at least 0: numbers of the images in their data set.

    Returns:
        (N,), bool.
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is meant
        start = _splitmix(np.array([seed % 2**64], dtype=np.uint64))
        hashes = _splitmix(start + indices.cpu().numpy().astype(np.uint64))
    return torch.from_numpy((hashes >> np.uint64(63)).astype(bool))


def _splitmix(
    state: "np.ndarray[tuple[int], np.dtype[np.uint64]]",
) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    mixed = state + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True)
class Flip:
    """Exchange left and right in each image with a certain probability.

    Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks", NIPS 2012,
    section 4.1. Differs from the paper: none.

    Book: alexnet
    """

    prob: float = 0.5
    """Probability that an image is flipped, in [0, 1]."""

    def __post_init__(self) -> None:
        if not 0 <= self.prob <= 1:
            raise ValueError(f"prob must lie in [0, 1], got prob={self.prob}")

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Toss a coin for each image.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``flipped``: (N,), bool.
        """
        return {"flipped": torch.rand(shape.count, generator=generator) < self.prob}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Flip the images that the coin chose; see :func:`flip`.

        Args:
            images: (N, C, H, W), of any type.
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W).
        """
        return flip(images, drawn["flipped"])


@dataclass(frozen=True)
class AlternatingFlip:
    """Flip half of the images in the first pass, the other half in the second, and so on in turn.

    Any two passes in a row show each image both ways, where coins would show half of the images the same way twice.

    Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU", 2024, section 3.6, arXiv:2404.00498.
    Differs from the paper: the first pass goes by SplitMix64 of seed and index, not by MD5.
    """

    seed: int = 0
    """Seed of the hash that chooses the images of the first pass, of at most 64 bits."""

    def __post_init__(self) -> None:
        if not -(2**63) <= self.seed < 2**64:
            raise ValueError(f"seed must have at most 64 bits, got seed={self.seed}")

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Work out whose turn it is; the generator is not used and does not advance.

        Args:
            shape: of the batch, with ``indices`` and ``epoch``.
            generator: not used.

        Returns:
            ``flipped``: (N,), bool.

        Raises:
            ValueError: if the shape has no indices.
        """
        if shape.indices is None:
            raise ValueError(
                "AlternatingFlip must know which image is which, got a BatchShape without indices; "
                "give indices and epoch, or use Flip"
            )
        return {"flipped": first_flips(self.seed, shape.indices) ^ (shape.epoch % 2 == 0)}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Flip the images whose turn it is; see :func:`flip`.

        Args:
            images: (N, C, H, W), of any type.
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W).
        """
        return flip(images, drawn["flipped"])
