"""Parts of a data set that share no image."""

from collections.abc import Sequence

import torch
from torch import Tensor


def stratified_split(
    targets: Tensor, fractions: Sequence[float], generator: torch.Generator | None = None
) -> tuple[Tensor, ...]:
    """Split the indices of a data set at random, every class in the same proportions.

    Within a class the images are put in a random order and cut at the cumulated fractions, rounded to whole
    images; a class of very few images may therefore be absent from a small part.

    Args:
        targets: (N,), int64, class indices.
        fractions: share of each part, above 0, together 1.
        generator: source of randomness, on the CPU; ``None`` is PyTorch's global one.

    Returns:
        For each fraction the indices of its part, int64, ascending: disjoint, and together 0 to N - 1.

    Raises:
        ValueError: if the fractions are out of their range or leave a part empty.
    """
    if targets.ndim != 1 or targets.dtype != torch.int64:
        raise ValueError(f"targets must be int64 of shape (N,), got {targets.dtype} {tuple(targets.shape)}")
    if len(fractions) == 2 and not 0 < fractions[0] < 1:
        raise ValueError(f"fraction must lie strictly between 0 and 1, got {fractions[0]}")
    if not fractions or not min(fractions) > 0 or abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions must be above 0 and add up to 1, got {tuple(fractions)}")
    part_of = torch.full((len(targets),), len(fractions) - 1, dtype=torch.int64)
    for label in sorted(set(targets.tolist())):
        members = (targets == label).nonzero().squeeze(1)
        order = members[torch.randperm(len(members), generator=generator)]
        begin, reached = 0, 0.0
        for part, fraction in enumerate(fractions[:-1]):
            reached += fraction
            end = round(reached * len(members))
            part_of[order[begin:end]] = part
            begin = end
    parts = tuple((part_of == part).nonzero().squeeze(1) for part in range(len(fractions)))
    for fraction, indices in zip(fractions, parts, strict=True):
        if not len(indices):
            raise ValueError(
                f"fraction={fraction} of {len(targets)} images leaves one part empty; take more images"
            )
    return parts
