import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cnncourse.datasets import (
    DataInfo,
    FolderImages,
    LabelledImages,
    digits,
    find_duplicates,
    find_near_duplicates,
    load,
)
from cnncourse.datasets.duplicates import Copy, difference_hash
from cnncourse.paths import course_root

SHARED = course_root().parent / "shared" / "data"
INFO = DataInfo("pair", "Pair", "none", "nobody", "", ("ant", "bee"))


@pytest.fixture(autouse=True, scope="module")
def home(tmp_path_factory):
    """Keep decoded images out of the cache of whoever runs this."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNCOURSE_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def data(images, split="train", targets=None):
    labels = torch.zeros(len(images), dtype=torch.int64) if targets is None else torch.tensor(targets)
    return LabelledImages(images, labels, INFO, split)


def noise(count, side=16, seed=0, channels=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, channels, side, side), dtype=torch.uint8, generator=generator)


def test_by_hand():
    images = noise(6)
    images[4] = images[1]
    test = noise(3, seed=1)
    test[2], test[0] = images[1], images[5]
    groups = find_duplicates(data(images, targets=[0, 1, 0, 0, 0, 1]), data(test, "test"))
    assert groups == [
        (Copy(0, 1, "train", 1), Copy(0, 4, "train", 0), Copy(1, 2, "test", 0)),
        (Copy(0, 5, "train", 1), Copy(1, 0, "test", 0)),
    ]


@given(st.lists(st.integers(0, 8), min_size=1, max_size=60), st.integers(0, 60))
def test_same_as_comparing_every_pair(levels, cut):
    images = torch.tensor(levels, dtype=torch.uint8).view(-1, 1, 1, 1)
    parts = [data(images[:cut]), data(images[cut:], "test")]
    found = find_duplicates(*parts)
    places = [(int(i >= cut), i - cut * (i >= cut)) for i in range(len(levels))]
    together = {
        frozenset({places[i], places[j]})
        for i in range(len(levels))
        for j in range(i)
        if levels[i] == levels[j]
    }
    pairs = {
        frozenset({(a.dataset, a.index), (b.dataset, b.index)})
        for group in found
        for a in group
        for b in group
        if a != b
    }
    assert pairs == together


def test_one_changed_value_makes_another_image():
    images = noise(1).repeat(2, 1, 1, 1)
    images[1, 2, 15, 15] ^= 1
    assert find_duplicates(data(images)) == []


def test_shape_counts():
    flat = torch.zeros((1, 1, 4, 9), dtype=torch.uint8)
    assert find_duplicates(data(flat), data(flat.view(1, 1, 9, 4)), data(flat.view(1, 1, 6, 6))) == []


def test_files_and_tensors_are_compared(tmp_path):
    images = noise(3)
    paths = []
    for index in (2, 0):
        paths.append(tmp_path / f"{index}.png")
        Image.fromarray(images[index].permute(1, 2, 0).numpy()).save(paths[-1])
    Image.fromarray(images[2].permute(1, 2, 0).numpy()).save(
        tmp_path / "again.bmp"
    )  # another format, same pixels
    paths.append(tmp_path / "again.bmp")
    files = FolderImages(tuple(paths), torch.tensor([1, 1, 0]), INFO, "val")
    assert find_duplicates(data(images), files) == [
        (Copy(0, 0, "train", 0), Copy(1, 1, "val", 1)),
        (Copy(0, 2, "train", 0), Copy(1, 0, "val", 1), Copy(1, 2, "val", 0)),
    ]


def test_nothing_to_compare():
    for call in (find_duplicates, find_near_duplicates):
        for arguments in ((), (data(noise(0)),)):
            with pytest.raises(
                ValueError, match="there are no images to compare; give at least one data set"
            ):
                call(*arguments)


def test_digits_have_none():
    parts = digits("train"), digits("test")
    assert find_duplicates(*parts) == []
    planted = parts[1].images.clone()
    planted[17] = parts[0].images[99]
    ((first, second),) = find_duplicates(
        parts[0], LabelledImages(planted, parts[1].targets, parts[1].info, "test")
    )
    assert (first.dataset, first.index, second.dataset, second.index) == (0, 99, 1, 17)


def photographs():
    """Return 64 smooth, different images, as photographs are."""
    coarse = torch.randint(0, 256, (64, 3, 5, 5), generator=torch.Generator().manual_seed(0)).float()
    fine = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bicubic").clamp(0, 255)
    return fine.round().to(torch.uint8)


def test_near_duplicates():
    train = photographs()
    jitter = torch.randint(-6, 7, train[:2].shape, generator=torch.Generator().manual_seed(1))
    test = (train[[40, 3]].long() + jitter).clamp(0, 255).to(torch.uint8)
    pairs = find_near_duplicates(data(train), data(test, "test"))
    assert {(a.dataset, a.index, b.dataset, b.index) for a, b, _ in pairs} == {(0, 40, 1, 0), (0, 3, 1, 1)}
    for a, b, difference in pairs:
        gap = (train[a.index].double() - test[b.index].double()).abs().mean()
        assert difference == pytest.approx(float(gap), rel=1e-5)
    assert [difference for *_, difference in pairs] == sorted(difference for *_, difference in pairs)
    assert find_near_duplicates(data(train), data(test, "test"), difference=1) == []
    assert find_duplicates(data(train), data(test, "test")) == []


def test_equal_images_are_near_too():
    images = photographs()
    images[9] = images[5]
    assert find_near_duplicates(data(images), distance=0, difference=0) == [
        (Copy(0, 5, "train", 0), Copy(0, 9, "train", 0), 0.0)
    ]


@given(st.integers(0, 64), st.integers(0, 2**16))
def test_every_pair_within_the_distance_is_a_candidate(distance, seed):
    from cnncourse.datasets.duplicates import _close_pairs

    bits = torch.rand((12, 64), generator=torch.Generator().manual_seed(seed)) > 0.5
    first, second = _close_pairs(bits, distance)
    slow = [
        (i, j) for i in range(12) for j in range(i + 1, 12) if int((bits[i] != bits[j]).sum()) <= distance
    ]
    assert sorted(zip(first.tolist(), second.tolist(), strict=True)) == slow


def test_difference_hash_by_hand():
    ramp = torch.arange(9, dtype=torch.uint8).repeat(8, 1)[None, None] * 20
    assert difference_hash(ramp).all()
    assert not difference_hash(ramp.flip(3)).any()
    steps = np.array([0, 5, 5, 9, 1, 1, 2, 3, 0], dtype=np.uint8)
    image = torch.from_numpy(np.tile(steps, (8, 1)))[None, None]
    assert difference_hash(image)[0, :8].int().tolist() == [1, 0, 1, 0, 0, 1, 1, 0]


@pytest.mark.parametrize("settings", [{"distance": 65}, {"distance": -1}, {"difference": -0.1}])
def test_limits(settings):
    with pytest.raises(ValueError, match=r"distance must lie in \[0, 64\] and difference be at least 0"):
        find_near_duplicates(data(noise(2)), **settings)
    with pytest.raises(ValueError, match="images of one size"):
        find_near_duplicates(data(noise(2)), data(noise(2, side=8)))


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("mnist", "MNIST"),
        ("fashion-mnist", "FashionMNIST"),
        pytest.param("cifar10-jpeg", "cifar10", marks=pytest.mark.slow),
    ],
)
def test_public_sets_have_no_equal_images(name, folder):
    if not (SHARED / folder).is_dir():
        pytest.skip(f"{name} is not on this machine; tests do not download")
    parts = [load(name, split, root=SHARED) for split in ("train", "test")]
    assert find_duplicates(*parts) == []
    rows = torch.cat([part.images for part in parts]).flatten(1).numpy()
    assert len(np.unique(rows.view(f"V{rows.shape[1]}"))) == len(rows)  # NumPy finds none either
