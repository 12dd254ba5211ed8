"""Weights from a file of anybody's: read without running anything that may be hidden in it."""

import os
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnncourse.training.checkpoint_file import read_checkpoint
from cnncourse.training.checkpoint_format import START
from cnncourse.training.checkpoint_tree import CheckpointError

WRAPPERS = ("model", "state_dict", "model_state_dict", "weights", "module")
"""Names under which training programs keep the weights beside other things."""
PREFIXES = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before each name."""


def read_weights(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read a state dict from a safetensors file, a checkpoint of a run, or what ``torch.save`` wrote.

    A pickle is opened by PyTorch's reader that knows tensors and containers only (``weights_only=True``): a file that
    asks for anything else is refused before it is run.

    Args:
        path: the file.

    Returns:
        Name to tensor on the CPU, without the prefixes that wrappers put before the names.

    Raises:
        CheckpointError: if there is no such file, it is damaged, it asks for code, or holds no state dict.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            start = file.read(8 + len(START))
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read ({error.strerror}); see that it is a file that you may read"
        ) from error
    if start[8:] == START:
        tree = read_checkpoint(path)
    elif start[8:9] == b"{":
        tree = _read_safetensors(path)
    else:
        tree = _read_torch(path)
    return _state_dict(tree, path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}); download it again"
        ) from error


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # Whether it can be read shows at once; what else PyTorch foresees is no concern of the reader's.
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} asks for more than tensors, and what it asks for could run any program: it was not opened. If you "
            "trust whoever made it, save its state dict as a safetensors file there"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} is damaged, or neither a safetensors file nor one of torch.save ({_first_line(error)}); download "
            "it again"
        ) from error


def _state_dict(tree: Any, path: Path) -> dict[str, Tensor]:
    """Return the state dict in what was read: itself, or one level down."""
    if isinstance(tree, dict):
        for found in (tree, *(tree.get(name) for name in WRAPPERS)):
            if (
                isinstance(found, dict)
                and found
                and all(isinstance(value, Tensor) for value in found.values())
            ):
                return _without_prefixes(found)
        held = ", ".join(sorted(map(str, tree))[:8]) or "nothing"
    else:
        held = f"a {type(tree).__name__}"
    raise CheckpointError(
        f"{path} holds no state dict, neither at the top nor under {', '.join(WRAPPERS)}; it holds {held}"
    )


def _without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            return _without_prefixes({name.removeprefix(prefix): tensor for name, tensor in state.items()})
    return state


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or repr(error)).splitlines()[0]
