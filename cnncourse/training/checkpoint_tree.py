"""A tree of tensors and plain values, taken apart into named tensors and JSON, and put together again."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Tree = Any
"""Nested dict, list or tuple of Tensor, int, float, bool, str and None; a dict's keys are str, int or bool."""

SEPARATOR = "/"
"""Stands between the parts of a tensor's name: ``model/conv1.weight``."""


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written or read; the message names the file, the cause and a remedy."""


class CheckpointWarning(UserWarning):
    """A run goes on, but not as expected; the message names the file, the cause and what is done instead."""


@dataclass(frozen=True)
class TakenApart:
    """A tree in two parts."""

    tensors: dict[str, Tensor]
    """Path-like name to tensor; one that occurs twice in the tree stands here once."""
    structure: str
    """Everything else, as strict JSON."""


def take_apart(tree: Tree) -> TakenApart:
    """Separate the tensors of a tree from the rest.

    Args:
        tree: see :data:`Tree`. Subclasses (``OrderedDict``, ``Parameter``) count as what they extend.

    Returns:
        The tensors under path-like names, and JSON that refers to them.

    Raises:
        CheckpointError: if the tree holds anything else; the message says where.
    """
    tensors: dict[str, Tensor] = {}
    known: dict[tuple[Any, ...], str] = {}
    structure = _encode(tree, (), tensors, known)
    return TakenApart(tensors, json.dumps(structure, allow_nan=False, separators=(",", ":")))


def put_together(structure: str, tensors: Mapping[str, Tensor]) -> Tree:
    """Return the tree that :func:`take_apart` separated.

    Args:
        structure: JSON of the tree.
        tensors: under the names that the JSON refers to.

    Returns:
        The tree; dict, list and tuple for what extended them.

    Raises:
        CheckpointError: if the JSON is none of ours or refers to a tensor that is not there.
    """
    ordered: dict[str, Tensor] = {}
    try:
        return _decode(json.loads(structure), tensors, ordered)
    except (KeyError, ValueError, TypeError, IndexError, RuntimeError, RecursionError) as error:
        raise CheckpointError(f"the description of the tree makes no sense ({error!r})") from error


def _encode(  # noqa: PLR0911 - a return for each kind of value
    value: Tree, path: tuple[str, ...], tensors: dict[str, Tensor], known: dict[Any, str]
) -> Any:
    """Return a JSON value; what JSON cannot say becomes an object with one key that starts with ``$``."""
    if isinstance(value, Tensor):
        return _encode_tensor(value, path, tensors, known)
    if value is None or isinstance(value, bool | str):
        return value if value is None or isinstance(value, bool) else str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, list | tuple):
        items = [_encode(item, (*path, str(i)), tensors, known) for i, item in enumerate(value)]
        return items if isinstance(value, list) else {"$tuple": items}
    if isinstance(value, dict):
        if not all(isinstance(key, str | int) for key in value):
            kinds = sorted({type(key).__name__ for key in value if not isinstance(key, str | int)})
            raise CheckpointError(
                f"keys in a checkpoint must be str, int or bool, got {', '.join(kinds)} in {_said(path)}; "
                "name the entries by words"
            )
        pairs = [(key, _encode(item, (*path, str(key)), tensors, known)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key, _ in pairs):
            return dict(pairs)
        return {"$dict": [list(pair) for pair in pairs]}
    raise CheckpointError(
        f"a checkpoint holds dict, list, tuple, Tensor, int, float, bool, str and None, got "
        f"{type(value).__module__}.{type(value).__qualname__} at {_said(path)}; turn it into one of these first"
    )


def _encode_tensor(
    tensor: Tensor, path: tuple[str, ...], tensors: dict[str, Tensor], known: dict[Any, str]
) -> dict[str, Any]:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type == "meta":
        raise CheckpointError(
            f"a checkpoint holds dense tensors with values, got layout {tensor.layout} on device {tensor.device} "
            f"at {_said(path)}; turn it into a plain tensor (to_dense(), dequantize()) first"
        )
    place = (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.device)
    address = (*place, tensor.is_conj(), tensor.is_neg())
    name = known.get(address) if tensor.numel() else None
    if name is None:
        name = plain = SEPARATOR.join(path) or "tensor"
        copies = 1
        while name in tensors or name == "__metadata__":
            copies += 1
            name = f"{plain}#{copies}"
        tensors[name] = tensor
        known[address] = name
    order = memory_order(tensor)
    return {"$tensor": name} if order is None else {"$tensor": name, "order": order}


def memory_order(tensor: Tensor) -> list[int] | None:
    """Return the axes from slowest to fastest in memory, None where they stand in their own order.

    Args:
        tensor: dense tensor of any shape.

    Returns:
        A permutation, such as [0, 2, 3, 1] for channels last; None for a tensor that is contiguous, or whose
        memory has holes or overlaps.
    """
    if tensor.is_contiguous():
        return None
    strides = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda axis: (-strides[axis], axis))
    return order if tensor.permute(order).is_contiguous() else None


def in_memory_order(tensor: Tensor, order: list[int]) -> Tensor:
    """Return equal values whose memory runs through the axes in the given order.

    Args:
        tensor: tensor of any shape.
        order: a permutation of its axes.

    Returns:
        Same shape and values, other strides.
    """
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return tensor.permute(order).contiguous().permute(inverse)


def _decode(  # noqa: PLR0911
    value: Any, tensors: Mapping[str, Tensor], ordered: dict[str, Tensor]
) -> Tree:
    if isinstance(value, list):
        return [_decode(item, tensors, ordered) for item in value]
    if not isinstance(value, dict):
        return value
    if "$tensor" in value:
        name = value["$tensor"]
        if "order" not in value:
            return tensors[name]
        if name not in ordered:
            ordered[name] = in_memory_order(tensors[name], value["order"])
        return ordered[name]
    if "$float" in value:
        return float(value["$float"])
    if "$tuple" in value:
        return tuple(_decode(item, tensors, ordered) for item in value["$tuple"])
    if "$dict" in value:
        return {key: _decode(item, tensors, ordered) for key, item in value["$dict"]}
    return {key: _decode(item, tensors, ordered) for key, item in value.items()}


def _said(path: tuple[str, ...]) -> str:
    return SEPARATOR.join(path) or "the root"
