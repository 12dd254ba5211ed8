"""The moving average of the weights."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class MovingAverage:
    """A copy of a network whose weights are the exponential moving average of the network's.

    Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 30(4), 1992;
    with an exponential window as in Szegedy et al., "Rethinking the Inception Architecture", 2016,
    arXiv:1512.00567, section 8. The first updates forget faster, with decay (1 + t)/(10 + t), so that
    the first weights do not linger. Buffers (the statistics of batch normalisation) are copied, not averaged.

    Args:
        model: the network in training.
        decay: share of the average that an update keeps, 0 < decay < 1.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the present weights.

        Args:
            model: the network in training.
        """
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages: list[Tensor] = [p.data for p in self.model.parameters()]
        torch._foreach_lerp_(averages, [p.data for p in model.parameters()], 1 - decay)
        for own, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(theirs)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that :meth:`load_state_dict` needs."""
        return {"updates": self.updates, "model": self.model.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved average.

        Args:
            state: what :meth:`state_dict` returned.
        """
        self.updates = int(state["updates"])
        self.model.load_state_dict(state["model"])
