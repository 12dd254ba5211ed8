"""Labelled images: readers of one form, downloads that can be trusted, batches that live on the device."""

from cnncourse.datasets.archives import ArchiveError
from cnncourse.datasets.catalogue import CATALOGUE, Entry, entry, load, names
from cnncourse.datasets.colour_baseline import colour_histogram_baseline
from cnncourse.datasets.duplicates import find_duplicates, find_near_duplicates
from cnncourse.datasets.embedded import digits
from cnncourse.datasets.folder import image_folder
from cnncourse.datasets.folder_archives import archive_folder
from cnncourse.datasets.folder_images import FolderImages, ImageError
from cnncourse.datasets.idx import fashion_mnist, mnist
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.loader import Batches, batches
from cnncourse.datasets.normalisation import Normalisation
from cnncourse.datasets.patches import patches
from cnncourse.datasets.shapes import ShapeImages, shapes
from cnncourse.datasets.splits import stratified_split
from cnncourse.datasets.statistics import DataStatistics, statistics
from cnncourse.datasets.streamed import StreamedBatches, WorkerError
from cnncourse.downloads import CacheError, DownloadError, RemoteFile, cache_folder, fetch

__all__ = [
    "CATALOGUE",
    "ArchiveError",
    "Batches",
    "CacheError",
    "DataInfo",
    "DataStatistics",
    "DownloadError",
    "Entry",
    "FolderImages",
    "ImageError",
    "LabelledImages",
    "Normalisation",
    "RemoteFile",
    "ShapeImages",
    "StreamedBatches",
    "WorkerError",
    "archive_folder",
    "batches",
    "cache_folder",
    "colour_histogram_baseline",
    "digits",
    "entry",
    "fashion_mnist",
    "fetch",
    "find_duplicates",
    "find_near_duplicates",
    "image_folder",
    "load",
    "mnist",
    "names",
    "patches",
    "shapes",
    "statistics",
    "stratified_split",
]
