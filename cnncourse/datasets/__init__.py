"""Labelled images: readers of one form, downloads that can be trusted, batches that live on the device."""

from cnncourse.datasets.cache import cache_folder
from cnncourse.datasets.download import CacheError, DownloadError, RemoteFile, fetch
from cnncourse.datasets.embedded import digits
from cnncourse.datasets.folder_images import FolderImages, ImageError
from cnncourse.datasets.idx import fashion_mnist, mnist
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.loader import Batches, batches
from cnncourse.datasets.normalisation import Normalisation
from cnncourse.datasets.streamed import StreamedBatches, WorkerError

__all__ = [
    "Batches",
    "CacheError",
    "DataInfo",
    "DownloadError",
    "FolderImages",
    "ImageError",
    "LabelledImages",
    "Normalisation",
    "RemoteFile",
    "StreamedBatches",
    "WorkerError",
    "batches",
    "cache_folder",
    "digits",
    "fashion_mnist",
    "fetch",
    "mnist",
]
