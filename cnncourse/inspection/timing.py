"""Where the time of a forward pass goes, layer by layer."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import chosen_layers, evaluating
from cnncourse.inspection.tables import LayerTable
from cnncourse.inspection.untouched import checked_images

OUTSIDE = "(outside layers)"
"""Name of the time between the layers: functions that ``forward`` calls, and the timing itself."""


@dataclass(frozen=True)
class TimeRow:
    """One use of a layer."""

    name: str
    """Dotted name in the model, or ``"(outside layers)"``."""
    kind: str
    """Class of the layer."""
    call: int
    """Which use of the layer in the forward pass this is, from 1."""
    seconds: float
    """Median over the repetitions."""
    share: float
    """Of the sum over all rows, in [0, 1]."""


@dataclass(frozen=True)
class LayerTimes(LayerTable[TimeRow]):
    """Forward time by layer, in the order of the forward pass; prints as a table."""

    rows: tuple[TimeRow, ...]
    """The layers; one that is used twice has two rows; the last is what is outside layers."""
    total_seconds: float
    """Median time of the whole forward pass, timed in passes without a look at the layers."""
    repeats: int
    """Passes each number is the median of."""
    images: int
    """Images in the batch."""
    css_class: ClassVar[str] = "cnn-times"

    @property
    def sum_seconds(self) -> float:
        """Sum of the rows; more than the total by what the timing costs."""
        return sum(row.seconds for row in self.rows)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        rows = [[r.name, r.kind, f"{1e3 * r.seconds:.3f}", f"{r.share:.1%}"] for r in self.rows]
        whole = f"{1e3 * self.total_seconds:.3f}"
        return ["layer", "kind", "milliseconds", "share"], [
            *rows,
            ["whole pass, untimed layers", "", whole, ""],
        ]


def layer_times(
    model: nn.Module,
    images: Tensor,
    repeats: int = 5,
    *,
    layers: Sequence[str | nn.Module | type[nn.Module]] = (),
) -> LayerTimes:
    """Time the forward pass of every layer: the median over some passes, in eval mode, without gradients.

    One pass is made before, to warm up. On a GPU each layer is waited for before and after it, which takes
    away what layers gain by overlapping; the whole pass is therefore timed on its own, too. What is measured
    holds for this machine, number of threads and batch.

    Args:
        model: network from (N, C, H, W), or from whatever shape ``images`` has.
        images: (N, …), N ≥ 1, on the network's device.
        repeats: number of timed passes, at least 1.
        layers: names, modules or classes to time, none inside another; when empty, all modules that contain
            no others.

    Returns:
        One row for each use of a layer, and one for what is outside layers.

    Raises:
        ValueError: if ``repeats`` is below 1, the images are none or not finite, a chosen layer lies inside
            another, or none takes part.

    Examples:
        >>> times = layer_times(nn.Sequential(nn.Linear(2, 3), nn.ReLU()), torch.ones(1, 2))
        >>> times.column("name")
        ['0', '1', '(outside layers)']
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got repeats={repeats}")
    images = checked_images(images).detach().clone()  # a first layer may work in place
    modules = chosen_layers(model, layers)
    _check_apart(modules)
    wait = torch.cuda.synchronize if images.device.type == "cuda" else _nothing
    wholes: list[float] = []
    passes: list[_Clock] = []
    with evaluating(model), torch.no_grad():
        model(images)
        for _ in range(repeats):
            wholes.append(_seconds(model, images, wait))
            clock = _Clock(wait)
            with ExitStack() as stack:
                for name, module in modules.items():
                    stack.callback(module.register_forward_pre_hook(clock.start(name)).remove)
                    stack.callback(module.register_forward_hook(clock.stop).remove)
                clock.whole = _seconds(model, images, wait)
            passes.append(clock)
    names = [name for name, _seconds_ in passes[0].laps]
    if not names:
        raise ValueError(
            f"no layer of {type(model).__name__} took part in the forward pass; name one that does"
        )
    medians = [median(one.laps[use][1] for one in passes) for use in range(len(names))]
    rest = median(max(one.whole - sum(seconds for _name, seconds in one.laps), 0.0) for one in passes)
    total = sum(medians) + rest
    calls: dict[str, int] = {}
    rows = []
    for name, seconds in zip(names, medians, strict=True):
        calls[name] = calls.get(name, 0) + 1
        rows.append(TimeRow(name, type(modules[name]).__name__, calls[name], seconds, seconds / total))
    rows.append(TimeRow(OUTSIDE, "", 1, rest, rest / total))
    return LayerTimes(tuple(rows), median(wholes), repeats, len(images))


class _Clock:
    """One pass: the layers in the order in which they began, and how long each took."""

    def __init__(self, wait: Callable[[], Any]) -> None:
        self.laps: list[tuple[str, float]] = []
        self.whole = 0.0
        self._wait = wait
        self._name = ""
        self._began = 0.0

    def start(self, name: str) -> Callable[[nn.Module, Any], None]:
        def begin(_module: nn.Module, _inputs: Any) -> None:
            self._wait()
            self._name = name
            self._began = time.perf_counter()

        return begin

    def stop(self, _module: nn.Module, _inputs: Any, _output: Any) -> None:
        self._wait()
        self.laps.append((self._name, time.perf_counter() - self._began))


def _seconds(model: nn.Module, images: Tensor, wait: Callable[[], Any]) -> float:
    wait()
    began = time.perf_counter()
    model(images)
    wait()
    return time.perf_counter() - began


def _nothing() -> None:
    """Wait for nothing: a CPU has finished when it answers."""


def _check_apart(modules: dict[str, nn.Module]) -> None:
    """Refuse layers inside each other, whose times would be counted twice."""
    for name, module in modules.items():
        inside = {id(inner) for inner in module.modules()} - {id(module)}
        for other, candidate in modules.items():
            if id(candidate) in inside:
                raise ValueError(f"layers must not lie inside each other, got {other} inside {name}")
