import io
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse.datasets import DataInfo, DownloadError, ImageError, load, packed_files
from cnncourse.datasets.packed_files import Packed, packed_images, read_packed, remembered, write_packed
from cnncourse.paths import course_root

SHARED = course_root().parent / "shared" / "data"
INFO = DataInfo("pair", "Pair", "none", "nobody", "", ("ant", "bee"))


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("CNNCOURSE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def encoded(pixels, kind="PNG"):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind)
    return out.getvalue()


def noise(count=3, side=5):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "train_jpeg.npz"
    write_packed(path, [encoded(pixels) for pixels in noise()], [1, 0, 1], ["ant", "bee"])
    return path


def test_what_is_written_is_read(packed):
    data = packed_images(packed, INFO, "train")
    assert torch.equal(data.images, torch.from_numpy(noise()).permute(0, 3, 1, 2))
    assert data.targets.tolist() == [1, 0, 1]
    assert list(data.sha256) == ["train_jpeg.npz"]
    assert [p.name for p in packed.parent.iterdir() if "part" in p.name] == []


def test_streams_stay_as_they_are(tmp_path):
    files = [encoded(pixels, "JPEG") for pixels in noise()]
    write_packed(tmp_path / "x.npz", files, torch.tensor([0, 0, 1]), ("ant", "bee"))
    content = read_packed(tmp_path / "x.npz")
    assert [content.stream(index) for index in range(len(content))] == files
    with np.load(tmp_path / "x.npz", allow_pickle=False) as raw:
        assert {name: raw[name].dtype.kind for name in raw} == {
            "jpeg": "u",
            "offsets": "i",
            "labels": "u",
            "classes": "U",
        }


def test_nothing_to_pack(tmp_path):
    write_packed(tmp_path / "x.npz", [], [], ["ant", "bee"])
    assert len(packed_images(tmp_path / "x.npz", INFO, "train")) == 0


def test_the_second_load_is_from_the_cache(packed, home, monkeypatch):
    first = packed_images(packed, INFO, "train")
    (kept,) = (home / "decoded").iterdir()
    assert kept.name.startswith("pair-train-")

    def never(*_arguments, **_keywords):
        raise AssertionError("decoded again")

    monkeypatch.setattr(Packed, "decoded", never)
    assert torch.equal(packed_images(packed, INFO, "train").images, first.images)


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_cache_is_made_again(packed, home, damage):
    first = packed_images(packed, INFO, "train")
    (kept,) = (home / "decoded").iterdir()
    content = bytearray(kept.read_bytes())
    content[-1] ^= 1
    kept.write_bytes({"flip": content, "cut": content[:-5], "empty": b""}[damage])
    assert torch.equal(packed_images(packed, INFO, "train").images, first.images)
    (made,) = (home / "decoded").iterdir()
    assert made.name == kept.name
    assert torch.equal(packed_images(packed, INFO, "train").images, first.images)


def test_another_file_is_not_taken_from_the_cache(packed):
    first = packed_images(packed, INFO, "train")
    write_packed(packed, [encoded(255 - pixels) for pixels in noise()], [1, 0, 1], ["ant", "bee"])
    assert torch.equal(packed_images(packed, INFO, "train").images, 255 - first.images)


def test_a_cache_that_cannot_be_written(packed, home):
    home.write_text("in the way")
    assert len(packed_images(packed, INFO, "train")) == 3


def test_a_full_disk(packed, home, monkeypatch):
    def refuse(*_arguments, **_keywords):
        raise OSError("No space left on device")

    monkeypatch.setattr(packed_files.np, "save", refuse)
    assert len(packed_images(packed, INFO, "train")) == 3
    assert list((home / "decoded").iterdir()) == []


def test_remembered_by_hand(home):
    calls = []

    def build():
        calls.append(1)
        return np.arange(6, dtype=np.uint8).reshape(2, 3)

    assert [remembered("key", build).tolist() for _ in range(3)] == [[[0, 1, 2], [3, 4, 5]]] * 3
    assert calls == [1]
    assert remembered("key2", build).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert calls == [1, 1]


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.system, (f"touch {self.path}",))


def test_a_pickle_inside_is_not_executed(packed, tmp_path, home):
    flag = tmp_path / "flag"
    with np.load(packed) as content:
        arrays = dict(content)
    arrays["classes"] = np.array([Malicious(flag), "bee"], dtype=object)
    np.savez(packed, **arrays)
    with pytest.raises(ValueError, match=r"no packed file of images or damaged .*allow_pickle=False"):
        read_packed(packed)
    packed.write_bytes(pickle.dumps(Malicious(flag)))
    with pytest.raises(ValueError, match="no packed file"):
        read_packed(packed)
    (home / "decoded").mkdir(parents=True)
    buffer = io.BytesIO()
    np.save(buffer, np.array([Malicious(flag)], dtype=object), allow_pickle=True)
    import hashlib

    name = f"key.{hashlib.sha256(buffer.getvalue()).hexdigest()}.npy"
    (home / "decoded" / name).write_bytes(buffer.getvalue())
    assert remembered("key", lambda: np.zeros(1, np.uint8)).tolist() == [0]
    assert not flag.exists()


