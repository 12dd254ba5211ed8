"""Flowers, pets, Imagenette, ants and bees: small files of the original layout, served from this machine."""

import hashlib
import http.server
import shutil
import tarfile
import threading
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from cnncourse.datasets import CacheError, DownloadError, RemoteFile, flowers, imagenette, load, pets
from cnncourse.datasets.flowers import FLOWERS102
from cnncourse.datasets.imagenette import HYMENOPTERA, IMAGENETTE, WNIDS
from cnncourse.datasets.pets import PETS
from cnncourse.paths import course_root

SHARED = course_root().parent / "shared" / "data"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        self.server.seen.append(self.path)


@pytest.fixture
def server(tmp_path):
    """A web server for the folder ``site``, which remembers what was asked for."""
    (tmp_path / "site").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "site"))
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    served.seen, served.site = [], tmp_path / "site"
    served.address = f"http://127.0.0.1:{served.server_address[1]}"
    thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture
def offline(monkeypatch):
    def refuse(*_arguments, **_keywords):
        from urllib.error import URLError

        raise URLError("no network in tests")

    monkeypatch.setattr("urllib.request.urlopen", refuse)


def picture(path, level, size=(8, 6)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (level % 256, 3, 200)).save(path)


def remote(server, name):
    sha256 = hashlib.sha256((server.site / name).read_bytes()).hexdigest()
    return RemoteFile(name, sha256, (f"{server.address}/{name}",))


def tarred(archive, folder, *members):
    with tarfile.open(archive, "w:gz") as tar:
        for member in members:
            tar.add(folder / member, member)


