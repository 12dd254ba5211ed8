"""Stochastic depth: in training, whole residual branches are left out at random.

Huang, Sun, Liu, Sedra & Weinberger, "Deep Networks with Stochastic Depth", ECCV 2016, arXiv:1603.09382.
"""

import torch
from torch import Tensor, nn


def stochastic_depth(branch: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Set the branch of some images to zero and scale the others by 1 / (1 - drop_prob).

    Huang et al. (2016), equation 2. Differs from the paper: the draw is made for each image, not for the
    batch, and the scaling happens here instead of at test time, so that the expected value stays the same.

    Args:
        branch: (N, ...), output of a residual branch.
        drop_prob: probability that an image's branch is left out, in [0, 1).
        generator: source of randomness on the branch's device; ``None`` is torch's own.

    Returns:
        (N, ...): the branch, thinned.

    Raises:
        ValueError: if the probability is out of its range.

    Book: resnet
    """
    if not 0 <= drop_prob < 1:
        raise ValueError(f"drop_prob must lie in [0, 1), got drop_prob={drop_prob}")
    shape = (len(branch),) + (1,) * (branch.ndim - 1)
    keep = torch.empty(shape, dtype=branch.dtype, device=branch.device)
    keep.bernoulli_(1 - drop_prob, generator=generator)
    return branch * (keep / (1 - drop_prob))


class StochasticDepth(nn.Module):
    """Stochastic depth as a layer: works in training only; see :func:`stochastic_depth`.

    Args:
        drop_prob: probability that an image's branch is left out, in [0, 1).

    Raises:
        ValueError: if the probability is out of its range.
    """

    def __init__(self, drop_prob: float) -> None:
        super().__init__()
        if not 0 <= drop_prob < 1:
            raise ValueError(f"drop_prob must lie in [0, 1), got drop_prob={drop_prob}")
        self.drop_prob = drop_prob

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch (N, ...), in training with some images' rows at zero."""
        if not self.training or self.drop_prob == 0:
            return branch
        return stochastic_depth(branch, self.drop_prob)

    def extra_repr(self) -> str:
        """Return the setting, as ``repr`` shows it."""
        return f"drop_prob={self.drop_prob:g}"
