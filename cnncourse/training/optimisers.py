"""Optimisers, and which parameters decay."""

from typing import Any

import torch
from torch import nn

from cnncourse.training.config import TrainConfig


def parameter_groups(
    model: nn.Module, weight_decay: float, *, decay_all: bool = True
) -> list[dict[str, Any]]:
    """Sort the trainable parameters into those that decay and those that do not.

    Parameters with one axis or none are biases and the factors of normalisations; sparing them is the usual
    practice since Goyal et al., "Accurate, Large Minibatch SGD", 2017, arXiv:1706.02677, section 5.3 (for
    the normalisations) and He et al., "Bag of Tricks", CVPR 2019, arXiv:1812.01187, section 3.1.

    Args:
        model: parameters with ``requires_grad=False`` are left out.
        weight_decay: of the parameters that decay, at least 0.
        decay_all: let every parameter decay.

    Returns:
        One or two groups for an optimiser, each with ``params`` and ``weight_decay``.

    Raises:
        ValueError: if no parameter is trainable.
    """
    trainable = [p for p in model.parameters() if p.requires_grad]
    if not trainable:
        raise ValueError(
            f"{type(model).__name__} has no parameter with requires_grad=True; unfreeze at least the last layer"
        )
    decaying = [p for p in trainable if decay_all or p.ndim > 1]
    spared = [p for p in trainable if not (decay_all or p.ndim > 1)]
    groups = [(decaying, weight_decay), (spared, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


def build_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Return the configured optimiser over the trainable parameters of a network.

    The update is computed in one kernel for all parameters (``fused``) where PyTorch has one, and
    with the same arithmetic elsewhere.

    Args:
        model: the network, already on its device.
        config: the settings.

    Returns:
        SGD (Nesterov's momentum; Sutskever et al., ICML 2013) or AdamW (Loshchilov & Hutter, ICLR 2019).

    Raises:
        ValueError: if no parameter is trainable.
    """
    groups = parameter_groups(model, config.weight_decay, decay_all=config.decay_all)
    parameters = [p for group in groups for p in group["params"]]
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda", "mps") for p in parameters)
    if config.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=config.peak_lr, fused=fused)
    return torch.optim.SGD(
        groups, lr=config.peak_lr, momentum=config.momentum, nesterov=config.momentum > 0, fused=fused
    )
