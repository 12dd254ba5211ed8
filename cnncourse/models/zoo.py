"""The zoo: what every network of the catalogue costs, sees and reaches, in one table.

Parameters, multiply-adds and printed errors stand in the catalogue. Activations and receptive fields take a forward
pass on tensors without numbers, which for all networks together takes about a minute; so they are kept in a
file beside this one, written by ``python -m cnncourse.models.zoo``. A network that is not in the file is measured.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch

from cnncourse import records
from cnncourse.inspection import layer_costs, receptive_field
from cnncourse.models.catalogue import CATALOGUE, build
from cnncourse.models.entry import Entry, PrintedError
from cnncourse.records import Record

FILE = Path(__file__).with_name("zoo.json")
"""What was measured on the networks, by name."""
BYTES_A_PARAMETER = 4
"""Bytes of a weight in float32."""


@dataclass(frozen=True)
class RecordedAccuracy:
    """Accuracy that a recipe of this course measured, of networks that it trained or of public weights."""

    record: str
    """Name of the recorded run."""
    data: str
    """Name of the data set, whose test images were recognised; for public weights, how many of its images."""
    mean: float
    """Per cent of the test images, mean over the seeds."""
    sd: float
    """Standard deviation over the seeds, in points; 0 for one seed."""
    seeds: int
    """Networks trained, each from other first weights; 0 for public weights."""


@dataclass(frozen=True)
class ZooRow:
    """One network."""

    name: str
    """Its name in the catalogue."""
    paper: str
    """Key of its paper in the bibliography."""
    where: str
    """Table or section of the paper."""
    parameters: int
    """Weights and biases."""
    multiply_adds: int
    """Multiply-adds for one image of the default side."""
    side: int
    """Default height and width of the images, in pixels."""
    num_classes: int
    """Default number of logits."""
    in_channels: int
    """Default number of channels of the images."""
    weight_bytes: int
    """Memory of weights and biases in float32."""
    activation_bytes: int
    """What training keeps of one image's forward pass for the backward pass, in float32."""
    receptive_field: int | None
    """Side of the receptive field of the last map in pixels; ``None``: the whole image, or no maps."""
    sees_everything: bool
    """Whether every unit of the last map sees the whole image, as squeeze and excitation makes it."""
    printed_error: PrintedError | None
    """Error as the paper prints it."""
    public_accuracy: tuple[float, float] | None
    """Top-1 and top-5 of the public weights in per cent, as their authors state them."""
    weights: str | None
    """Data on which public weights were trained."""
    licence: str | None
    """Terms of the public weights."""
    recorded: tuple[RecordedAccuracy, ...]
    """What recipes of this course reached."""

    @property
    def printed_accuracy(self) -> float | None:
        """100 less the paper's top-1 error, in per cent."""
        error = self.printed_error
        return None if error is None or error.top1 is None else round(100 - error.top1, 3)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return asdict(self)


def zoo(names: Iterable[str] | None = None) -> tuple[ZooRow, ...]:
    """Return the table.

    Args:
        names: some of the networks, as the catalogue spells them; ``None`` is all.

    Returns:
        One row a network, in the order of the catalogue.
    """
    wanted = None if names is None else set(names)
    return tuple(_row(entry) for entry in CATALOGUE if wanted is None or entry.name in wanted)


def measure(entry: Entry) -> dict[str, Any]:
    """Measure activations and receptive field on tensors without numbers.

    Args:
        entry: a network, taken at its default side.

    Returns:
        ``activation_bytes``, ``receptive_field`` and ``sees_everything``, as in :class:`ZooRow`.
    """
    with torch.device("meta"):
        model = build(entry.name)
    shape = (1, entry.in_channels, entry.side, entry.side)
    windows = receptive_field(model, shape, ignore_gates=True).final_size
    gated = receptive_field(model, shape).final_size != windows
    return {
        "activation_bytes": layer_costs(model, shape).activation_bytes,
        "receptive_field": None if gated else windows,
        "sees_everything": gated,
    }


@cache
def _measured() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@cache
def _recorded() -> dict[str, tuple[RecordedAccuracy, ...]]:
    """Return what was recorded, by network."""
    found: dict[str, tuple[RecordedAccuracy, ...]] = {}
    for name in records.available():
        record = records.load(name)
        for measured, public in public_accuracies(record).items():
            found[measured] = (*found.get(measured, ()), public)
        network = trained_network(record)
        if network is not None:
            accuracy = RecordedAccuracy(
                name,
                str(record.data["name"]),
                100 * record.mean("test_accuracy"),
                100 * record.sd("test_accuracy"),
                len(record.seeds),
            )
            found[network] = (*found.get(network, ()), accuracy)
    return found


def public_accuracies(record: Record) -> dict[str, RecordedAccuracy]:
    """Return what a record says of networks with public weights.

    Args:
        record: any record.

    Returns:
        Network to accuracy; nothing unless :mod:`cnncourse.recipes.public_weights` measured all its images.
    """
    if record.recipe != "cnncourse.recipes.public_weights" or record.budget != "full":
        return {}
    columns = record.curves[0]
    rows = zip(*(columns[key] for key in ("network", "data", "images", "top1")), strict=True)
    return {
        network: RecordedAccuracy(
            record.name, f"{data} (public weights, {count:,} images)", 100 * top1, 0.0, 0
        )
        for network, data, count, top1 in rows
    }


def trained_network(record: Record) -> str | None:
    """Return which network of the catalogue a record is about.

    Args:
        record: any record.

    Returns:
        Its name; ``None`` if the record trained something else, on a small budget or for fewer passes than its recipe
        says, or measured no accuracy.
    """
    options = record.settings.get("options", {})
    name = {
        "lenet_mnist": "lenet5",
        "lenet_fashion": "lenet5",
        "speed_cifar10": "speed_net",
        "resnet_cifar10": f"{options.get('architecture', 'resnet')}{options.get('depth', 20)}",
    }.get(record.recipe.rpartition(".")[2])
    entry = next((entry for entry in CATALOGUE if entry.name == name), None)
    if (
        entry is None
        or record.budget != "full"
        or "epochs" in options
        or "test_accuracy" not in record.results
    ):
        return None
    # The same name with other options may be another network.
    return entry.name if record.results.get("parameters") == entry.parameters else None


def _row(entry: Entry) -> ZooRow:
    return ZooRow(
        name=entry.name,
        paper=entry.paper,
        where=entry.where,
        parameters=entry.parameters,
        multiply_adds=entry.multiply_adds,
        side=entry.side,
        num_classes=entry.num_classes,
        in_channels=entry.in_channels,
        weight_bytes=BYTES_A_PARAMETER * entry.parameters,
        printed_error=entry.printed_error,
        public_accuracy=entry.public_accuracy,
        weights=None if entry.weights is None else entry.weights.data,
        licence=None if entry.weights is None else entry.weights.licence,
        recorded=_recorded().get(entry.name, ()),
        **(_measured().get(entry.name) or measure(entry)),
    )


if __name__ == "__main__":
    lines = [f" {json.dumps(entry.name)}: {json.dumps(measure(entry))}" for entry in CATALOGUE]
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"measured {len(lines)} networks")
