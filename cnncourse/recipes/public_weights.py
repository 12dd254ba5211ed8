"""Public weights on labelled images: how often networks that others trained find the class here.

A network with its weights, its preprocessing and its order of classes is right only if all three are; authors' own
figures tell what to expect, measuring tells what one has. Images come as packed files
(:func:`cnncourse.datasets.packed_files.write_packed`), because the sets the authors measured on cannot be passed on.
"""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnncourse.datasets import Normalisation
from cnncourse.datasets.decoding import centred
from cnncourse.datasets.packed_files import Packed, read_packed
from cnncourse.downloads import file_sha256
from cnncourse.models import CATALOGUE, Entry, Preprocessing, build
from cnncourse.progress import progress_bar
from cnncourse.recipes.plan import check_budget
from cnncourse.records import Record, peak_memory_mib, provenance
from cnncourse.training import predict, resolve_device

NAME = "public-weights"
TITLE = "Networks with public weights on labelled images"

BATCH = 50
"""Images that go through a network together."""
SMOKE = 4
"""Images at budget smoke."""


def weights_file(entry: Entry, folder: Path) -> str | Path | None:
    """Return where the public weights of a network are.

    Args:
        entry: a network.
        folder: holds the file under its public name, as downloads lie, or as ``<network>-<data>.pth``.

    Returns:
        What :func:`cnncourse.models.build` takes as ``weights``; ``None`` if they are not on this machine.
    """
    if entry.weights is None or entry.preprocessing is None:
        return None
    if entry.weights.packaged:
        return entry.weights.data
    names = (entry.weights.file, f"{entry.name}-{entry.weights.data}.pth")
    return next((folder / name for name in names if (folder / name).is_file()), None)


def prepared(packed: Packed, count: int, steps: Preprocessing, device: torch.device) -> Iterator[Tensor]:
    """Yield batches of images as a network wants them.

    Args:
        packed: N images of any sizes.
        count: of them, the first.
        steps: the network's preprocessing.
        device: where the batches go.

    Yields:
        (B, 3, side, side).
    """
    from PIL import Image

    normalisation = Normalisation(steps.mean, steps.std)
    for start in range(0, count, BATCH):
        squares = []
        for index in range(start, min(start + BATCH, count)):
            with Image.open(io.BytesIO(packed.stream(index)), formats=("JPEG", "PNG")) as image:
                pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
            squares.append(centred(pixels, steps.side, steps.resize or steps.side))
        yield normalisation(torch.stack(squares)).to(device)


def measure(
    entry: Entry, weights: str | Path, packed: Packed, *, count: int | None = None, device: str = "cpu"
) -> tuple[float, float]:
    """Return how often a network finds the class of an image.

    Args:
        entry: a network with public weights.
        weights: see :func:`weights_file`.
        packed: images; labels are indices in the order of the network's classes.
        count: images to take, the first; ``None`` is all.
        device: where to compute.

    Returns:
        Shares of the images whose class is the first guess, and among the first five.

    Raises:
        ValueError: if the network knows another number of classes than the images have.
    """
    if entry.preprocessing is None or len(packed.classes) != entry.num_classes:
        raise ValueError(
            f"{entry.name} tells {entry.num_classes} classes apart, the images have {len(packed.classes)}; "
            "their order must be that of the weights, too"
        )
    place = torch.device(device)
    taken = len(packed) if count is None else min(count, len(packed))
    model = build(entry.name, weights=weights).eval().to(place)
    logits = predict(model, prepared(packed, taken, entry.preprocessing, place), precision="fp32").cpu()
    right = logits.topk(5, dim=1).indices == torch.from_numpy(packed.labels[:taken])[:, None]
    return right[:, 0].double().mean().item(), right.any(dim=1).double().mean().item()


def run(
    budget: str = "full",
    *,
    seeds: Sequence[int] = (0,),
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    report: Callable[[str], object] = lambda _line: None,
    imagenet: str | os.PathLike[str] | None = None,
    cifar10: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> Record:
    """Measure every network whose weights and images are here, and return the record.

    Args:
        budget: ``"smoke"`` takes the first four images of each file, the others take all.
        seeds: one number: nothing is drawn.
        root: not used: the files are named.
        device: where to compute.
        progress: show a bar.
        report: called with a line of text after each network.
        imagenet: packed file of images of ImageNet's 1,000 classes; its name stands for the images, so let it tell
            which they are: on images that the weights were trained on, every network looks good.
        cifar10: packed file of images of CIFAR-10's classes; likewise.
        weights: folder with files of weights; packages that carry weights need none.

    Returns:
        The record, not yet saved. Its curves have one row for each network.

    Raises:
        ValueError: if the budget is unknown, several seeds are given, no images are, or no network can be measured.
    """
    check_budget(budget)
    if len(seeds) != 1:
        raise ValueError(
            f"nothing is drawn here, so that one seed is enough, got {list(seeds)}; give --seeds 0"
        )
    files = {name: Path(file) for name, file in (("imagenet", imagenet), ("cifar10", cifar10)) if file}
    if not files:
        raise ValueError(
            "there are no images to measure on; give --option imagenet=FILE.npz or cifar10=FILE.npz"
        )
    folder = Path(weights) if weights else Path()
    images = {name: read_packed(file) for name, file in files.items()}
    found = [
        (entry, place)
        for entry in CATALOGUE
        if entry.weights and entry.weights.data in images and (place := weights_file(entry, folder))
    ]
    if not found:
        raise ValueError(
            f"no weights for images of {', '.join(images)} are in {folder.resolve()}; give --option weights"
        )
    place = str(resolve_device(device))
    conditions = provenance(device=place, threads=torch.get_num_threads() if place == "cpu" else None)
    columns: dict[str, list[Any]] = {"network": [], "data": [], "images": [], "top1": [], "top5": []}
    t_start = perf_counter()
    with progress_bar("networks", total=len(found), unit="network", show=progress) as advance:
        for entry, file in found:
            assert entry.weights is not None  # found has no others
            packed, shown = images[entry.weights.data], files[entry.weights.data].stem
            count = min(SMOKE, len(packed)) if budget == "smoke" else len(packed)
            top1, top5 = measure(entry, file, packed, count=count, device=place)
            row = (entry.name, shown, count, round(top1, 6), round(top5, 6))
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
            advance(1)
            report(f"{entry.name}: top-1 {top1:.1%}, top-5 {top5:.1%} of {count:,} images of {shown}")
    return Record(
        name=NAME,
        title=TITLE,
        recipe=__name__,
        budget=budget,
        settings={"precision": "fp32", "batch_size": BATCH},
        seeds=list(seeds),
        data={
            "name": ", ".join(file.stem for file in files.values()),
            "train_images": 0,
            "test_images": sum(len(packed) for packed in images.values()),
            "sha256": {file.name: file_sha256(file) for file in files.values()},
        },
        device=conditions.device,
        versions=conditions.versions,
        commit=conditions.commit,
        date=conditions.date,
        wall_seconds=round(perf_counter() - t_start, 1),
        peak_memory_mib=peak_memory_mib(place),
        curves=[columns],
        results={
            f"accuracy, %: {name}": round(100 * top1, 2)
            for name, top1 in zip(columns["network"], columns["top1"], strict=True)
        },
    )
