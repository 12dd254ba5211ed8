"""Batch normalisation over the images of all processes."""

from typing import Any

import torch
from torch import Tensor, distributed, nn


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation whose mean and variance come from the whole batch, not from one process's share.

    Ioffe & Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167, algorithm 1, with the sums over the batch
    added up over processes; Peng et al., "MegDet", CVPR 2018, arXiv:1711.07240, section 3.2. Written here because
    PyTorch's layer of this name runs on GPUs only. Without a process group it is ordinary batch normalisation.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"batch normalisation takes (N, C, ...), got {tuple(input.shape)}")

    def forward(self, features: Tensor) -> Tensor:
        """Normalise each channel.

        Args:
            features: (N, C, ...), this process's share.

        Returns:
            (N, C, ...).
        """
        self._check_input_dim(features)
        if not self.training or not distributed.is_initialized() or distributed.get_world_size() == 1:
            return super().forward(features)
        wide = features.float() if features.dtype in (torch.bfloat16, torch.float16) else features
        axes = [axis for axis in range(features.ndim) if axis != 1]
        own = wide.new_full((1,), features.numel() / features.shape[1])
        sums = _AddUp.apply(torch.cat([wide.sum(axes), wide.square().sum(axes), own]))
        total, squares, count = sums[: self.num_features], sums[self.num_features : -1], sums[-1]
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        self._remember(mean.detach(), variance.detach() * count / (count - 1))
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        shift = -mean * scale if self.bias is None else self.bias - mean * scale
        shape = (1, -1, *[1] * (features.ndim - 2))
        normalised: Tensor = (wide * scale.view(shape) + shift.view(shape)).to(features.dtype)
        return normalised

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), momentum)


def synchronise_batch_norms(model: nn.Module) -> int:
    """Replace every batch normalisation of a network, in place; parameters, statistics and their names stay.

    Args:
        model: the network, before it is handed to the optimiser or wrapped.

    Returns:
        Number of layers replaced.
    """
    replaced = 0
    for name, child in model.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            twin = SyncBatchNorm(
                child.num_features, child.eps, child.momentum, child.affine, child.track_running_stats
            )
            twin.__dict__["_parameters"], twin.__dict__["_buffers"] = child._parameters, child._buffers
            twin.train(child.training)
            setattr(model, name, twin)
            replaced += 1
        else:
            replaced += synchronise_batch_norms(child)
    return replaced


class _AddUp(torch.autograd.Function):
    """Sum over processes; what flows back is summed too, as every process used the sum."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total
