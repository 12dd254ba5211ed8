"""Archives of folders of photographs, unpacked once into the cache."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from cnncourse.datasets.archives import fetched_and_extracted, local_archive, stem
from cnncourse.datasets.folder import SPLIT_FOLDERS, image_folder, visible_folders
from cnncourse.datasets.folder_images import FolderImages
from cnncourse.datasets.labelled import DataInfo
from cnncourse.downloads import RemoteFile, cache_folder


def archive_folder(
    source: str | os.PathLike[str],
    split: str = "train",
    *,
    sha256: str | None = None,
    root: str | os.PathLike[str] | None = None,
    info: DataInfo | None = None,
    unreadable: Literal["stop", "skip"] = "stop",
) -> FolderImages:
    """Return the images in a zip or tar archive of such a folder, unpacked once into the cache.

    Args:
        source: path of the archive, or its address (http or https).
        split: ``"train"``, ``"val"`` or ``"test"``.
        sha256: SHA-256 of the archive; needed for an address, so that what arrives is what was meant.
        root: where it is kept; ``None`` is ``archives`` in :func:`cache_folder`.
        info: see :func:`image_folder`.
        unreadable: see :func:`image_folder`.

    Returns:
        The images, sorted by class and path.

    Raises:
        ValueError: if the archive is not there, has another hash, or :func:`image_folder` refuses its content.
        ArchiveError: if it is damaged or holds links or names that point outside.
        DownloadError: if the address does not give it.
        CacheError: if it cannot be kept.
    """
    place = cache_folder() / "archives" if root is None else Path(root).expanduser()
    address = os.fspath(source)
    if urlsplit(address).scheme in ("http", "https"):
        name = Path(unquote(urlsplit(address).path)).name or "archive"
        if sha256 is None:
            raise ValueError(
                f"an address needs the SHA-256 of what it shall give; state sha256=…, or get {name} in another "
                "way and give its path"
            )
        content = fetched_and_extracted(RemoteFile(name, sha256.lower(), (address,)), place)
        found = sha256.lower()
    else:
        archive = Path(address).expanduser()
        if not archive.is_file():
            raise ValueError(f"{archive} is not a file; give the path or the address of a zip or tar archive")
        name = archive.name
        content, found = local_archive(archive, place)
        if sha256 is not None and found != sha256.lower():
            raise ValueError(f"{archive} has the SHA-256 {found}, not {sha256}; it is another file")
    data = image_folder(_top(content), split, info=info, unreadable=unreadable)
    described = data.info if info else replace(data.info, name=stem(name), title=stem(name))
    return replace(data, info=described, sha256={name: found})


def images_at(
    split: str = "train",
    *,
    path: str | os.PathLike[str],
    sha256: str | None = None,
    root: str | os.PathLike[str] | None = None,
    unreadable: Literal["stop", "skip"] = "stop",
) -> FolderImages:
    """Return the images in a folder, or in an archive of one, whichever the path or address names.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        path: a folder for :func:`image_folder`, or a file or address for :func:`archive_folder`.
        sha256: SHA-256 of an archive.
        root: where an archive is kept.
        unreadable: see :func:`image_folder`.

    Returns:
        The images, sorted by class and path.

    Raises:
        ValueError: if there is nothing at the path, or its content is refused.
        DownloadError: if an address does not give the archive.
        CacheError: if it cannot be kept.
    """
    address = os.fspath(path)
    remote = urlsplit(address).scheme in ("http", "https")
    if remote or Path(address).expanduser().is_file():
        return archive_folder(path, split, sha256=sha256, root=root, unreadable=unreadable)
    return image_folder(path, split, unreadable=unreadable)


def _top(folder: Path) -> Path:
    """Go down through folders that hold nothing but one folder of folders."""
    while True:
        inside = [entry for entry in folder.iterdir() if not entry.name.startswith((".", "__"))]
        if len(inside) != 1 or not inside[0].is_dir() or not any(True for _ in visible_folders(inside[0])):
            return folder
        if inside[0].name in SPLIT_FOLDERS["train"]:
            return folder
        folder = inside[0]