@pytest.mark.parametrize("keep", [0, 10, 0.5, 0.99])
def test_a_truncated_file(packed, keep):
    content = packed.read_bytes()
    packed.write_bytes(content[: keep if keep >= 1 else int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"no packed file of images or damaged .*get it again"):
        read_packed(packed)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"offsets": [0, 3, 2, 10]}, "offsets must rise from 0 to 10, .* not rising"),
        ({"offsets": [0, 3, 5, 9]}, "rise from 0 to 10, the number of bytes, got 0 to 9"),
        ({"offsets": [1, 3, 5, 10]}, "got 1 to 10"),
        ({"offsets": [0, 10]}, "3 labels need 4 offsets"),
        ({"labels": [0, 1, 2]}, r"labels must lie in \[0, 2\), got 0 to 2"),
        ({"labels": [[0, 1, 1]]}, "labels has the wrong type"),
        ({"labels": [0.0, 1.0, 1.0]}, "labels has the wrong type, float64"),
        ({"classes": [1, 2]}, "classes has the wrong type"),
        ({"jpeg": np.zeros(10, np.uint16)}, "jpeg must be bytes"),
        ({"jpeg": None}, "jpeg"),
    ],
)
def test_arrays_that_do_not_fit(tmp_path, changes, message):
    arrays = {
        "jpeg": np.zeros(10, np.uint8),
        "offsets": [0, 3, 5, 10],
        "labels": [0, 1, 1],
        "classes": ["a", "b"],
    }
    arrays |= changes
    np.savez(tmp_path / "x.npz", **{name: value for name, value in arrays.items() if value is not None})
    with pytest.raises(ValueError, match=message):
        read_packed(tmp_path / "x.npz")


def test_images_that_cannot_be_decoded(tmp_path):
    files = [encoded(noise()[0]), b"no image"]
    write_packed(tmp_path / "x.npz", files, [0, 1], ["ant", "bee"])
    with pytest.raises(ImageError, match="image 1 cannot be decoded"):
        packed_images(tmp_path / "x.npz", INFO, "train")
    write_packed(tmp_path / "x.npz", [files[0], encoded(noise(side=7)[0])], [0, 1], ["ant", "bee"])
    with pytest.raises(ImageError, match="image 1 is 7 x 7, the first is 5 x 5; pack images of one size"):
        packed_images(tmp_path / "x.npz", INFO, "train")


def test_refusals(packed, tmp_path):
    with pytest.raises(ValueError, match=r"ends in .npz, got x.zip"):
        write_packed(tmp_path / "x.zip", [], [], [])
    with pytest.raises(ValueError, match="one label for each image, got 1 images, 2 labels"):
        write_packed(tmp_path / "x.npz", [b"1"], [0, 1], ["a", "b"])
    with pytest.raises(ValueError, match="has the classes"):
        packed_images(packed, DataInfo("x", "X", "", "", "", ("a", "b")), "train")
    with pytest.raises(DownloadError, match=r"is not there, and Pair cannot be downloaded: .*CNNCOURSE_HOME"):
        packed_images(tmp_path / "nowhere.npz", INFO, "train")


def test_by_name_when_absent(tmp_path):
    for name, split in (("cifar10-jpeg", "train"), ("tiny_imagenet_20", "val")):
        with pytest.raises(DownloadError, match=f"{split}_jpeg.npz is not there"):
            load(name, split, root=tmp_path)


@pytest.mark.skipif(
    not (SHARED / "cifar10").is_dir(), reason="the copies of CIFAR-10 are not on this machine"
)
def test_cifar_copies_are_near_the_originals():
    """The first 1,000 test images are also there without loss: same order, and as near as JPEG can be."""
    data = load("cifar10-jpeg", "test", root=SHARED)
    assert data.images.shape == (10_000, 3, 32, 32)
    assert data.targets.bincount().tolist() == [1_000] * 10
    assert "not comparable with CIFAR-10" in data.info.title
    assert dict(data.sha256) == {
        "cifar10/test_jpeg.npz": "7e5912224e5f94c4237c6efeacc1a46dc121dc0504514f8750672a963836695c"
    }
    with Image.open(SHARED / "cifar10" / "test_00000.png") as sprite:
        exact = torch.from_numpy(np.array(sprite.convert("RGB")).reshape(-1, 32, 32, 3)).permute(0, 3, 1, 2)
    squared = (data.images[:1000].double() - exact.double()).square().flatten(1).mean(1)
    noise_ratio = 10 * torch.log10(255**2 / squared)
    assert float(noise_ratio.median()) == pytest.approx(30, abs=1.5)  # decibels
    assert float(noise_ratio.min()) > 20  # none is another picture


@pytest.mark.skipif(not (SHARED / "tiny_imagenet20").is_dir(), reason="Tiny ImageNet is not on this machine")
def test_tiny_imagenet():
    data = load("tiny-imagenet-20", "val", root=SHARED)
    assert data.images.shape == (1_000, 3, 64, 64)
    assert data.targets.bincount().tolist() == [50] * 20
    grey = (data.images[:, 0] == data.images[:, 1]).flatten(1).all(1)
    assert 0 < int(grey.sum()) < 50
