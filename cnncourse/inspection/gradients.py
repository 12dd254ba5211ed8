"""What comes back: the size of the gradient at every layer's output and at its weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnncourse.inspection.hooks import chosen_layers, observed, output_tensor
from cnncourse.inspection.tables import LayerTable, short_number
from cnncourse.inspection.untouched import checked_images, run_shadowed, shadows, without_trace


@dataclass(frozen=True)
class GradientRow:
    """What backpropagation brings to one layer."""

    name: str
    """Dotted name in the model."""
    kind: str
    """Class of the layer."""
    call: int
    """Which use of the layer in the forward pass this is, from 1."""
    output_gradient_rms: float
    """Root mean square of the loss's gradient at the layer's output, before anything behind it works in
    place; 0 where none arrives."""
    weight_gradient_norm: float | None
    """Euclidean norm of the gradient of the layer's parameters, biases left out, summed over its uses; None
    for a layer without."""
    weight_norm: float | None
    """Euclidean norm of these parameters."""

    @property
    def relative_gradient(self) -> float | None:
        """Norm of the weights' gradient as a share of their own norm; None where that is 0 or missing."""
        if not self.weight_norm or self.weight_gradient_norm is None:
            return None
        return self.weight_gradient_norm / self.weight_norm


@dataclass(frozen=True)
class GradientStatistics(LayerTable[GradientRow]):
    """Gradients by layer, in the order of the forward pass; prints as a table."""

    rows: tuple[GradientRow, ...]
    """The layers; one that is used twice has two rows."""
    loss: float
    """The loss whose gradient this is."""
    training: bool
    """Whether the network ran in training mode, where batch norm normalises by the batch."""
    css_class: ClassVar[str] = "cnn-gradients"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["layer", "kind", "output gradient (rms)", "weight gradient", "weight", "ratio"]
        rows = [
            [
                *(r.name, r.kind, short_number(r.output_gradient_rms)),
                *map(short_number, (r.weight_gradient_norm, r.weight_norm, r.relative_gradient)),
            ]
            for r in self.rows
        ]
        return header, rows


def gradient_statistics(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    loss: Callable[[Any, Tensor], Tensor] = cross_entropy,
    *,
    training: bool = True,
    layers: Sequence[str | nn.Module | type[nn.Module]] = (),
) -> GradientStatistics:
    """Measure the gradient that one backward pass brings to every layer.

    Parameters that are frozen are measured like the others. The network's parameters, their ``grad``,
    running averages and mode, and torch's random numbers, are as before.

    Args:
        model: network from (N, C, H, W), or from whatever shape ``images`` has.
        images: (N, …), N ≥ 1, as the model expects them.
        targets: (N,) classes or (N, K) shares, as the loss expects them.
        loss: from the model's output and the targets to one number; the mean over the batch is usual, so
            that gradients at the outputs shrink like 1/N.
        training: run as in training, where batch norm normalises by these images.
        layers: names, modules or classes to measure, such as ``[nn.Conv2d, nn.Linear]``; when empty, all
            that contain no others.

    Returns:
        One row for each use of a layer.

    Raises:
        ValueError: if images and targets do not fit, a layer is not in the model, or the loss is not one
            finite number that depends on the network, or a gradient is not finite.

    Examples:
        >>> import torch
        >>> model = torch.nn.Linear(2, 1, bias=False)
        >>> x, y = torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0]])
        >>> row = gradient_statistics(model, x, y, lambda out, y: (out * y).sum()).rows[0]
        >>> row.output_gradient_rms, row.weight_gradient_norm
        (1.0, 5.0)

    Book: gradients, resnet
    """
    checked_images(images)
    if len(targets) != len(images):
        raise ValueError(f"each image needs a target, got {len(images)} images and {len(targets)} targets")
    modules = chosen_layers(model, layers)
    uses: list[str] = []
    arrived: dict[int, Tensor] = {}

    def keep(place: int, gradient: Tensor) -> None:
        arrived[place] = gradient.detach().double().square().mean()

    def listen(name: str, _inputs: Any, output: Any) -> None:
        tensor, place = output_tensor(name, output), len(uses)
        uses.append(name)
        if tensor.requires_grad:
            # A tensor's hook is given the gradient at this moment's value, whatever changes it in place later.
            tensor.register_hook(lambda grad: keep(place, grad))  # type: ignore[no-untyped-call]

    parameters, buffers = shadows(model)
    pixels = images.detach().clone().requires_grad_(True)
    sources = [pixels, *(tensor for tensor in parameters.values() if tensor.requires_grad)]
    with without_trace(model, images, training=training), torch.enable_grad():
        with observed(modules, listen):
            output = run_shadowed(model, {**parameters, **buffers}, pixels.clone())
        value = _checked_loss(loss, output, targets)
        gradients = torch.autograd.grad(value, sources, allow_unused=True)
    if not uses:
        raise ValueError(
            f"no layer of {type(model).__name__} took part in the forward pass; name one that does"
        )
    of = {id(source): gradient for source, gradient in zip(sources, gradients, strict=True)}
    squares = {key: of[id(shadow)] for key, shadow in parameters.items() if id(shadow) in of}
    owners = {id(parameter): key for key, parameter in model.named_parameters()}
    calls: dict[str, int] = {}
    rows = []
    for place, name in enumerate(uses):
        calls[name] = calls.get(name, 0) + 1
        keys = [
            owners[id(p)]
            for p_name, p in modules[name].named_parameters()
            if "bias" not in p_name.split(".")[-1]
        ]
        rms = float(arrived[place]) ** 0.5 if place in arrived else 0.0
        received = _norm([squares.get(key) for key in keys]) if keys else None
        weight = _norm([parameters[key] for key in keys]) if keys else None
        if not (isfinite(rms) and isfinite(received or 0.0)):
            raise ValueError(
                f"the gradient at layer {name} is not finite; scale the initialisation or measure with "
                "model.double()"
            )
        rows.append(GradientRow(name, type(modules[name]).__name__, calls[name], rms, received, weight))
    return GradientStatistics(tuple(rows), float(value.detach()), training)


def _checked_loss(loss: Callable[[Any, Tensor], Tensor], output: Any, targets: Tensor) -> Tensor:
    """Return the loss, or say what is wrong with it."""
    if loss is cross_entropy and not isinstance(output, Tensor):
        raise ValueError(
            f"cross_entropy needs a tensor of logits, but the model returns {type(output).__name__}; pass a loss "
            "that takes it"
        )
    value = loss(output, targets)
    if value.ndim != 0 or not value.requires_grad:
        raise ValueError(
            "the loss must be one number that depends on the network, got shape "
            f"{tuple(value.shape)}{'' if value.requires_grad else ' without a gradient'}"
        )
    if not bool(value.isfinite()):
        raise ValueError(
            f"the loss must be finite, got {float(value.detach())}; look at activation_statistics"
        )
    return value


def _norm(tensors: Sequence[Tensor | None]) -> float:
    """Return the Euclidean norm of all numbers of some tensors; None counts as zeros."""
    total = [tensor.detach().double().square().sum() for tensor in tensors if tensor is not None]
    return float(torch.stack(total).sum()) ** 0.5 if total else 0.0
