"""Every network of the course by its name: who builds it, which paper it is from, what the paper prints."""

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from cnncourse.models import (
    alexnet,
    alexnet_one_tower,
    cifar_resnet,
    convnext,
    densenet,
    efficientnet,
    googlenet,
    lenet,
    lenet_1998,
    mlp,
    mobilenet_v1,
    mobilenet_v2,
    nasnet,
    preact_resnet,
    resnet,
    shufflenet_v1,
    shufflenet_v2,
    speed_net,
    squeezenet,
    vgg,
    wide_resnet,
)
from cnncourse.models.entry import Entry
from cnncourse.models.weights import differences, downloaded_file, load_weights, packaged_file, read_weights

# Each model file lists its own networks; smaller and older files first.
MODULES = (
    mlp,
    lenet,
    cifar_resnet,
    speed_net,
    resnet,
    mobilenet_v2,
    efficientnet,
    alexnet,
    alexnet_one_tower,
    vgg,
    preact_resnet,
    wide_resnet,
    densenet,
    nasnet,
    squeezenet,
    mobilenet_v1,
    shufflenet_v1,
    shufflenet_v2,
    convnext,
    googlenet,
    lenet_1998,
)

CATALOGUE: tuple[Entry, ...] = tuple(entry for module in MODULES for entry in module.ENTRIES)
"""All networks: the ``ENTRIES`` of the model files, in this order."""


def names() -> tuple[str, ...]:
    """Return the names of all networks, in the order of the catalogue."""
    return tuple(entry.name for entry in CATALOGUE)


def _bare(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def find(name: str) -> Entry:
    """Return the entry of a network.

    Args:
        name: its name; capitals, ``-`` and ``_`` do not matter: ``"ResNet-18"`` is ``"resnet18"``.

    Returns:
        The entry.

    Raises:
        ValueError: if there is no such network; the nearest names are given.
    """
    entries = {_bare(entry.name): entry for entry in CATALOGUE}
    if _bare(name) in entries:
        return entries[_bare(name)]
    near = [entries[bare].name for bare in get_close_matches(_bare(name), entries, n=3, cutoff=0.5)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
    raise ValueError(f"unknown model {name!r}; {hint}")


def build(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    *,
    weights: str | Path | None = None,
    **options: Any,
) -> nn.Module:
    """Build a network by its name.

    Args:
        name: name in the catalogue; capitals, ``-`` and ``_`` do not matter.
        num_classes: number of logits; ``None`` is the paper's.
        in_channels: channels of the images; ``None`` is the paper's.
        weights: path of a state dict (``.safetensors`` or written by ``torch.save``), or ``"imagenet"`` or
            ``"cifar10"`` for the public weights trained on it: they are downloaded once, checked and kept, if
            no installed package carries them; ``None`` draws fresh ones.
        **options: the network's own settings, such as ``small_stem=True`` of the ResNets.

    Returns:
        The network in training mode; :func:`built_as` tells how it was built.

    Raises:
        ValueError: if the name, an option or the weights do not fit.
        DownloadError: if public weights are not kept yet and cannot be had; the message says what to do offline.
        CacheError: if the folder of downloads cannot be read or written.
    """
    entry = find(name)
    taken = [
        key
        for key in inspect.signature(entry.builder).parameters
        if key not in ("num_classes", "in_channels")
    ]
    unknown = sorted(set(options) - set(taken))
    if unknown:
        raise ValueError(
            f"{entry.name} has no option {', '.join(unknown)}; its options are {', '.join(taken) or 'none'}"
        )
    settings = {
        "num_classes": entry.num_classes if num_classes is None else num_classes,
        "in_channels": entry.in_channels if in_channels is None else in_channels,
        **options,
    }
    model = entry.builder(**settings)
    model.__dict__["built_as"] = {"name": entry.name, "options": settings}
    if weights is not None:
        state = read_weights(_weights_file(entry, weights))
        if differences(model, state):
            state = entry.translate(state)
        load_weights(model, state, entry.name)
    return model


def _weights_file(entry: Entry, weights: str | Path) -> Path:
    """Return the file that an argument ``weights`` means."""
    if weights not in ("imagenet", "cifar10"):
        return Path(weights)
    source = entry.weights
    if source is None or source.data != weights:
        having = ", ".join(e.name for e in CATALOGUE if e.weights and e.weights.data == weights)
        raise ValueError(f"there are no public {weights} weights of {entry.name}; there are of {having}")
    return packaged_file(source.source) if source.packaged else downloaded_file(source, entry.name)


def built_as(model: nn.Module) -> dict[str, Any] | None:
    """Return how :func:`build` made a network, so that a checkpoint can make it again.

    Args:
        model: any network.

    Returns:
        ``{"name": ..., "options": {...}}``, all of it plain values: ``build(how["name"], **how["options"])``
        makes the same network with fresh weights; ``None`` if the network was not built by name.
    """
    found: Mapping[str, Any] | None = getattr(model, "built_as", None)
    return None if found is None else {"name": found["name"], "options": dict(found["options"])}
