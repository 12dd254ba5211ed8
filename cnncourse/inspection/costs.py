"""What each layer costs: parameters, operations and the memory its output takes until the backward pass.

What is counted:

* a multiply-add is one multiplication and the addition behind it in a convolution or a matrix product, two
  floating-point operations (FLOPs); biases, normalisation, activations and pooling are left out, as in most papers;
* activation memory is what autograd keeps from the forward pass of training to the backward pass (dropout masks
  left out), under the layer that made it: a map that no backward step asks for, such as the input of a ReLU, takes
  none, and neither does a layer that works in place or only looks at its input in another shape. Parameters and the
  images themselves are not activations.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.inspection.hooks import evaluating, leaves
from cnncourse.inspection.meta import checked_shape, model_dtype, on_shapes, run_on_shapes, shape_tensors
from cnncourse.inspection.operations import FUNCTIONAL, multiply_adds_of
from cnncourse.inspection.tables import LayerTable


@dataclass(frozen=True)
class CostRow:
    """What one layer costs for the whole batch."""

    name: str
    """Dotted name in the model; ``"(outside layers)"`` for what ``forward`` does by functions, and for parameters
    of no layer that ran."""
    kind: str
    """Class of the layer."""
    call: int
    """Which use of the layer in the forward pass this is, from 1."""
    shape: tuple[int, ...]
    """Shape of the output, batch first; empty outside layers."""
    parameters: int
    """Weights and biases that the layer owns; 0 when it is met a second time."""
    multiply_adds: int
    """Multiplications, each with an addition, in convolutions and matrix products."""
    activation_bytes: int
    """Bytes that autograd keeps of what the layer made until the backward pass."""

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-add."""
        return 2 * self.multiply_adds

    @property
    def outputs(self) -> int:
        """Numbers in the output."""
        return prod(self.shape) if self.shape else 0


