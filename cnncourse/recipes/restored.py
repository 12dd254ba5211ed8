"""Networks out of checkpoints: all that is needed to use them, without the run that made them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cnncourse.datasets import Normalisation
from cnncourse.models import build
from cnncourse.training import CheckpointError, CheckpointFolder, read_checkpoint


@dataclass(frozen=True)
class TrainedNetwork:
    """A network with what its input and output mean."""

    model: nn.Module
    """In eval mode, on the CPU; the moving average of the weights if the run kept one."""
    normalisation: Normalisation
    """To be applied to uint8 images before the network."""
    classes: tuple[str, ...]
    """Class names; the index is the logit."""
    input_shape: tuple[int, int, int]
    """Channels, height and width of the images."""
    name: str
    """Name of the network in the catalogue."""


def trained_network(place: str | os.PathLike[str]) -> TrainedNetwork:
    """Read a network from a checkpoint.

    Args:
        place: a checkpoint file, or a folder of a run: its best checkpoint, else its newest.

    Returns:
        The network with its normalisation and classes.

    Raises:
        CheckpointError: if there is none, it is damaged, or its network is not from the catalogue.
    """
    tree = _read(Path(place))
    made = tree.get("built_as")
    if made is None:
        raise CheckpointError(
            f"{place} does not say how its network is built; only networks made by cnncourse.models.build() are "
            "rebuilt from a file: read its weights with training.read_checkpoint() instead"
        )
    options: Mapping[str, Any] = made["options"]
    model = build(made["name"], **options)
    average = tree.get("average")
    model.load_state_dict(tree["model"] if average is None else average["model"])
    channels, height, width = tree["input_shape"]
    return TrainedNetwork(
        model=model.eval(),
        normalisation=Normalisation(
            tuple(tree["normalisation"]["mean"]), tuple(tree["normalisation"]["std"])
        ),
        classes=tuple(tree["classes"]),
        input_shape=(channels, height, width),
        name=made["name"],
    )


def _read(place: Path) -> Mapping[str, Any]:
    if place.is_file():
        alone: Mapping[str, Any] = read_checkpoint(place)
        return alone
    for folder in (place / "checkpoints", place):
        if folder.is_dir():
            held = CheckpointFolder(folder)
            tree: Mapping[str, Any] | None = held.best() or held.latest()
            if tree is not None:
                return tree
    raise CheckpointError(
        f"there is no checkpoint at {place}; give a .safetensors file or the folder of a run"
    )
