"""Networks out of checkpoints: all that is needed to use them, without the run that made them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
    short_side: int | None
    """Pixels to which the short side of a file was scaled before the cut; ``None`` if the images had their size."""
    weights: Literal["best", "last"] | None
    """Which weights of a run these are; ``None`` for a checkpoint that was named itself."""


def trained_network(
    place: str | os.PathLike[str], weights: Literal["best", "last"] | None = None
) -> TrainedNetwork:
    """Read a network from a checkpoint.

    Args:
        place: a checkpoint file, or a folder of a run.
        weights: ``"best"`` on the images that were held out, or ``"last"``; ``None`` takes the best of a run that
            held some out, else the last.

    Returns:
        The network with its normalisation and classes.

    Raises:
        CheckpointError: if there is none, it is damaged, or its network is not from the catalogue.
    """
    tree, found = _read(Path(place), weights)
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
        short_side=tree.get("short_side"),  # older checkpoints do not say
        weights=found,
    )


def _read(
    place: Path, weights: Literal["best", "last"] | None
) -> tuple[Mapping[str, Any], Literal["best", "last"] | None]:
    """Return a checkpoint and which one it is."""
    if place.is_file():
        if weights is not None:
            raise ValueError(
                f"{place} is one checkpoint; give the folder of its run to choose the {weights} weights"
            )
        return read_checkpoint(place), None
    for folder in (place / "checkpoints", place):
        if folder.is_dir():
            held = CheckpointFolder(folder)
            best = None if weights == "last" else held.best()
            if best is not None:
                return best, "best"
            last = None if weights == "best" else held.latest()
            if last is not None:
                return last, "last"
    if weights == "best":
        raise CheckpointError(
            f"no checkpoint at {place} is known to be the best: the run held no images out; ask for the last weights"
        )
    raise CheckpointError(
        f"there is no checkpoint at {place}; give a .safetensors file or the folder of a run"
    )
