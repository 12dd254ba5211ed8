"""Data sets that a recipe needs in memory, as tensors."""

import os
from typing import Any

from cnncourse.datasets import LabelledImages, load


def load_in_memory(
    name: str, split: str, *, root: str | os.PathLike[str] | None = None, **options: Any
) -> LabelledImages:
    """Return a part of a data set of small images.

    Args:
        name: of the data set; see :func:`cnncourse.datasets.names`.
        split: ``"train"``, ``"val"`` or ``"test"``.
        root: folder with the data; ``None`` is the cache.
        **options: of the data set.

    Returns:
        The images.

    Raises:
        ValueError: if a name is unknown, or the images stay in files.
    """
    images = load(name, split, root=root, **options)
    if not isinstance(images, LabelledImages):
        raise ValueError(f"{name!r} is read from image files; train on it with the recipe folder-finetune")
    return images
