"""Two images and their labels made into one: blended, or one pasted into the other."""

import math
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from cnncourse.augmentation.cutout import inside
from cnncourse.augmentation.pixels import a_row_each, check_rows, choose
from cnncourse.augmentation.steps import BatchShape, Drawn


class Mixing(Protocol):
    """A random change of images that changes their labels too."""

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw partners and shares; the only random part."""
        ...

    def apply(
        self, images: Tensor, targets: Tensor, drawn: Drawn, num_classes: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return mixed images and soft targets."""
        ...


def soft_targets(targets: Tensor, num_classes: int | None = None) -> Tensor:
    """Return labels as rows of probabilities.

    Args:
        targets: (N,), class indices in [0, K), or (N, K), floats that are returned as they are.
        num_classes: K; needed for class indices.

    Returns:
        (N, K), float32 for class indices.

    Raises:
        ValueError: if K is missing or does not fit, or a class index on the CPU is out of range.
    """
    if targets.ndim == 2 and targets.is_floating_point():
        if num_classes not in (None, targets.shape[1]):
            raise ValueError(
                f"targets must have a column for each class, got {targets.shape[1]} for num_classes={num_classes}"
            )
        return targets
    if targets.ndim != 1 or targets.is_floating_point():
        raise ValueError(
            "targets must be class indices of shape (N,) or probabilities of shape (N, K), got "
            f"{targets.dtype} of shape {tuple(targets.shape)}"
        )
    if num_classes is None:
        raise ValueError("class indices become rows of probabilities only with num_classes; give num_classes")
    # On an accelerator asking would wait for the device; there scatter_ stops with an error of its own.
    if targets.device.type == "cpu" and len(targets):
        least, largest = targets.aminmax()
        if least < 0 or largest >= num_classes:
            raise ValueError(
                f"class indices must lie in [0, {num_classes}), got {int(least)} to {int(largest)}"
            )
    rows = torch.zeros(len(targets), num_classes, device=targets.device)
    return rows.scatter_(1, targets.long()[:, None], 1)


def mixup(images: Tensor, targets: Tensor, partners: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Blend each image and its label with another one's.

    Args:
        images: (N, C, H, W), floats.
        targets: (N, K), probabilities.
        partners: (N,), int64 in [0, N): which image is blended in.
        shares: (N,), in [0, 1]: how much stays of the image itself.

    Returns:
        Images and targets, each ``share * own + (1 - share) * partner's``.

    Raises:
        ValueError: if the images are not floats, or shapes do not fit.
    """
    _check_pairs(images, targets, partners=partners, shares=shares)
    if not images.is_floating_point():
        raise ValueError(f"images must be floats to be blended, got {images.dtype}; mix after normalisation")
    others = partners.to(images.device, non_blocking=True)
    # Shares of 16-bit images stay in 32 bits, so that image and label are mixed alike.
    dtype = torch.promote_types(images.dtype, torch.float32)
    kept = a_row_each(shares, images.new_empty(0, dtype=dtype))
    mixed = images * kept + images.index_select(0, others) * (1 - kept)
    return mixed.to(images.dtype), _blend_targets(targets, partners, shares)


def cutmix(images: Tensor, targets: Tensor, partners: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Paste a box of another image into each image, at the same place, and mix the labels by area.

    Args:
        images: (N, C, H, W), of any type.
        targets: (N, K), probabilities.
        partners: (N,), int64 in [0, N): where the box comes from.
        boxes: (N, 4), int64: first row, first column, height and width; may hang over the edge.

    Returns:
        Images; and targets, ``share * own + (1 - share) * partner's`` with the share of the image's own pixels.

    Raises:
        ValueError: if shapes do not fit.
    """
    _check_pairs(images, targets, partners=partners, boxes=boxes)
    pasted = inside(boxes, *images.shape[2:]).to(images.device, non_blocking=True)
    others = partners.to(images.device, non_blocking=True)
    mixed = choose(pasted, images.index_select(0, others), images)
    return mixed, _blend_targets(targets, partners, own_shares(boxes, *images.shape[2:]))


def own_shares(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return the share of the pixels outside the box: CutMix's lambda, exactly.

    Args:
        boxes: (N, 4), int64: first row, first column, height and width; may hang over the edge.
        height: of the images in pixels.
        width: of the images in pixels.

    Returns:
        (N,), float64, in [0, 1].
    """
    full = torch.tensor([height, width], device=boxes.device)
    starts = boxes[:, :2].clamp(min=0)
    ends = torch.minimum(boxes[:, :2] + boxes[:, 2:], full)
    return 1 - (ends - starts).clamp(min=0).prod(1).double() / (height * width)


def _check_pairs(images: Tensor, targets: Tensor, **drawn: Tensor) -> None:
    check_rows(images, targets=targets, **drawn)
    if targets.ndim != 2 or not targets.is_floating_point():
        raise ValueError(
            f"targets must be probabilities of shape (N, K), got {targets.dtype} of shape {tuple(targets.shape)}; "
            "soft_targets makes them"
        )


def _blend_targets(targets: Tensor, partners: Tensor, shares: Tensor) -> Tensor:
    kept = shares.to(targets.device, targets.dtype, non_blocking=True)[:, None]
    return targets * kept + targets[partners.to(targets.device, non_blocking=True)] * (1 - kept)


def _draw_pairs(
    count: int, alpha: float, per_image: bool, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return partners, a permutation, and shares from Beta(alpha, alpha), float64, (N,) each."""
    partners = torch.randperm(count, generator=generator)
    # PyTorch's Beta takes no generator; NumPy's takes a seed that ours draws.
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator))
    shares = np.random.Generator(np.random.PCG64(seed)).beta(alpha, alpha, count if per_image else 1)
    return partners, torch.from_numpy(shares).expand(count).clone()


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha must be above 0 and finite, got alpha={alpha}; leave mixing out for none")