@dataclass(frozen=True)
class LayerCosts(LayerTable[CostRow]):
    """Costs by layer, in the order of the forward pass; prints as a table."""

    input_shape: tuple[int, ...]
    """Shape of the input, batch first."""
    dtype: str
    """Type of the numbers for which memory is counted, such as ``"float32"``."""
    rows: tuple[CostRow, ...]
    """The layers; one that is used twice has two rows."""
    css_class: ClassVar[str] = "cnn-costs"

    @property
    def parameters(self) -> int:
        """Weights and biases of the network, each counted once."""
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one forward pass of the batch."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def flops(self) -> int:
        """Floating-point operations: two for each multiply-add."""
        return 2 * self.multiply_adds

    @property
    def activation_bytes(self) -> int:
        """Bytes that autograd keeps until the backward pass, without parameters and images."""
        return sum(row.activation_bytes for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings and lists, ready for JSON; FLOPs and totals are written out."""
        plain = super().to_dict()
        for row in plain["rows"]:
            row["flops"] = 2 * row["multiply_adds"]
        for total in ("parameters", "multiply_adds", "flops", "activation_bytes"):
            plain[total] = getattr(self, total)
        return plain

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = [
            "layer",
            "kind",
            "output",
            "parameters",
            "multiply-adds",
            "FLOPs",
            f"kept bytes ({self.dtype})",
        ]
        rows = [["input", "", " × ".join(map(str, self.input_shape)), "", "", "", ""]]
        rows += [[r.name, r.kind, " × ".join(map(str, r.shape)), *_numbers(r)] for r in self.rows]
        return header, [*rows, ["sum", "", "", *_numbers(self)]]


def _numbers(costs: CostRow | LayerCosts) -> list[str]:
    counts = (costs.parameters, costs.multiply_adds, costs.flops, costs.activation_bytes)
    return [f"{count:,}" for count in counts]


def layer_costs(
    model: nn.Module, input_shape: Sequence[int], *, dtype: torch.dtype | None = None
) -> LayerCosts:
    """Count parameters, multiply-adds, FLOPs and activation memory of every layer.

    The network runs once in eval mode on tensors that have a shape and no numbers, whatever its size: nothing
    is computed or allocated, and its own weights are neither read nor moved. (The first call in a process
    also loads torch's rules for such tensors.) The module's first lines say what is counted. Frozen layers
    need less memory, and a network that is frozen as a whole keeps nothing.

    Args:
        model: any network; layers are the modules that contain no others.
        input_shape: shape of the input with the batch in front, such as ``(1, 3, 224, 224)``.
        dtype: floating-point type of weights and activations, for the memory; ``None`` is the model's.

    Returns:
        One row for each use of a layer; the sums are for the whole batch.

    Raises:
        ValueError: if the shape has a number below 1, or the type is not a floating-point one.

    Examples:
        >>> from torch import nn
        >>> costs = layer_costs(nn.Sequential(nn.Conv2d(1, 6, 5), nn.Tanh()), (1, 1, 32, 32))
        >>> costs.parameters, costs.multiply_adds, costs.flops
        (156, 117600, 235200)
        >>> costs.activation_bytes == 6 * 28 * 28 * 4  # tanh's answer; what it reads is not needed again
        True

    Book: alexnet
    """
    shape = checked_shape(input_shape)
    numbers = model_dtype(model) if dtype is None else dtype
    if not numbers.is_floating_point:
        raise ValueError(f"dtype must be a floating-point type such as torch.float32, got {numbers}")
    tensors = shape_tensors(model, dtype)
    images = torch.empty(shape, dtype=numbers, device="meta")
    ledger = _Ledger([*tensors.values(), images])
    modules = leaves(model)
    with ExitStack() as stack:
        for name, module in modules.items():
            stack.callback(module.register_forward_pre_hook(ledger.enter(name)).remove)
            stack.callback(module.register_forward_hook(ledger.leave).remove)
        for context in (
            evaluating(model),
            torch.enable_grad(),
            saved_tensors_hooks(ledger.save, _same),
            ledger,
        ):
            stack.enter_context(context)
        run_on_shapes(model, tensors, images)
    return LayerCosts(shape, str(numbers).removeprefix("torch."), _rows(model, modules, ledger))


def _rows(model: nn.Module, modules: dict[str, nn.Module], ledger: "_Ledger") -> tuple[CostRow, ...]:
    """Return one row for each use, and one for what belongs to none."""
    kept = ledger.kept_bytes()
    counted: set[int] = set()
    calls: dict[str, int] = {}
    rows = []
    for use, (name, shape) in enumerate(ledger.uses):
        calls[name] = calls.get(name, 0) + 1
        own = [p for p in modules[name].parameters() if id(p) not in counted]
        counted.update(map(id, own))
        rows.append(
            CostRow(
                *(name, type(modules[name]).__name__, calls[name], shape, sum(p.numel() for p in own)),
                *(ledger.counts.get(use, 0), kept.get(use, 0)),
            )
        )
    rest = sum(p.numel() for p in model.parameters() if id(p) not in counted)
    outside = CostRow(FUNCTIONAL, "", 1, (), rest, ledger.counts.get(None, 0), kept.get(None, 0))
    if outside.parameters or outside.multiply_adds or outside.activation_bytes:
        rows.append(outside)
    return tuple(sorted(rows, key=lambda row: row.name == FUNCTIONAL))


class _Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes every product and every tensor that autograd keeps to the account of the layer that is running."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.running: list[int] = []
        self.uses: list[tuple[str, tuple[int, ...]]] = []
        self.counts: dict[int | None, int] = {}
        self._given = {_memory(tensor) for tensor in given}
        self._makers: dict[int, int | None] = {}
        self._saved: dict[int, int] = {}
        self._alive: list[Tensor] = list(given)  # a storage that is freed would lend its number to another

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = on_shapes(func, args, kwargs)
        use = self.running[-1] if self.running else None
        count = multiply_adds_of(func, output, args)
        if count:
            self.counts[use] = self.counts.get(use, 0) + count
        for tensor in output if isinstance(output, (tuple, list)) else [output]:
            if isinstance(tensor, Tensor) and _memory(tensor) not in self._makers:
                self._makers[_memory(tensor)] = use
                self._alive.append(tensor)
        return output

    def enter(self, name: str) -> Callable[[nn.Module, Any], None]:
        def begin(_module: nn.Module, _inputs: Any) -> None:
            self.running.append(len(self.uses))
            self.uses.append((name, ()))

        return begin

    def leave(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        use = self.running.pop()
        first = output[0] if isinstance(output, (tuple, list)) and output else output
        if isinstance(first, Tensor):
            self.uses[use] = (self.uses[use][0], tuple(first.shape))

    def save(self, tensor: Tensor) -> Tensor:
        """Note a tensor that autograd keeps; it is kept as it is."""
        memory = _memory(tensor)
        if memory not in self._given:
            self._saved[memory] = tensor.untyped_storage().nbytes()
            self._alive.append(tensor)
        return tensor

    def kept_bytes(self) -> dict[int | None, int]:
        """Return the bytes that are kept of what each use made."""
        kept: dict[int | None, int] = {}
        for memory, size in self._saved.items():
            maker = self._makers.get(memory)
            kept[maker] = kept.get(maker, 0) + size
        return kept


def _memory(tensor: Tensor) -> int:
    """Return a number that tensors share when they look at the same memory."""
    return int(tensor.untyped_storage()._cdata)


def _same(tensor: Tensor) -> Tensor:
    return tensor
