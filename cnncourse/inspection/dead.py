"""Units that never answer: zero for every image and at every position."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import chosen_layers, observed, output_tensor
from cnncourse.inspection.tables import LayerTable
from cnncourse.inspection.untouched import checked_images, run_shadowed, shadows, without_trace

RELU_LIKE = (nn.ReLU, nn.ReLU6)
"""Activations that are exactly 0 with slope 0 on a whole half-line: a unit that stays there learns nothing."""


@dataclass(frozen=True)
class DeadUnitsRow:
    """One use of a layer."""

    name: str
    """Dotted name in the model."""
    kind: str
    """Class of the layer."""
    call: int
    """Which use of the layer in the forward pass this is, from 1."""
    units: int
    """Channels of a map, or numbers of a vector."""
    dead_units: tuple[int, ...]
    """Which of them were 0 for every image and at every position, from 0."""

    @property
    def dead(self) -> int:
        """How many units are dead."""
        return len(self.dead_units)

    @property
    def share(self) -> float:
        """Dead units as a share of all, in [0, 1]."""
        return self.dead / self.units


@dataclass(frozen=True)
class DeadUnits(LayerTable[DeadUnitsRow]):
    """Dead units by layer, in the order of the forward pass; prints as a table."""

    rows: tuple[DeadUnitsRow, ...]
    """The layers; one that is used twice has two rows."""
    images: int
    """Number of images that were shown."""
    css_class: ClassVar[str] = "cnn-dead-units"

    @property
    def units(self) -> int:
        """Units of all layers."""
        return sum(row.units for row in self.rows)

    @property
    def dead(self) -> int:
        """Dead units of all layers."""
        return sum(row.dead for row in self.rows)

    @property
    def share(self) -> float:
        """Dead units as a share of all, in [0, 1]."""
        return self.dead / self.units

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [[r.name, r.kind, f"{r.units:,}", f"{r.dead:,}", f"{r.share:.1%}"] for r in self.rows]
        total = [f"{self.images:,} images", "", f"{self.units:,}", f"{self.dead:,}", f"{self.share:.1%}"]
        return ["layer", "kind", "units", "dead", "share"], [*rows, total]


def dead_units(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    *,
    training: bool = False,
    layers: Sequence[str | nn.Module | type[nn.Module]] = (),
) -> DeadUnits:
    """Find the units of ReLU layers that are zero for every image and at every position.

    No gradient reaches such a unit from these images. The network's parameters, running averages and mode,
    and torch's random numbers, are as before.

    Args:
        model: network from (N, C, H, W), or from whatever shape the images have.
        images: (N, …), or an iterable of such batches or of tuples that begin with one, as a loader gives.
        training: run as in training, where batch norm normalises by each batch. A trained network is asked
            with False, a fresh one, whose running averages mean nothing yet, with True.
        layers: names, modules or classes; when empty, all ReLU and ReLU6. Their outputs have units along the
            second axis.

    Returns:
        One row for each use of a layer.

    Raises:
        ValueError: if there is no image or no such layer, or images or activations are not finite.

    Examples:
        >>> import torch
        >>> images = torch.tensor([[1.0, -2.0], [-1.0, -3.0]])
        >>> dead_units(torch.nn.Sequential(torch.nn.ReLU()), images).rows[0].dead_units
        (1,)

    Book: gradients
    """
    modules = chosen_layers(model, layers or _relu_layers(model))
    alive: dict[tuple[str, int], Tensor] = {}
    calls: dict[str, int] = {}

    def look(name: str, _inputs: Any, output: Any) -> None:
        calls[name] = calls.get(name, 0) + 1
        values = output_tensor(name, output).detach()
        if values.ndim < 2 or bool(values.isnan().any()):
            fault = "is NaN somewhere" if values.ndim >= 2 else f"has shape {tuple(values.shape)}"
            raise ValueError(f"the output of layer {name} must be numbers of shape (N, C, …), but it {fault}")
        answered = (values != 0).transpose(0, 1).flatten(1).any(dim=1)
        before = alive.get((name, calls[name]))
        alive[name, calls[name]] = answered if before is None else answered | before

    shown = 0
    parameters, buffers = shadows(model)
    with observed(modules, look), torch.no_grad():
        for batch in [images] if isinstance(images, Tensor) else images:
            pixels = checked_images(batch[0] if isinstance(batch, (tuple, list)) else batch)
            calls.clear()
            with without_trace(model, pixels, training=training):
                run_shadowed(model, {**parameters, **buffers}, pixels.detach().clone())
            shown += len(pixels)
    if not shown:
        raise ValueError("there is no batch of images; a loader can be read once, or it is empty")
    if not alive:
        raise ValueError(
            f"layers {', '.join(modules)} take no part in the forward pass of {type(model).__name__}"
        )
    rows = [
        DeadUnitsRow(
            name, type(modules[name]).__name__, call, len(units), tuple((~units).nonzero().flatten().tolist())
        )
        for (name, call), units in alive.items()
    ]
    return DeadUnits(tuple(rows), shown)


def _relu_layers(model: nn.Module) -> list[type[nn.Module]]:
    """Return the classes of ReLU layers that a network has, or say that it has none."""
    found = [kind for kind in RELU_LIKE if any(isinstance(module, kind) for module in model.modules())]
    if not found:
        raise ValueError(
            f"{type(model).__name__} has no ReLU or ReLU6 module; name the layers whose zeros you want, such as "
            "those behind which forward() calls relu by a function"
        )
    return list(found)
