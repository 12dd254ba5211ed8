"""The Oxford 102 Category Flower data set."""

import os
from pathlib import Path
from typing import Literal

import torch

from cnncourse.datasets.archives import fetched_and_extracted
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import DataInfo
from cnncourse.downloads import CacheError, RemoteFile, cache_folder, fetch

FLOWERS102 = DataInfo(
    name="flowers102",
    title="Oxford 102 Flowers",
    licence="none stated; the photographs belong to others",
    citation="M.-E. Nilsback and A. Zisserman, Automated Flower Classification over a Large Number of Classes, "
    "Indian Conference on Computer Vision, Graphics and Image Processing, 2008",
    homepage="https://www.robots.ox.ac.uk/~vgg/data/flowers/102/",
    classes=(
        *("pink primrose", "hard-leaved pocket orchid", "canterbury bells", "sweet pea"),
        *("english marigold", "tiger lily", "moon orchid", "bird of paradise", "monkshood"),
        *("globe thistle", "snapdragon", "colt's foot", "king protea", "spear thistle", "yellow iris"),
        *("globe-flower", "purple coneflower", "peruvian lily", "balloon flower"),
        *("giant white arum lily", "fire lily", "pincushion flower", "fritillary", "red ginger"),
        *("grape hyacinth", "corn poppy", "prince of wales feathers", "stemless gentian", "artichoke"),
        *("sweet william", "carnation", "garden phlox", "love in the mist", "mexican aster"),
        *("alpine sea holly", "ruby-lipped cattleya", "cape flower", "great masterwort", "siam tulip"),
        *("lenten rose", "barbeton daisy", "daffodil", "sword lily", "poinsettia", "bolero deep blue"),
        *("wallflower", "marigold", "buttercup", "oxeye daisy", "common dandelion", "petunia"),
        *("wild pansy", "primula", "sunflower", "pelargonium", "bishop of llandaff", "gaura", "geranium"),
        *("orange dahlia", "pink-yellow dahlia?", "cautleya spicata", "japanese anemone"),
        *("black-eyed susan", "silverbush", "californian poppy", "osteospermum", "spring crocus"),
        *("bearded iris", "windflower", "tree poppy", "gazania", "azalea", "water lily", "rose"),
        *("thorn apple", "morning glory", "passion flower", "lotus", "toad lily", "anthurium"),
        *("frangipani", "clematis", "hibiscus", "columbine", "desert-rose", "tree mallow", "magnolia"),
        *("cyclamen", "watercress", "canna lily", "hippeastrum", "bee balm", "ball moss", "foxglove"),
        *("bougainvillea", "camellia", "mallow", "mexican petunia", "bromelia", "blanket flower"),
        *("trumpet creeper", "blackberry lily"),
    ),
)


def _remote(name: str, sha256: str) -> RemoteFile:
    return RemoteFile(name, sha256, (f"https://www.robots.ox.ac.uk/~vgg/data/flowers/102/{name}",))


IMAGES = _remote("102flowers.tgz", "2d01ecc807db462958cfe3d92f57a8c252b4abd240eb955770201e45f783b246")
LABELS = _remote("imagelabels.mat", "4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d")
SETS = _remote("setid.mat", "46b8678f91fd95d3c8f4feab80d271a6c834a1dd896fe29fd3e6ad9ce5c8dccd")

_VARIABLES = {"train": "trnid", "val": "valid", "test": "tstid"}


def flowers102(
    split: Literal["train", "val", "test"], *, root: str | os.PathLike[str] | None = None
) -> FolderImages:
    """Return the Oxford 102 flowers: 1,020 photographs to train with, 1,020 to choose with, 6,149 to test with.

    Nilsback & Zisserman (2008). The parts are the authors': the largest is for testing.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        root: folder that holds, or shall hold, ``flowers-102`` with ``imagelabels.mat``, ``setid.mat`` and
            either ``102flowers.tgz`` or the folder ``jpg`` out of it; ``None`` is :func:`cache_folder`.

    Returns:
        Paths and labels, in the authors' order.

    Raises:
        ValueError: if the split is unknown.
        DownloadError: if something is missing and no mirror gives it.
        CacheError: if what is there is incomplete or cannot be kept.
    """
    if split not in _VARIABLES:
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    from scipy.io.matlab import loadmat

    place = (cache_folder() if root is None else Path(root).expanduser()) / "flowers-102"
    labels = loadmat(fetch(LABELS, place))["labels"].reshape(-1)  # type: ignore[no-untyped-call]
    numbers = loadmat(fetch(SETS, place))[_VARIABLES[split]].reshape(-1)  # type: ignore[no-untyped-call]
    there = place / "jpg"
    images = there if there.is_dir() else fetched_and_extracted(IMAGES, place) / "jpg"
    paths = tuple(images / f"image_{number:05d}.jpg" for number in numbers.tolist())
    missing = [path for path in paths if not path.is_file()]
    if missing:
        raise CacheError(
            f"{images} is incomplete: {len(missing)} of {len(paths)} images are missing, such as "
            f"{missing[0].name}; delete the folder, and it is unpacked again"
        )
    remotes = (LABELS, SETS) if images == there else (LABELS, SETS, IMAGES)
    return FolderImages(
        paths,
        torch.from_numpy(labels[numbers - 1].astype("int64") - 1),
        FLOWERS102,
        split,
        {remote.name: remote.sha256 for remote in remotes},
    )
