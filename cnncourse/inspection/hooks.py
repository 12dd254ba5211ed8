"""Looking inside a forward pass, with hooks that are always removed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def find_layer(model: nn.Module, layer: str | nn.Module) -> nn.Module:
    """Return the layer of a model that a name or the layer itself points at.

    Args:
        model: any network.
        layer: dotted name as in ``model.named_modules()``, or a module inside the model.

    Returns:
        The module.

    Raises:
        ValueError: if the model has no such layer.
    """
    modules = dict(model.named_modules())
    if isinstance(layer, nn.Module):
        if not any(module is layer for module in modules.values()):
            raise ValueError(f"the layer {type(layer).__name__} is not part of {type(model).__name__}")
        return layer
    if layer not in modules or not layer:
        names = ", ".join(name for name in modules if name)
        raise ValueError(f"{type(model).__name__} has no layer {layer!r}; its layers are {names}")
    found: nn.Module = modules[layer]
    return found


@contextmanager
def captured(model: nn.Module, *layers: str | nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep the outputs of some layers of every forward pass inside the ``with``.

    Args:
        model: any network.
        *layers: names or modules; see :func:`find_layer`.

    Yields:
        A dictionary from the layer's name to its latest output, with its gradient history: the very tensor
        that the next layer reads, so an activation that works in place changes it.

    Raises:
        ValueError: if a layer is not part of the model.
    """
    chosen = [find_layer(model, layer) for layer in layers]
    names = {id(module): name for name, module in model.named_modules()}
    kept: dict[str, Tensor] = {}
    with observed(
        {names[id(module)]: module for module in chosen}, lambda name, _i, out: kept.update({name: out})
    ):
        yield kept


@contextmanager
def observed(modules: Mapping[str, nn.Module], callback: Callable[[str, Any, Any], None]) -> Iterator[None]:
    """Call ``callback(name, inputs, output)`` after each forward pass of the given modules.

    Args:
        modules: from a name of your choice to the module.
        callback: must not return anything; what it raises leaves the forward pass.

    Yields:
        Nothing; the hooks are gone when the ``with`` ends, also after an error.
    """

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        return lambda _module, inputs, output: callback(name, inputs, output)

    with ExitStack() as stack:
        for name, module in modules.items():
            handle = module.register_forward_hook(hook(name))
            stack.callback(handle.remove)
        yield


def leaves(model: nn.Module) -> dict[str, nn.Module]:
    """Return the modules that contain no others, by dotted name, each once."""
    # A weight that is computed from others, as by torch's weight norm, makes no container of its layer.
    found = {
        name: module
        for name, module in model.named_modules()
        if all(child == "parametrizations" for child, _module in module.named_children())
        and "parametrizations" not in name.split(".")
    }
    return {name or type(module).__name__.lower(): module for name, module in found.items()}


def blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Return the parts that a network is written down as, by dotted name, each once.

    Plain containers (``nn.Sequential``, ``nn.ModuleList``, ``nn.ModuleDict``) are opened; a module of any
    other class is one part, whatever it holds.

    Args:
        model: any network.

    Returns:
        Name to module; the network itself when it has no parts.
    """
    found: dict[str, nn.Module] = {}

    def collect(prefix: str, module: nn.Module) -> None:
        for name, child in module.named_children():
            if type(child) in (nn.Sequential, nn.ModuleList, nn.ModuleDict) and any(child.children()):
                collect(f"{prefix}{name}.", child)
            elif not any(child is other for other in found.values()):
                found[f"{prefix}{name}"] = child

    collect("", model)
    return found or {type(model).__name__.lower(): model}


def chosen_layers(
    model: nn.Module, layers: Sequence[str | nn.Module | type[nn.Module]]
) -> dict[str, nn.Module]:
    """Return modules of a network by their dotted names.

    Args:
        model: any network.
        layers: names, modules, or classes, each of which stands for all its modules; when empty, the modules
            that contain no others.

    Returns:
        Name to module, in the order of ``model.named_modules()``, each once.

    Raises:
        ValueError: if a layer is not part of the model, or there is no module of any of the classes.
    """
    if not layers:
        return leaves(model)
    wanted: set[int] = set()
    for layer in layers:
        if isinstance(layer, type):
            wanted.update(id(module) for module in model.modules() if isinstance(module, layer))
        else:
            wanted.add(id(find_layer(model, layer)))
    if not wanted:
        asked = " or ".join(layer.__name__ for layer in layers if isinstance(layer, type))
        kinds = ", ".join(sorted({type(module).__name__ for module in leaves(model).values()}))
        raise ValueError(
            f"{type(model).__name__} has no module of class {asked}; its layers are of {kinds} "
            "(what forward() does by a function is no module)"
        )
    names = {name or type(module).__name__.lower(): module for name, module in model.named_modules()}
    return {name: module for name, module in names.items() if id(module) in wanted}


def output_tensor(name: str, output: Any) -> Tensor:
    """Return what a layer gave: the tensor itself, or the first of a tuple of tensors.

    Args:
        name: the layer's name, for the message.
        output: what its forward pass returned.

    Returns:
        The tensor.

    Raises:
        ValueError: if there is none.
    """
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(first, Tensor):
        raise ValueError(
            f"layer {name} returns {type(output).__name__}, but a tensor is needed; leave it out"
        )
    return first


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a network into eval mode; afterwards every module has the mode it had before.

    Args:
        model: any network.

    Yields:
        Nothing.
    """
    with in_mode(model, training=False):
        yield


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    """Put a network into training or eval mode; afterwards every module has the mode it had before.

    Args:
        model: any network.
        training: True for training mode.

    Yields:
        Nothing.
    """
    modes = {module: module.training for module in model.modules()}
    model.train(training)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def zeros_for(model: nn.Module, shape: Sequence[int]) -> Tensor:
    """Return zeros of a shape, where the network's first parameter is and of its type."""
    first = next(model.parameters(), None)
    if first is None:
        return torch.zeros(tuple(shape))
    return torch.zeros(tuple(shape), dtype=first.dtype, device=first.device)
