"""The Oxford-IIIT Pet data set: 37 breeds of cats and dogs."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from cnncourse.datasets.archives import fetched_and_extracted
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import DataInfo
from cnncourse.downloads import CacheError, RemoteFile, cache_folder, file_sha256

PETS = DataInfo(
    name="pets",
    title="Oxford-IIIT Pet",
    licence="CC BY-SA 4.0; the photographs belong to their owners",
    citation="O. M. Parkhi, A. Vedaldi, A. Zisserman and C. V. Jawahar, Cats and Dogs, CVPR 2012",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/pets/",
    classes=(
        *("Abyssinian", "American Bulldog", "American Pit Bull Terrier", "Basset Hound", "Beagle", "Bengal"),
        *("Birman", "Bombay", "Boxer", "British Shorthair", "Chihuahua", "Egyptian Mau"),
        *("English Cocker Spaniel", "English Setter", "German Shorthaired", "Great Pyrenees", "Havanese"),
        *("Japanese Chin", "Keeshond", "Leonberger", "Maine Coon", "Miniature Pinscher", "Newfoundland"),
        *("Persian", "Pomeranian", "Pug", "Ragdoll", "Russian Blue", "Saint Bernard", "Samoyed"),
        *("Scottish Terrier", "Shiba Inu", "Siamese", "Sphynx", "Staffordshire Bull Terrier"),
        *("Wheaten Terrier", "Yorkshire Terrier"),
    ),
)

_PLACES = ("https://www.robots.ox.ac.uk/~vgg/data/pets/data", "https://thor.robots.ox.ac.uk/datasets/pets")
IMAGES = RemoteFile(
    "images.tar.gz",
    "67195c5e1c01f1ab5f9b6a5d22b8c27a580d896ece458917e61d459337fa318d",
    tuple(f"{place}/images.tar.gz" for place in _PLACES),
)
ANNOTATIONS = RemoteFile(
    "annotations.tar.gz",
    "52425fb6de5c424942b7626b428656fcbd798db970a937df61750c0f1d358e91",
    tuple(f"{place}/annotations.tar.gz" for place in _PLACES),
)

SIZES = {"train": 3_680, "test": 3_669}


def pets(
    split: Literal["train", "test"],
    *,
    root: str | os.PathLike[str] | None = None,
    labels: Literal["breed", "species"] = "breed",
) -> FolderImages:
    """Return the Oxford-IIIT Pet data set: about 200 photographs of each of 37 breeds.

    Parkhi, Vedaldi, Zisserman & Jawahar (2012), section 2.

    Args:
        split: ``"train"`` (what the authors call trainval) or ``"test"``.
        root: folder that holds, or shall hold, ``oxford-iiit-pet`` with the two archives, or with the folders
            ``images`` and ``annotations`` out of them; ``None`` is :func:`cache_folder`.
        labels: ``"breed"`` (37 classes) or ``"species"`` (cat or dog).

    Returns:
        Paths and labels, in the authors' order.

    Raises:
        ValueError: if the split or the kind of labels is unknown.
        DownloadError: if something is missing and no mirror gives it.
        CacheError: if what is there is incomplete or cannot be kept.
    """
    if split not in SIZES:
        raise ValueError(f"split must be 'train' or 'test', got {split!r}")
    if labels not in ("breed", "species"):
        raise ValueError(f"labels must be 'breed' or 'species', got {labels!r}")
    place = (cache_folder() if root is None else Path(root).expanduser()) / "oxford-iiit-pet"
    images = _folder(place, "images", IMAGES)
    annotations = _folder(place, "annotations", ANNOTATIONS)
    listing = annotations / ("trainval.txt" if split == "train" else "test.txt")
    paths, targets = _listed(listing, images, 1 if labels == "breed" else 2)
    info = (
        PETS if labels == "breed" else replace(PETS, title=f"{PETS.title}, species", classes=("cat", "dog"))
    )
    sha256 = {f"annotations/{listing.name}": file_sha256(listing)}
    if images.parent != place:  # unpacked here, so it is known from what
        sha256[IMAGES.name] = IMAGES.sha256
    return FolderImages(tuple(paths), torch.tensor(targets, dtype=torch.int64), info, split, sha256)


def _folder(place: Path, name: str, archive: RemoteFile) -> Path:
    there = place / name
    return there if there.is_dir() else fetched_and_extracted(archive, place) / name


def _listed(listing: Path, images: Path, column: int) -> tuple[list[Path], list[int]]:
    """Read a list of the authors': name of the image, number of the breed, of the species, of the breed in it."""
    paths, targets = [], []
    try:
        lines = listing.read_text(encoding="utf-8").splitlines()
        for line in filter(str.strip, lines):
            fields = line.split()
            paths.append(images / f"{fields[0]}.jpg")
            targets.append(int(fields[column]) - 1)
    except (OSError, ValueError, IndexError) as error:
        raise CacheError(
            f"{listing} cannot be read ({error}); delete its folder, and it is unpacked again"
        ) from error
    missing = [path for path in paths if not path.is_file()]
    if missing or not paths:
        raise CacheError(
            f"{images} is incomplete: {len(missing)} of {len(paths)} images are missing, such as "
            f"{missing[0].name if missing else 'all of them'}; delete the folder, and it is unpacked again"
        )
    return paths, targets