def make_flowers(folder):
    """Write 306 images, three for each class, one in each part, in an order of their own."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.arange(1, 307))
    labels = np.zeros(306, dtype=np.uint8)
    labels[numbers - 1] = np.arange(306) // 3 + 1
    for number in numbers.tolist():
        picture(folder / "jpg" / f"image_{number:05d}.jpg", number)
    parts = {
        key: numbers[index::3].astype(np.uint16)[None]
        for index, key in enumerate(("tstid", "trnid", "valid"))
    }
    savemat(folder / "imagelabels.mat", {"labels": labels[None]})
    savemat(folder / "setid.mat", parts)


@pytest.fixture
def flower_site(server, monkeypatch):
    make_flowers(server.site)
    tarred(server.site / "102flowers.tgz", server.site, "jpg")
    shutil.rmtree(server.site / "jpg")
    for name, file in (("IMAGES", "102flowers.tgz"), ("LABELS", "imagelabels.mat"), ("SETS", "setid.mat")):
        monkeypatch.setattr(flowers, name, remote(server, file))
    return server


def assert_same_flowers(root, monkeypatch):
    from torchvision.datasets import Flowers102

    monkeypatch.setattr("torchvision.datasets.flowers102.check_integrity", lambda *_arguments: True)
    if not (root / "flowers-102" / "jpg").is_dir():
        (unpacked,) = (root / "flowers-102").glob("102flowers-*")
        shutil.copytree(unpacked / "jpg", root / "flowers-102" / "jpg")
    for split in ("train", "val", "test"):
        ours, theirs = load("flowers102", split, root=root), Flowers102(root, split)
        assert [path.name for path in ours.paths] == [path.name for path in theirs._image_files]
        assert ours.targets.tolist() == theirs._labels
        assert sorted(ours.targets.tolist()) == list(range(102))
    assert list(FLOWERS102.classes) == Flowers102.classes


def test_flowers_downloaded(flower_site, tmp_path, monkeypatch):
    data = load("flowers102", "val", root=tmp_path / "root")
    assert sorted(flower_site.seen) == ["/102flowers.tgz", "/imagelabels.mat", "/setid.mat"]
    assert data.paths[0].is_file()
    assert set(data.sha256) == {"102flowers.tgz", "imagelabels.mat", "setid.mat"}
    assert_same_flowers(tmp_path / "root", monkeypatch)
    assert len(flower_site.seen) == 3  # once and never again


def test_flowers_in_torchvisions_folder(flower_site, tmp_path, monkeypatch):
    make_flowers(tmp_path / "root" / "flowers-102")
    for remote_file in (flowers.LABELS, flowers.SETS):  # a .mat file holds the time it was written
        shutil.copy(flower_site.site / remote_file.name, tmp_path / "root" / "flowers-102")
    assert_same_flowers(tmp_path / "root", monkeypatch)
    assert flower_site.seen == []
    victim = load("flowers102", "test", root=tmp_path / "root").paths[7]
    victim.unlink()
    with pytest.raises(
        CacheError, match=f"jpg is incomplete: 1 of 102 images are missing, such as {victim.name}"
    ):
        load("flowers102", "test", root=tmp_path / "root")


def make_pets(folder):
    """Write two images a breed and part; the number in the name is no order."""
    lines = {"trainval.txt": [], "test.txt": []}
    for label, name in enumerate(PETS.classes, 1):
        breed = name.replace(" ", "_")
        species = 1 if label % 3 == 0 else 2
        for index, part in enumerate(("trainval.txt", "test.txt", "test.txt", "trainval.txt")):
            picture(folder / "images" / f"{breed}_{index * 7 + 1}.jpg", label + index)
            lines[part].append(f"{breed}_{index * 7 + 1} {label} {species} {label}\n")
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "images" / "stray.mat").write_bytes(b"x")
    for part, rows in lines.items():
        (folder / "annotations" / part).write_text("".join(rows))


def assert_same_pets(root):
    from torchvision.datasets import OxfordIIITPet

    for ours, theirs in (("train", "trainval"), ("test", "test")):
        judge = OxfordIIITPet(root, theirs, target_types=("category", "binary-category"))
        breed, species = load("pets", ours, root=root), load("pets", ours, root=root, labels="species")
        assert [path.name for path in breed.paths] == [path.name for path in judge._images]
        assert breed.targets.tolist() == judge._labels
        assert list(breed.classes) == judge.classes
        assert species.targets.tolist() == judge._bin_labels
        assert [name.title() for name in species.classes] == judge.bin_classes


def test_pets_in_torchvisions_folder(tmp_path, offline):
    make_pets(tmp_path / "oxford-iiit-pet")
    assert_same_pets(tmp_path)
    (tmp_path / "oxford-iiit-pet" / "images" / "Persian_1.jpg").unlink()
    with pytest.raises(
        CacheError, match=r"images is incomplete: 1 of 74 images are missing, such as Persian_1.jpg"
    ):
        load("pets", "train", root=tmp_path)
    (tmp_path / "oxford-iiit-pet" / "annotations" / "test.txt").write_text("Persian_1 x\n")
    with pytest.raises(CacheError, match=r"test.txt cannot be read"):
        load("pets", "test", root=tmp_path)


def test_pets_downloaded(server, tmp_path, monkeypatch):
    make_pets(server.site)
    for name, file in (("IMAGES", "images"), ("ANNOTATIONS", "annotations")):
        tarred(server.site / f"{file}.tar.gz", server.site, file)
        monkeypatch.setattr(pets, name, remote(server, f"{file}.tar.gz"))
    root = tmp_path / "root"
    data = load("pets", "train", root=root)
    assert (len(data), data.paths[0].is_file()) == (74, True)
    assert set(data.sha256) == {"annotations/trainval.txt", "images.tar.gz"}
    load("pets", "test", root=root)
    assert sorted(server.seen) == ["/annotations.tar.gz", "/images.tar.gz"]
    for name in ("images", "annotations"):
        (unpacked,) = (root / "oxford-iiit-pet").glob(f"{name}-*")
        shutil.copytree(unpacked / name, root / "oxford-iiit-pet" / name)
    assert_same_pets(root)


def make_parts(folder, class_folders):
    for part, count in (("train", 3), ("val", 2)):
        for label, name in enumerate(class_folders):
            for index in range(count):
                picture(folder / part / name / f"{index}.JPEG", label * 10 + index)


def test_imagenette_downloaded(server, tmp_path, monkeypatch):
    from torchvision.datasets import Imagenette

    make_parts(server.site / "imagenette2-160", WNIDS)
    tarred(server.site / "imagenette2-160.tgz", server.site, "imagenette2-160")
    served = remote(server, "imagenette2-160.tgz")
    monkeypatch.setattr(imagenette, "_FASTAI", server.address)
    monkeypatch.setitem(imagenette._IMAGENETTE_ARCHIVES, "160", ("imagenette2-160", served.sha256))
    monkeypatch.setattr(imagenette, "IMAGENETTE_SIZES", {"train": 30, "val": 20})
    data = load("imagenette", "val", root=tmp_path / "root")
    assert (len(data), data.info, data.sha256) == (20, IMAGENETTE, {served.name: served.sha256})
    assert server.seen == ["/imagenette2-160.tgz"]
    (unpacked,) = (tmp_path / "root").glob("imagenette2-160-*")
    for split in ("train", "val"):
        theirs = Imagenette(unpacked, split, size="160px")
        ours = load("imagenette", split, root=tmp_path / "root")
        assert [(str(p), int(t)) for p, t in zip(ours.paths, ours.targets, strict=True)] == theirs._samples
    assert [names[0] for names in theirs.classes] == list(IMAGENETTE.classes)
    assert theirs.wnids == list(WNIDS)


def test_hymenoptera_downloaded(server, tmp_path, monkeypatch):
    make_parts(server.site / "hymenoptera_data", HYMENOPTERA.classes)
    (server.site / "hymenoptera_data" / "train" / "ants" / "imageNotFound.gif").write_bytes(b"GIF89a")
    shutil.make_archive(str(server.site / "hymenoptera_data"), "zip", server.site, "hymenoptera_data")
    monkeypatch.setattr(imagenette, "_HYMENOPTERA_ARCHIVE", remote(server, "hymenoptera_data.zip"))
    monkeypatch.setattr(imagenette, "HYMENOPTERA_SIZES", {"train": 6, "val": 4})
    data = load("hymenoptera", "train", root=tmp_path / "root")  # no warning: this stray file is known
    assert (len(data), len(data.ignored), data.info) == (6, 1, HYMENOPTERA)
    assert server.seen == ["/hymenoptera_data.zip"]


def test_a_part_of_a_data_set_says_so(tmp_path, offline):
    make_parts(tmp_path / "imagenette", WNIDS)
    data = load("imagenette", "train", root=tmp_path)
    assert data.info.title == "Imagenette (a part: 30 of 9,469 images)"
    assert load("imagenette", "train", root=tmp_path, size="320").paths == data.paths
    shutil.rmtree(tmp_path / "imagenette" / "train" / "n01440764")
    shutil.rmtree(tmp_path / "imagenette" / "val" / "n01440764")
    with pytest.raises(ValueError, match=r"has the class folders n02102040.*; expected n01440764"):
        load("imagenette", "train", root=tmp_path)


@pytest.mark.skipif(not (SHARED / "hymenoptera").is_dir(), reason="the photographs are not on this machine")
def test_real_photographs():
    train, val = (load("hymenoptera", split, root=SHARED) for split in ("train", "val"))
    assert (train.targets.bincount().tolist(), val.targets.bincount().tolist()) == ([123, 121], [70, 83])
    assert train.info == HYMENOPTERA
    small = val.select(slice(0, 10)).to_images(64)
    assert small.images.shape == (10, 3, 64, 64)
    assert torch.is_nonzero(small.images.float().std() > 20)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("imagenette", "imagenette2-160.tgz"),
        ("hymenoptera", "hymenoptera_data.zip"),
        ("flowers102", "flowers-102/imagelabels.mat"),
        ("pets", "oxford-iiit-pet/images.tar.gz"),
    ],
)
def test_offline_message_names_the_place(tmp_path, offline, name, file):
    with pytest.raises(DownloadError) as caught:
        load(name, "train", root=tmp_path)
    assert f"put it here: {tmp_path / file}" in str(caught.value)
    assert "Its SHA-256 must be " in str(caught.value)


@pytest.mark.parametrize(
    ("read", "arguments", "message"),
    [
        (
            imagenette.imagenette,
            {"split": "test"},
            "'train' or 'val', got 'test'; Imagenette has no other part",
        ),
        (imagenette.hymenoptera, {"split": "test"}, "'train' or 'val'"),
        (imagenette.imagenette, {"split": "val", "size": 224}, "'160', '320' or 'full', got 224"),
        (flowers.flowers102, {"split": "all"}, "'train', 'val' or 'test', got 'all'"),
        (pets.pets, {"split": "trainval"}, "'train' or 'test', got 'trainval'"),
        (pets.pets, {"split": "test", "labels": "x"}, "'breed' or 'species', got 'x'"),
    ],
)
def test_unknown_options(read, arguments, message):
    with pytest.raises(ValueError, match=message):
        read(**arguments)
