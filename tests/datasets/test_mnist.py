import gzip
import hashlib
import os
import shutil
import struct
from pathlib import Path

import pytest
import torch

from cnncourse.datasets import CacheError, DownloadError, fashion_mnist, mnist
from cnncourse.datasets import idx as idx_module
from cnncourse.datasets.idx import read_idx

SHARED = Path(os.environ.get("CNNCOURSE_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


def needs(folder):
    return pytest.mark.skipif(
        not (SHARED / folder / "raw").is_dir(),
        reason=f"{folder} is not on this machine; tests do not download",
    )


def idx_file(shape, values):
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(values)


def test_idx_by_hand():
    content = b"\x00\x00\x08\x02" + b"\x00\x00\x00\x02" + b"\x00\x00\x00\x03" + bytes([1, 2, 3, 4, 5, 255])
    assert read_idx(content).tolist() == [[1, 2, 3], [4, 5, 255]]
    assert read_idx(content).dtype == torch.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with 00 00 08, got "),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x00", "starts with 00 00 08, got 00 00 0d"),
        (idx_file((2, 3), range(5)), r"shape \(2, 3\) holds 6 bytes, got 5"),
        (idx_file((2, 3), range(7)), r"shape \(2, 3\) holds 6 bytes, got 7"),
    ],
)
def test_damaged_idx_is_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read_idx(content)


@pytest.mark.parametrize(
    ("name", "read", "split"),
    [("MNIST", mnist, "train"), ("MNIST", mnist, "test"), ("FashionMNIST", fashion_mnist, "test")],
)
def test_same_images_and_labels_as_torchvision(name, read, split, tmp_path):
    if not (SHARED / name / "raw").is_dir():
        pytest.skip(f"{name} is not on this machine; tests do not download")
    from torchvision import datasets

    (tmp_path / name / "raw").mkdir(parents=True)
    prefix = "train" if split == "train" else "t10k"
    for path in (SHARED / name / "raw").glob(f"{prefix}*.gz"):
        unpacked = tmp_path / name / "raw" / path.stem
        unpacked.write_bytes(gzip.decompress(path.read_bytes()))
    other = "t10k" if split == "train" else "train"
    for kind in ("images-idx3", "labels-idx1"):  # torchvision only asks whether the other split is there
        (tmp_path / name / "raw" / f"{other}-{kind}-ubyte").touch()
    theirs = getattr(datasets, name)(tmp_path, train=split == "train")
    ours = read(split, root=SHARED)
    assert torch.equal(ours.images.squeeze(1), theirs.data)
    assert torch.equal(ours.targets, theirs.targets)
    assert ours.images.shape == (60_000 if split == "train" else 10_000, 1, 28, 28)
    if name == "FashionMNIST":
        assert [c.lower() for c in theirs.classes] == [c.lower() for c in ours.classes]


@needs("MNIST")
def test_the_environment_may_name_the_folder(monkeypatch):
    monkeypatch.setenv("CNNCOURSE_HOME", str(SHARED))
    data = mnist("test")
    assert len(data) == 10_000
    for name, sha256 in data.sha256.items():
        assert hashlib.sha256((SHARED / name).read_bytes()).hexdigest() == sha256


@needs("MNIST")
def test_a_damaged_local_copy_is_not_read(tmp_path, monkeypatch):
    raw = tmp_path / "MNIST" / "raw"
    shutil.copytree(SHARED / "MNIST" / "raw", raw)
    labels = raw / "t10k-labels-idx1-ubyte.gz"
    labels.write_bytes(labels.read_bytes()[:-1])
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(DownloadError, match=r"t10k-labels-idx1-ubyte.gz could not be downloaded"):
        mnist("test", root=tmp_path)


def offline(*_arguments, **_keywords):
    from urllib.error import URLError

    raise URLError("no network in tests")


@pytest.mark.parametrize(("read", "folder"), [(mnist, "MNIST"), (fashion_mnist, "FashionMNIST")])
def test_offline_message_names_the_place(read, folder, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.urlopen", offline)
    with pytest.raises(DownloadError) as caught:
        read("train", root=tmp_path)
    message = str(caught.value)
    assert f"put it here: {tmp_path / folder / 'raw' / 'train-images-idx3-ubyte.gz'}" in message
    assert message.count("https://") >= 2


def test_a_file_of_the_right_hash_that_is_no_archive(tmp_path, monkeypatch):
    monkeypatch.setattr(idx_module, "fetch", lambda remote, folder: folder / remote.name)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    (raw / "t10k-images-idx3-ubyte.gz").write_bytes(b"not gzip")
    with pytest.raises(CacheError, match=r"cannot be read .*delete it"):
        mnist("test", root=tmp_path)


def test_unknown_split():
    with pytest.raises(ValueError, match="'train' or 'test', got 'all'"):
        mnist("all")
