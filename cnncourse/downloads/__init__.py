"""Files from the network, for data sets and weights alike: hashed, resumed, kept in one folder."""

from cnncourse.downloads.cache import cache_folder, locked
from cnncourse.downloads.download import CacheError, DownloadError, RemoteFile, fetch, file_sha256

__all__ = [
    "CacheError",
    "DownloadError",
    "RemoteFile",
    "cache_folder",
    "fetch",
    "file_sha256",
    "locked",
]
