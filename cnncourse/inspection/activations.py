"""What the signal looks like on its way through a network: its size, its zeros and its saturation by layer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import chosen_layers, observed, output_tensor
from cnncourse.inspection.tables import LayerTable, short_number
from cnncourse.inspection.untouched import checked_images, run_shadowed, shadows, without_trace

FLAT = 0.05
"""A value is saturated where the slope of the activation is below this share of its steepest."""

# From the output y alone: sigmoid's slope is y (1 - y), at most 1/4; tanh's is 1 - y².
_SATURATED: dict[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Sigmoid: lambda y: y * (1 - y) < FLAT / 4,
    nn.Tanh: lambda y: 1 - y * y < FLAT,
    nn.ReLU6: lambda y: y == 6,
    nn.Hardsigmoid: lambda y: (y == 0) | (y == 1),
}


@dataclass(frozen=True)
class ActivationRow:
    """What one layer gave, over all images, channels and positions."""

    name: str
    """Dotted name in the model."""
    kind: str
    """Class of the layer."""
    call: int
    """Which use of the layer in the forward pass this is, from 1."""
    shape: tuple[int, ...]
    """Shape of the output, batch first."""
    mean: float
    """Mean."""
    std: float
    """Standard deviation (divided by the number of values)."""
    rms: float
    """Root of the mean square."""
    share_zero: float
    """Share of values that are exactly 0, in [0, 1]."""
    share_saturated: float | None
    """Share of values on a flat end of a sigmoid or tanh (slope below 5 % of the steepest) or at the upper
    end of a ReLU6; None for a layer that has no such end."""


@dataclass(frozen=True)
class ActivationStatistics(LayerTable[ActivationRow]):
    """Activations by layer, in the order of the forward pass; prints as a table."""

    rows: tuple[ActivationRow, ...]
    """The layers; one that is used twice has two rows."""
    training: bool
    """Whether the network ran in training mode, where batch norm normalises by the batch."""
    css_class: ClassVar[str] = "cnn-activations"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["layer", "kind", "mean", "std", "rms", "zero", "saturated"]
        rows = [
            [
                *(r.name, r.kind, short_number(r.mean), short_number(r.std), short_number(r.rms)),
                f"{r.share_zero:.1%}",
                "" if r.share_saturated is None else f"{r.share_saturated:.1%}",
            ]
            for r in self.rows
        ]
        return header, rows


def activation_statistics(
    model: nn.Module,
    images: Tensor,
    *,
    training: bool = True,
    layers: Sequence[str | nn.Module | type[nn.Module]] = (),
) -> ActivationStatistics:
    """Measure what every layer gives: mean, spread, zeros and saturation.

    Each layer is measured at the moment when it has answered, before an activation behind it works in
    place. The network's parameters, running averages, gradients and mode, and torch's random numbers, are
    as before.

    Args:
        model: network from (N, C, H, W), or from whatever shape ``images`` has.
        images: (N, …), N ≥ 1, as the model expects them.
        training: run as in training, where batch norm normalises by these images; False uses its running
            averages, which mean nothing yet in a fresh network.
        layers: names, modules or classes to measure, such as ``[nn.Conv2d, nn.Linear]``; when empty, all
            that contain no others.

    Returns:
        One row for each use of a layer.

    Raises:
        ValueError: if the images are none or not finite, a layer is not in the model or takes no part, or
            its values are not finite.

    Examples:
        >>> from torch import nn, tensor
        >>> rows = activation_statistics(nn.Sequential(nn.ReLU()), tensor([[-1.0, 0.0, 3.0, 4.0]]))
        >>> rows["0"].mean, rows["0"].share_zero
        (1.75, 0.5)
    """
    checked_images(images)
    modules = chosen_layers(model, layers)
    uses: list[tuple[str, tuple[int, ...]]] = []
    measured: list[Tensor] = []

    def measure(name: str, _inputs: Any, output: Any) -> None:
        values = output_tensor(name, output).detach()
        uses.append((name, tuple(values.shape)))
        measured.append(_measured(modules[name], values))

    parameters, buffers = shadows(model)
    with observed(modules, measure), without_trace(model, images, training=training), torch.no_grad():
        run_shadowed(model, {**parameters, **buffers}, images.detach().clone())
    if not measured:
        raise ValueError(
            f"no layer of {type(model).__name__} took part in the forward pass; name one that does"
        )
    calls: dict[str, int] = {}
    rows = []
    for (name, shape), numbers in zip(uses, torch.stack(measured).tolist(), strict=True):
        calls[name] = calls.get(name, 0) + 1
        mean, square, zero, saturated = numbers
        if not isfinite(square):
            raise ValueError(
                f"layer {name} gives values that are not finite, the first in the forward pass; look at its "
                "weights, scale the initialisation, or measure with model.double()"
            )
        rows.append(
            ActivationRow(
                *(name, type(modules[name]).__name__, calls[name], shape, mean),
                *(max(square - mean * mean, 0.0) ** 0.5, square**0.5, zero),
                None if saturated < 0 else saturated,
            )
        )
    return ActivationStatistics(tuple(rows), training)


def _measured(module: nn.Module, values: Tensor) -> Tensor:
    """Return mean, mean square, share of zeros and share of saturated values (-1: it cannot saturate)."""
    exact = values.double()
    flat = next((rule for kind, rule in _SATURATED.items() if isinstance(module, kind)), None)
    parts = [exact.mean(), exact.square().mean(), (values == 0).double().mean()]
    parts.append(exact.new_tensor(-1.0) if flat is None else flat(exact).double().mean())
    return torch.stack(parts)
