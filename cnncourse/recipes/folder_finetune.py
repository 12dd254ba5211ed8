"""A network that has seen ImageNet learns to tell your own photographs apart.

Donahue et al., "DeCAF", ICML 2014, arXiv:1310.1531: the features of a network trained on ImageNet separate other
classes too, so that a new last layer is learnt from a few hundred photographs.
"""

import os
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from cnncourse.augmentation import Compose, Flip, RandomResizedCrop
from cnncourse.datasets import FolderImages, LabelledImages, Normalisation, load
from cnncourse.models import build, find
from cnncourse.recipes.plan import Plan, check_budget
from cnncourse.training import TrainConfig

NAME = "folder-finetune"
TITLE = "Fine-tuning on a folder of photographs"


class FrozenBatchNorm(nn.BatchNorm2d):
    """Batch normalisation with the statistics of earlier training, whatever the mode of the network around it."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        """Stay in eval mode.

        Args:
            mode: not looked at.

        Returns:
            The layer.
        """
        super().train(mode=False)
        return self


def plan(
    budget: str = "full",
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    path: str | None = None,
    data: str | None = None,
    model: str = "efficientnet_lite0",
    weights: str = "imagenet",
    whole: bool = False,
    epochs: int = 8,
) -> Plan:
    """Return network, data and settings.

    Args:
        budget: ``"smoke"`` (40 drawn shapes, written as files for the purpose), ``"book"`` (400 of them) or ``"full"``
            (your photographs).
        root: folder with ``data``; ``None`` is the cache.
        device: where to compute.
        path: for ``"full"``: a folder with ``train`` and ``val``, each with one folder a class, or an archive of one.
        data: instead of ``path``: a data set of image files that :func:`cnncourse.datasets.load` knows.
        model: a network with ImageNet weights.
        weights: ``"imagenet"`` for weights that an installed package carries, or a file.
        whole: train all layers, at a tenth of the learning rate; otherwise only a new last layer.
        epochs: passes, for ``"full"``.

    Returns:
        The plan. Images are cut at random in training, and measured on the middle.

    Raises:
        ValueError: if there is nothing to train on, or the network has no ImageNet weights.
    """
    check_budget(budget)
    seen = find(model).preprocessing
    if seen is None:
        raise ValueError(
            f"{model} has no public ImageNet weights; choose one that has, such as efficientnet_lite0"
        )
    train, test = _photographs(budget, path, data, root)
    side, short_side = (
        (64, 64) if budget == "smoke" else (96, 96) if budget == "book" else (seen.side, seen.resize)
    )
    few = 1 if budget == "smoke" else 4 if budget == "book" else epochs
    config = TrainConfig(
        epochs=few,
        batch_size=32,
        optimiser="adamw",
        peak_lr=2e-4 if whole else 2e-3,
        weight_decay=1e-2,
        warmup_epochs=few / 8,
        label_smoothing=0.1,
        device=device,
        workers=0 if budget != "full" else max(0, (os.cpu_count() or 1) - 1),
    )
    return Plan(
        build=partial(_new_head, model, weights, len(train.classes), whole),
        train=train,
        test=test,
        config=config,
        augmentation=Compose((RandomResizedCrop(side, scale=(0.35, 1.0)), Flip())),
        normalisation=Normalisation(seen.mean, seen.std),
        side=side,
        short_side=short_side,
        notes={"network": model, "whole": whole, "weights": Path(weights).name},
    )


def _photographs(
    budget: str, path: str | None, data: str | None, root: str | os.PathLike[str] | None
) -> tuple[FolderImages, FolderImages]:
    if budget != "full":
        return _drawn_files(20 if budget == "smoke" else 200)
    if (path is None) == (data is None):
        raise ValueError(
            "folder-finetune needs photographs: --option path=FOLDER (with train/CLASS/*.jpg and val/CLASS/*.jpg), or "
            "--option data=NAME of a data set of image files"
        )
    options: dict[str, Any] = {"path": path} if data is None else {}
    name = data or "folder"
    train, test = (load(name, split, root=root, **options) for split in ("train", "val"))
    if not isinstance(train, FolderImages) or not isinstance(test, FolderImages):
        raise ValueError(f"{name!r} is held in memory, not in files; train on it with the recipe classifier")
    return train, test


def _drawn_files(count: int) -> tuple[FolderImages, FolderImages]:
    """Write drawn shapes as image files, so that the small budgets read files like the large one."""
    folder = Path(tempfile.gettempdir()) / f"cnncourse-shapes-{count}"
    for split in ("train", "val"):
        shapes = load("shapes", "train" if split == "train" else "test", side=96, count=count)
        assert isinstance(shapes, LabelledImages)
        _write_files(shapes, folder / split)
    parts = [load("folder", split, path=str(folder)) for split in ("train", "val")]
    assert isinstance(parts[0], FolderImages)
    assert isinstance(parts[1], FolderImages)
    return parts[0], parts[1]


def _write_files(images: LabelledImages, folder: Path) -> None:
    from PIL import Image

    for index, (image, target) in enumerate(zip(images.images, images.targets.tolist(), strict=True)):
        place = folder / images.classes[target]
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{index:04d}.png"
        part = file.with_suffix(f".{os.getpid()}.part")
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(part, format="PNG")
        part.replace(file)


def _new_head(model: str, weights: str, num_classes: int, whole: bool) -> nn.Module:
    """Build the network with its public weights and replace the last layer."""
    network = build(model, weights=weights)
    name, last = [(n, m) for n, m in network.named_modules() if isinstance(m, nn.Linear)][-1]
    if not whole:
        network.requires_grad_(requires_grad=False)
        for module in network.modules():
            if type(module) is nn.BatchNorm2d:
                module.__class__ = FrozenBatchNorm
    parent = network.get_submodule(name.rpartition(".")[0])
    setattr(parent, name.rpartition(".")[2], nn.Linear(last.in_features, num_classes))
    network.__dict__["built_as"] = {"name": find(model).name, "options": {"num_classes": num_classes}}
    return network