@dataclass(frozen=True)
class MixUp:
    """Blend each image of a batch, and its label, with another of the same batch.

    Zhang, Cissé, Dauphin & Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018, section 2,
    arXiv:1710.09412. Differs from the paper: none; as in its code, partners come from the same batch, shuffled, and
    one share serves the whole batch unless ``per_image`` is set. An image may be its own partner; alone, it is.
    """

    alpha: float = 0.2
    """Both parameters of the beta distribution of the share, above 0; 0.2 for ImageNet, 1 for CIFAR-10 in the paper."""
    per_image: bool = False
    """Draw a share for each image instead of one a batch."""
    mixes_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw partners and shares.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``partners``: (N,), int64, a permutation; ``shares``: (N,), float64 in [0, 1].
        """
        partners, shares = _draw_pairs(shape.count, self.alpha, self.per_image, generator)
        return {"partners": partners, "shares": shares}

    def apply(
        self, images: Tensor, targets: Tensor, drawn: Drawn, num_classes: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Blend; see :func:`mixup`.

        Args:
            images: (N, C, H, W), floats.
            targets: (N,), class indices, or (N, K), probabilities.
            drawn: from :meth:`draw`.
            num_classes: K; needed for class indices.

        Returns:
            Images, and targets (N, K).
        """
        return mixup(images, soft_targets(targets, num_classes), drawn["partners"], drawn["shares"])


@dataclass(frozen=True)
class CutMix:
    """Paste a box of another image of the same batch into each image, and mix the labels by area.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", ICCV 2019,
    section 3.1, arXiv:1905.04899. Differs from the paper: none; as in its code, the box is cut off at the edge, the
    share is then that of the pixels, and one box serves the whole batch unless ``per_image`` is set.
    """

    alpha: float = 1.0
    """Both parameters of the beta distribution of the share before the box is cut off, above 0; 1 in the paper."""
    per_image: bool = False
    """Draw a box for each image instead of one a batch."""
    mixes_targets: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw partners and boxes: a share, then a centre, evenly among all pixels.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``partners``: (N,), int64, a permutation; ``boxes``: (N, 4), int64: first row, first column, height and
            width, cut off at the edges.
        """
        partners, shares = _draw_pairs(shape.count, self.alpha, self.per_image, generator)
        full = torch.tensor([shape.height, shape.width])
        sizes = ((1 - shares).sqrt()[:, None] * full).long()
        places = torch.rand(shape.count if self.per_image else 1, 2, dtype=torch.float64, generator=generator)
        starts = (places * full).long() - sizes // 2
        ends = torch.minimum(starts + sizes, full)
        starts = starts.clamp(min=0)
        return {"partners": partners, "boxes": torch.cat([starts, ends - starts], 1)}

    def apply(
        self, images: Tensor, targets: Tensor, drawn: Drawn, num_classes: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Paste; see :func:`cutmix`.

        Args:
            images: (N, C, H, W), of any type.
            targets: (N,), class indices, or (N, K), probabilities.
            drawn: from :meth:`draw`.
            num_classes: K; needed for class indices.

        Returns:
            Images, and targets (N, K).
        """
        return cutmix(images, soft_targets(targets, num_classes), drawn["partners"], drawn["boxes"])
