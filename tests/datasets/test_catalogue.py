import json
import subprocess
import sys

import pytest
import torch
from PIL import Image

from cnncourse.datasets import CATALOGUE, DataInfo, FolderImages, LabelledImages, entry, load, names
from cnncourse.datasets.catalogue import Entry
from cnncourse.paths import course_root

SHARED = course_root().parent / "shared" / "data"
NAMES = (
    *("digits", "patches", "shapes", "mnist", "fashion-mnist", "cifar10", "cifar100", "cifar10-jpeg"),
    *("tiny-imagenet-20", "imagenette", "hymenoptera", "flowers102", "pets", "folder"),
)
EMBEDDED = [name for name in NAMES if CATALOGUE[name].source == "embedded"]
HERE = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "cifar10-jpeg": "cifar10",
    "tiny-imagenet-20": "tiny_imagenet20",
    "hymenoptera": "hymenoptera",
}


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """Keep decoded images out of the cache of whoever runs this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNCOURSE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def test_names():
    assert names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_is_complete(name):
    known = entry(name)
    said = json.loads(json.dumps(known.as_dict()))
    assert (known.name, said["name"]) == (name, name)
    if name == "folder":
        assert said["options"] == ["path", "sha256", "unreadable"]
        return
    assert isinstance(known.info, DataInfo)
    assert known.info.name == name
    for field in ("title", "licence", "citation", "homepage"):
        assert len(said[field]) > 2, field
    assert said["homepage"].startswith("http")
    assert len(set(said["classes"])) == len(said["classes"]) >= 2
    assert set(said["images"]) <= {"train", "val", "test"}
    assert min(said["images"].values()) > 0
    assert (said["download_bytes"] > 0) == (said["source"] == "download")


def test_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        CATALOGUE["mine"] = CATALOGUE["digits"]
    with pytest.raises(TypeError):
        CATALOGUE["digits"].images["train"] = 0


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_are_as_described(name, split):
    assert_as_described(name, split, load(name, split))


@pytest.mark.parametrize("name", HERE)
def test_local_data_are_as_described(name):
    if not (SHARED / HERE[name]).is_dir():
        pytest.skip(f"{name} is not on this machine; tests do not download")
    for split in entry(name).images:
        assert_as_described(name, split, load(name, split, root=SHARED))


def assert_as_described(name, split, data):
    known = entry(name)
    assert len(data) == known.images[split]
    assert data.info == known.info
    if known.side is None:
        assert isinstance(data, FolderImages)
    else:
        assert isinstance(data, LabelledImages)
        assert data.images.shape[2:] == (known.side, known.side)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_download_sizes(name, folder):
    if not (SHARED / folder / "raw").is_dir():
        pytest.skip(f"{name} is not on this machine")
    sizes = [path.stat().st_size for path in (SHARED / folder / "raw").glob("*.gz")]
    assert sum(sizes) == entry(name).download_bytes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("fashion_mnist", "fashion-mnist"),
        ("FashionMNIST", "fashion-mnist"),
        ("CIFAR-10", "cifar10"),
        ("tiny_imagenet_20", "tiny-imagenet-20"),
        ("cifar10_jpeg", "cifar10-jpeg"),
        ("Flowers 102", "flowers102"),
    ],
)
def test_spelling_does_not_matter(written, meant):
    assert entry(written) is CATALOGUE[meant]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("mnst", "mnist"),
        ("cifar-1o", "cifar10"),
        ("fashon", "fashion-mnist"),
        ("pet", "pets"),
        ("digit", "digits"),
    ],
)
def test_a_slip_is_guessed(written, meant):
    with pytest.raises(
        ValueError, match=f"no data set '{written}'; did you mean '{meant}'\\? Known are digits"
    ):
        load(written, "train")


def test_nonsense_is_not_guessed():
    with pytest.raises(ValueError, match="no data set 'xyzzy-q'; Known are digits, patches"):
        load("xyzzy-q", "train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digits", "split": "all"}, "'train', 'val' or 'test', got 'all'"),
        (
            {"name": "digits", "split": "val"},
            "digits has no validation part; hold one out .*same val_fraction",
        ),
        ({"name": "imagenette", "split": "test"}, "has the parts train and val, and no 'test'"),
        (
            {"name": "digits", "split": "train", "sides": 9},
            "no option 'sides'; it takes side, fit, .*val_seed",
        ),
        ({"name": "mnist", "split": "train", "side": 9}, "no option 'side'; it takes val_fraction, val_seed"),
        ({"name": "digits", "split": "train", "root": "/tmp"}, "digits is embedded and needs no files"),
        ({"name": "folder", "split": "train"}, "folder needs the option path; add path="),
        (
            {"name": "flowers102", "split": "train", "val_fraction": 0.1},
            "flowers102 has a validation part of its own; leave val_fraction out",
        ),
        ({"name": "digits", "split": "val", "val_fraction": 1.5}, "strictly between 0 and 1, got 1.5"),
        ({"name": "digits", "split": "train", "val_fraction": 0}, "strictly between 0 and 1, got 0"),
        (
            {"name": "digits", "split": "train", "val_fraction": 0.999},
            "val_fraction=0.999 leaves no|leaves one part empty",
        ),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        load(**arguments)


def identities(data):
    """Return a number for each image that tells it from all others of its data set."""
    if isinstance(data, FolderImages):
        return [hash(path) for path in data.paths]
    return [hash(image.tobytes()) for image in data.images.numpy()]


@pytest.mark.parametrize("name", [*EMBEDDED, *(name for name in HERE if "val" not in CATALOGUE[name].images)])
def test_held_out_images_are_disjoint_and_stratified(name):
    root = {}
    if name in HERE:
        if not (SHARED / HERE[name]).is_dir():
            pytest.skip(f"{name} is not on this machine; tests do not download")
        root = {"root": SHARED}
    whole = load(name, "train", **root)
    train, val = (load(name, split, val_fraction=0.1, **root) for split in ("train", "val"))
    everything = identities(whole)
    assert len(set(everything)) == len(everything)  # so that the next line says something
    assert sorted(identities(train) + identities(val)) == sorted(everything)
    assert (val.targets.bincount() - 0.1 * whole.targets.bincount()).abs().max() <= 0.5


def test_the_seed_decides_what_is_held_out():
    val, again = (load("digits", "val", val_fraction=0.1) for _ in range(2))
    assert identities(again) == identities(val)
    other = load("digits", "val", val_fraction=0.1, val_seed=1)
    assert identities(other) != identities(val)
    assert torch.equal(load("digits", "test", val_fraction=0.1).images, load("digits", "test").images)
    padded = load("digits", "val", val_fraction=0.1, side=10, fit="pad")
    assert torch.equal(padded.targets, val.targets)


@pytest.fixture
def own(tmp_path):
    for label, name in enumerate(("ant", "bee")):
        for index in range(10):
            (tmp_path / "own" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (5, 4), (label, index, 0)).save(tmp_path / "own" / name / f"{index}.png")
    return tmp_path / "own"


def test_a_folder_of_ones_own(own):
    train, val = (load("folder", split, path=own, val_fraction=0.2) for split in ("train", "val"))
    assert (len(train), len(val)) == (16, 4)
    assert not set(train.paths) & set(val.paths)
    assert len(load("folder", "train", path=own)) == 20
    with pytest.raises(ValueError, match="has no part 'test', only train"):
        load("folder", "test", path=own)
    with pytest.raises(ValueError, match="has no part 'val', only train"):
        load("folder", "val", path=own)


def test_a_folder_with_its_own_validation_part(own, tmp_path):
    for part in ("train", "val"):
        (tmp_path / "parted").mkdir(exist_ok=True)
        (tmp_path / "parted" / part).symlink_to(own)
    assert len(load("folder", "val", path=tmp_path / "parted")) == 20
    with pytest.raises(ValueError, match="folder has a validation part of its own"):
        load("folder", "val", path=tmp_path / "parted", val_fraction=0.1)


def test_a_class_lost_to_validation(own):
    for index in range(1, 10):
        (own / "bee" / f"{index}.png").unlink()
    with pytest.raises(
        ValueError, match=r"val_fraction=0.6 leaves no image of 'bee' to learn from; take a smaller"
    ):
        load("folder", "train", path=own, val_fraction=0.6)


def test_looking_things_up_imports_little():
    program = (
        "import sys; from cnncourse import datasets; datasets.names(); datasets.entry('cifar10');"
        "print([m for m in ('torchvision', 'sklearn', 'scipy', 'PIL', 'skimage', 'matplotlib') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_a_reader_that_is_not_there():
    broken = Entry("x", "cnncourse.datasets.nowhere:x", "", {}, None, "embedded")
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        _ = broken.options
