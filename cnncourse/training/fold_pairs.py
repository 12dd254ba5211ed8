"""Find the batch norms that do nothing but scale a layer's output, and fold them into it.

No symbolic tracing: networks of this course check the shapes they are given, which a tracer cannot follow. One
forward pass is watched instead. A batch norm can be folded if the very tensor a convolution returned is what it
reads, if no other operation reads that tensor, and if both layers ran once.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnncourse.layers import SameConv2d, batch_norm_scale_and_shift, fold_batch_norm
from cnncourse.training.sync_batch_norm import SyncBatchNorm

LINEAR_LAYERS = (nn.Conv2d, SameConv2d, nn.Linear)
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm, SyncBatchNorm)
"""Exact types: a subclass may compute something else."""


class Pair(NamedTuple):
    """A layer and the batch norm that alone reads its output, by dotted name."""

    layer: str
    norm: str


class _Readers(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the operations that read each watched tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.watched: dict[int, tuple[Tensor, str]] = {}  # the tensors too, so that no number is given twice
        self.count: Counter[int] = Counter()

    def watch(self, tensor: Tensor, name: str) -> None:
        self.watched[id(tensor)] = (tensor, name)

    def __torch_dispatch__(
        self, function: Callable[..., Any], _types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        self.count.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if id(leaf) in self.watched)
        return function(*args, **kwargs)


@torch.no_grad()
def foldable_pairs(model: nn.Module, example: Tensor) -> list[Pair]:
    """Return the pairs of a layer and a batch norm that can become one layer.

    Ioffe & Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167: in eval the normalisation is a fixed affine
    map, algorithm 2.

    Args:
        model: network in eval mode; every hook is gone again afterwards, also after an error.
        example: (N, C, H, W), one or two images.

    Returns:
        The pairs, in the order in which the batch norms ran.
    """
    layers = {n: m for n, m in model.named_modules() if type(m) in LINEAR_LAYERS and _is_plain(m)}
    norms = {
        n: m
        for n, m in model.named_modules()
        if type(m) in BATCH_NORMS and _is_plain(m) and m.running_mean is not None
    }
    runs: Counter[str] = Counter()
    candidates: list[tuple[Pair, int]] = []
    readers = _Readers()

    def after_layer(name: str, _layer: nn.Module, _inputs: Any, output: Tensor) -> None:
        runs[name] += 1
        if output.ndim in (2, 4):  # else a fully connected layer whose channels are not axis 1
            readers.watch(output, name)

    def before_norm(name: str, _norm: nn.Module, inputs: tuple[Tensor]) -> None:
        runs[name] += 1
        if id(inputs[0]) in readers.watched:
            candidates.append((Pair(readers.watched[id(inputs[0])][1], name), id(inputs[0])))

    with ExitStack() as stack:
        for name, layer in layers.items():
            stack.callback(layer.register_forward_hook(partial(after_layer, name)).remove)
        for name, norm in norms.items():
            stack.callback(norm.register_forward_pre_hook(partial(before_norm, name)).remove)
        with readers:
            model(example)
    once = [pair for pair, tensor in candidates if readers.count[tensor] == 1]
    return [pair for pair in once if runs[pair.layer] == runs[pair.norm] == 1]


def fold_pairs(model: nn.Module, pairs: list[Pair]) -> None:
    """Fold batch norms in place; ``nn.Identity`` takes their places, under every name they have.

    The layers stay the objects they are, so that a layer which the network also keeps outside of PyTorch's registry
    changes there too. A batch norm kept in such a place cannot be replaced: compare the logits afterwards.

    Args:
        model: network in eval mode.
        pairs: from :func:`foldable_pairs`.
    """
    for pair in pairs:
        layer, norm = model.get_submodule(pair.layer), model.get_submodule(pair.norm)
        layer.weight, layer.bias = _folded_parameters(layer, norm)
        places = [name for name, module in model.named_modules(remove_duplicate=False) if module is norm]
        for place in places:
            parent, _, own_name = place.rpartition(".")
            setattr(model.get_submodule(parent), own_name, nn.Identity())


def _folded_parameters(layer: nn.Module, norm: nn.Module) -> tuple[nn.Parameter, nn.Parameter]:
    """Return weight and bias of one layer that does what both do."""
    if isinstance(layer, nn.Conv2d):
        folded = fold_batch_norm(layer, norm)  # type: ignore[arg-type]
        assert folded.bias is not None
        return cast("nn.Parameter", folded.weight), cast("nn.Parameter", folded.bias)
    assert isinstance(layer, nn.Linear)
    scale, shift = batch_norm_scale_and_shift(norm)  # type: ignore[arg-type]
    weight = layer.weight.detach().double() * scale[:, None]
    bias = shift if layer.bias is None else scale * layer.bias.detach().double() + shift
    learns = layer.weight.requires_grad
    dtype = layer.weight.dtype
    return nn.Parameter(weight.to(dtype), learns), nn.Parameter(bias.to(dtype), learns)


def _is_plain(module: nn.Module) -> bool:
    """Return whether nobody hooked into a layer: a hook would see another function, or recompute the weights."""
    return not module._forward_hooks and not module._forward_pre_hooks
