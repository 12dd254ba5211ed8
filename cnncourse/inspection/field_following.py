"""Follow what the units see through every operation of a forward pass, whatever its branches."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.inspection.field_layout import Layout, joined
from cnncourse.inspection.field_rules import JOINS, POINTWISE, PRODUCTS, RULES, SPLITS, Outcome, Settings
from cnncourse.inspection.hooks import evaluating, zeros_for


@dataclass(frozen=True)
class FollowedWindow:
    """One window of a forward pass, and what units see behind it."""

    name: str
    """Dotted name of the innermost module."""
    kind: str
    """Its class."""
    settings: Settings
    """Kernel, stride, padding and dilation."""
    layout: Layout
    """What units of its output see."""


@dataclass(frozen=True)
class Everything:
    """Mark of a tensor each of whose numbers sees the whole map."""

    source: str
    """Dotted name of the module in which that came about."""


State: TypeAlias = Layout | Everything


def follow(
    model: nn.Module,
    input_shape: Sequence[int],
    own_window: Callable[[nn.Module], Settings | None],
    *,
    ignore_gates: bool,
) -> tuple[list[FollowedWindow], str | None, Layout | None]:
    """Run a network once on zeros and return its windows.

    Args:
        model: any network from (N, C, H, W).
        input_shape: shape of the input.
        own_window: the window of a module that says it itself, None for others.
        ignore_gates: a map keeps its field when it is joined with numbers that saw everything.

    Returns:
        The windows in the order of the forward pass, the module from which on units see everything, and what
        units of the last map see that do not.

    Raises:
        ValueError: if an operation cannot be followed.
    """
    images = zeros_for(model, input_shape)
    if images.ndim != 4:
        raise ValueError(f"receptive fields are of images (N, C, H, W), got input_shape={tuple(input_shape)}")
    follower = _Follower(images, ignore_gates)
    with ExitStack() as stack:
        for name, module in model.named_modules():
            settings = None if any(module.children()) else own_window(module)
            stack.callback(module.register_forward_pre_hook(follower.enter(name, settings)).remove)
            stack.callback(module.register_forward_hook(follower.leave).remove)
        for context in (evaluating(model), torch.no_grad(), follower):
            stack.enter_context(context)
        model(images)
    return follower.windows, next(iter(follower.ends), None), follower.final


@dataclass(frozen=True)
class _Call:
    """A module that is running."""

    name: str
    kind: str
    settings: Settings | None
    """Its window, where it says it itself: what happens inside is then not followed."""
    state: State | None
    """What its input sees."""


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Knows of each tensor that depends on the images how it is laid out and what its units see."""

    def __init__(self, images: Tensor, ignore_gates: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.windows: list[FollowedWindow] = []
        self.ends: dict[str, None] = {}
        self.final: Layout | None = None
        self._ignore_gates = ignore_gates
        self._running: list[_Call] = []
        self._known: dict[int, State] = {}
        self._alive: list[Tensor] = []  # a tensor that is freed would lend its number to another
        self._know(images, Layout.of_maps(images.shape))

    def enter(self, name: str, settings: Settings | None) -> Callable[[nn.Module, Any], None]:
        def begin(module: nn.Module, inputs: Any) -> None:
            state = self._known.get(id(inputs[0])) if inputs else None
            self._running.append(_Call(name or type(module).__name__, type(module).__name__, settings, state))

        return begin

    def leave(self, _module: nn.Module, _inputs: Any, output: Any) -> None:
        call = self._running[-1]
        if call.settings is not None and call.state is not None:
            outputs = _tensors(output)
            state = self._slid(call.state, call.settings, outputs[0])
            for tensor in outputs:
                self._know(tensor, state)
        self._running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        named = dict(zip((one.name for one in func._schema.arguments), args, strict=False)) | (kwargs or {})
        read = [tensor for value in named.values() for tensor in _tensors(value)]
        states = [(tensor, self._known[id(tensor)]) for tensor in read if id(tensor) in self._known]
        outputs = _tensors(output)
        if not states or not outputs or any(call.settings for call in self._running):
            return output
        operation = func._schema.name.removeprefix("aten::")
        try:
            found = self._after(func, operation, states, outputs, named)
        except ValueError as error:
            raise ValueError(
                f"receptive_field cannot follow {operation} in {self._name} ({self._running[-1].kind}): {error}"
            ) from error
        for tensor, state in zip(outputs, found, strict=True):
            self._know(tensor, state)
        return output

    @property
    def _name(self) -> str:
        return self._running[-1].name

    def _know(self, tensor: Tensor, state: State) -> None:
        self._known[id(tensor)] = state
        if isinstance(state, Layout) and state.is_map:
            self.final = state
        self._alive.append(tensor)

    def _after(
        self,
        func: Any,
        operation: str,
        states: list[tuple[Tensor, State]],
        outputs: list[Tensor],
        named: dict[str, Any],
    ) -> list[State]:
        """Return what is known of each output of an operation."""
        layouts = [state for _tensor, state in states if isinstance(state, Layout)]
        everything = [state for _tensor, state in states if isinstance(state, Everything)]
        if not layouts or (everything and not self._ignore_gates):
            return [everything[0]] * len(outputs)
        for gate in everything:
            self.ends.pop(gate.source, None)
        shape = outputs[0].shape
        if operation in SPLITS:
            return list(_split(layouts[0], operation, outputs, named))
        if operation in JOINS:
            return [_set_beside(layouts, operation, outputs[0], named)]
        if operation in RULES:
            # Not the first factor alone: a matrix from the left, or both from the images, as in attention.
            first = named.get(PRODUCTS.get(operation, ""))
            mixed = operation in PRODUCTS and (len(layouts) > 1 or states[0][0] is not first)
            after = None if mixed else RULES[operation](layouts[0], outputs[0], named)
            return [self._ruled(after, layouts[0], outputs)] * len(outputs)
        if torch.Tag.pointwise in func.tags or operation.removesuffix("_") in POINTWISE:
            return [
                reduce(lambda one, other: joined(one, other, shape), layouts, _widened(layouts[0], shape))
            ]
        raise ValueError("it is not known which places this operation reads")

    def _ruled(self, after: Outcome, before: Layout, outputs: list[Tensor]) -> State:
        """Return what a rule's outcome means."""
        if after is None:
            self.ends.setdefault(self._name, None)
            return Everything(self._name)
        return after if isinstance(after, Layout) else self._slid(before, after, outputs[0])

    def _slid(self, state: State, settings: Settings, output: Tensor) -> State:
        """Return what units see behind a window, and write the window down."""
        if isinstance(state, Everything):
            return state
        if not state.is_map:
            raise ValueError(f"the window of {self._name} slides over a tensor that is no map (N, C, H, W)")
        after = Layout.of_maps(
            output.shape, state.rows.windowed(*settings), state.columns.windowed(*settings)
        )
        self.windows.append(FollowedWindow(self._name, self._running[-1].kind, settings, after))
        return after


def _tensors(value: Any) -> list[Tensor]:
    """Return the tensors in a value, itself or inside a list."""
    if isinstance(value, Tensor):
        return [value]
    return [one for one in value if isinstance(one, Tensor)] if isinstance(value, (tuple, list)) else []


def _widened(layout: Layout, shape: Sequence[int]) -> Layout:
    """Return the layout with dimensions of size 1 in front, and those that were broadcast in their new sizes."""
    missing = len(shape) - len(layout.dims)
    return replace(layout, dims=((),) * missing + layout.dims).resized(shape)


def _split(layout: Layout, operation: str, outputs: list[Tensor], named: dict[str, Any]) -> list[Layout]:
    """Return the layouts of the parts of a tensor."""
    dim = named.get("dim", 0) % len(layout.dims)
    if layout.spatial([dim]):
        raise ValueError("it takes rows or columns apart")
    if operation == "unbind":
        return [layout.moved([other for other in range(len(layout.dims)) if other != dim])] * len(outputs)
    return [layout.resized(part.shape) for part in outputs]


def _set_beside(layouts: list[Layout], operation: str, output: Tensor, named: dict[str, Any]) -> Layout:
    """Return the layout of tensors set beside each other."""
    first, count = layouts[0], len(output.shape)
    dim = named.get("dim", 0) % count
    if operation == "cat" and first.spatial([dim]):
        raise ValueError("it sets maps beside each other along their rows or columns")
    parts = [
        replace(one, dims=(*one.dims[:dim], (), *one.dims[dim + (operation == "cat") :])) for one in layouts
    ]
    return reduce(lambda one, other: joined(one, other, output.shape), parts).resized(output.shape)
