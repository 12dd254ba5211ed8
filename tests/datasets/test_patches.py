import importlib
import itertools

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from cnncourse.datasets.colour_baseline import (
    colour_histogram_baseline,
    colour_histogram_baselines,
    colour_histograms,
)
from cnncourse.datasets.labelled import DataInfo, LabelledImages
from cnncourse.datasets.patches import MATERIALS, patches, photograph

patches_module = importlib.import_module(
    "cnncourse.datasets.patches"
)  # the package's own name is the function


def in_boxes(material, boxes):
    """(H, W) bool: pixels of the photograph that lie in one of the boxes."""
    pixels, _ = photograph(material)
    inside = torch.zeros(pixels.shape[1:], dtype=torch.bool)
    for x0, y0, x1, y1 in boxes:
        inside[y0:y1, x0:x1] = True
    return inside


def texture(images):
    """Mean strength of the answers to random filters: sees patterns, but neither colour nor contrast."""
    grey = images.float().mean(1, keepdim=True)
    grey = (grey - grey.mean((2, 3), keepdim=True)) / grey.std((2, 3), keepdim=True)
    filters = torch.randn(48, 1, 5, 5, generator=torch.Generator().manual_seed(0))
    filters -= filters.mean((2, 3), keepdim=True)
    answers = [functional.conv2d(functional.avg_pool2d(grey, scale), filters) for scale in (1, 2)]
    found = [
        measure
        for answer in answers
        for measure in (
            answer.abs().mean((2, 3)),
            answer.relu().square().mean((2, 3)).sqrt(),
            answer.amax((2, 3)),
        )
    ]
    return torch.cat(found, 1).log1p().numpy()


def test_images_are_balanced_and_of_any_number_and_side():
    for count, side in ((37, 8), (40, 45)):
        data = patches("train", count=count, side=side)
        assert data.images.shape == (count, 3, side, side)
        counts = torch.bincount(data.targets, minlength=10)
        assert counts.max() - counts.min() <= 1
    assert len(patches("test", side=8)) == 1000
    assert len(patches("train", side=8)) == 2000
    assert len(set(data.classes)) == 10


def test_the_same_seed_gives_the_same_windows_and_more_images_go_on():
    data = patches("train", count=60)
    assert torch.equal(data.images, patches("train", count=60).images)
    assert torch.equal(data.images[:25], patches("train", count=25).images)
    assert not torch.equal(data.images, patches("train", count=60, seed=1).images)


def test_another_side_shows_the_same_windows():
    small, large = patches("test", count=50, side=16), patches("test", count=50, side=64)
    averaged = functional.avg_pool2d(large.images.float(), 4)
    for ours, theirs in zip(small.images.float(), averaged, strict=True):
        assert torch.corrcoef(torch.stack([ours.flatten(), theirs.flatten()]))[0, 1] > 0.95


@pytest.mark.parametrize(("split", "other"), [("train", "test"), ("test", "train")])
@pytest.mark.parametrize("side", [32, 70])
def test_no_pixel_outside_a_splits_own_rectangles_is_ever_seen(split, other, side, monkeypatch):
    def spoilt(material):
        pixels, digest = photograph(material)
        noise = torch.randint(0, 256, pixels.shape, generator=torch.Generator().manual_seed(0))
        own = in_boxes(material, getattr(material, split))
        assert not (own & in_boxes(material, getattr(material, other))).any()
        return torch.where(own, pixels, noise.to(torch.uint8)), digest

    before = {part: patches(part, count=400, side=side) for part in (split, other)}
    monkeypatch.setattr(patches_module, "photograph", spoilt)
    assert torch.equal(patches(split, count=400, side=side).images, before[split].images)
    changed = (patches(other, count=400, side=side).images != before[other].images).flatten(1).any(1)
    assert changed.all()


def test_a_band_lies_between_training_and_test_rectangles_of_a_photograph():
    for one, another in itertools.product(MATERIALS, MATERIALS):
        if one.photograph == another.photograph:
            for a, b in itertools.product(one.train, another.test):
                across, down = max(a[0], b[0]) - min(a[2], b[2]), max(a[1], b[1]) - min(a[3], b[3])
                assert max(across, down) >= 16, (one.name, another.name)


def test_rectangles_lie_in_their_photographs_and_hold_the_largest_window():
    for material in MATERIALS:
        pixels, digest = photograph(material)
        assert len(digest) == 64
        for x0, y0, x1, y1 in (*material.train, *material.test):
            assert 0 <= x0 <= x1 - 64
            assert 0 <= y0 <= y1 - 64
            assert x1 <= pixels.shape[2]
            assert y1 <= pixels.shape[1]


def test_windows_come_from_everywhere_in_the_rectangles_equally_often():
    fur = next(label for label, material in enumerate(MATERIALS) if material.name == "fur")
    count = 4000
    drawn = torch.rand(count, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    left, top, length = patches_module._corners("train", torch.full((count,), fur), drawn, (32, 32)).T
    assert length.unique().tolist() == [32]
    first, second = MATERIALS[fur].train
    places = [(box[2] - box[0] - 31) * (box[3] - box[1] - 31) for box in (first, second)]
    in_first = (left >= first[0]) & (left <= first[2] - 32) & (top <= first[3] - 32)
    assert (left[~in_first] <= second[2] - 32).all()
    assert in_first.double().mean() == pytest.approx(places[0] / sum(places), abs=0.03)
    assert left[in_first].min() == first[0]
    assert left[in_first].max() == first[2] - 32
    share = places[0] / sum(places)  # the first place that is not the first rectangle's any more
    drawn = torch.tensor([[0.0, share + 1e-9, 0.0, 0.0], [0.0, share - 1e-9, 0.0, 0.0]], dtype=torch.float64)
    corners = patches_module._corners("train", torch.full((2,), fur), drawn, (32, 32)).tolist()
    assert corners == [[second[0], second[1], 32], [first[0], first[1], 32]]
    extreme = torch.tensor([[0.0] * 4, [1 - 1e-9] * 4], dtype=torch.float64)
    corners = patches_module._corners("train", torch.full((2,), fur), extreme, (32, 64)).tolist()
    assert corners == [[first[0], first[1], 32], [second[2] - 64, second[3] - 64, 64]]


def test_all_eight_poses_are_quarter_turns_and_mirror_images():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    poses = patches_module._turned(image.expand(8, -1, -1, -1).clone(), torch.arange(8))
    assert len(torch.unique(poses.flatten(1), dim=0)) == 8
    assert torch.equal(poses[1, 0], torch.rot90(image[0, 0]))
    assert torch.equal(poses[4, 0], image[0, 0].flip(1))


def test_matched_colours_forget_the_photographs_own(monkeypatch):
    def tinted(material):
        pixels, digest = photograph(material)
        darker = pixels.float() * 0.7 + 0.3 * 255 * (material.name in {"fur", "coins"})
        return darker.round().to(torch.uint8), digest

    before = patches("train", count=100)
    original = patches("train", count=100, colour="original")
    monkeypatch.setattr(patches_module, "photograph", tinted)
    difference = (patches("train", count=100).images.float() - before.images.float()).abs()
    assert difference.mean() < 1.5  # what rounding to whole levels leaves
    assert not torch.equal(patches("train", count=100, colour="original").images, original.images)


def test_brightness_contrast_and_hue_are_drawn_alike_for_all_classes():
    data = patches("train", count=4000)
    pixels = data.images.float().flatten(2)
    for measure, spread in ((pixels.mean(2), 6.0), (pixels.std(2), 4.0)):
        per_class = torch.stack([measure[data.targets == label].mean(0) for label in range(10)])
        assert (per_class - per_class.mean(0)).abs().max() < spread
    grey = (pixels[:, :1] - pixels).abs().mean((1, 2))
    assert (grey > 3).float().mean() > 0.95


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_colour_alone_does_not_solve_it_but_texture_does(seed):
    train, test = (patches(split, count=count, seed=seed) for split, count in (("train", 600), ("test", 500)))
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    model.fit(texture(train.images), train.targets.numpy())
    by_texture = (model.predict(texture(test.images)) == test.targets.numpy()).mean()
    by_colour = colour_histogram_baseline(train, test)
    assert 0.15 < by_colour < 0.45
    assert by_texture > by_colour + 0.25


def test_the_photographs_own_colours_would_solve_it():
    train, test = (
        patches(split, count=count, colour="original") for split, count in (("train", 600), ("test", 500))
    )
    assert colour_histogram_baseline(train, test) > 0.65


def test_histograms_by_hand_and_blind_to_places():
    image = torch.tensor([[[0, 127], [128, 255]], [[0, 0], [255, 255]]], dtype=torch.uint8).unsqueeze(0)
    assert colour_histograms(image, 2).tolist() == [[0.5, 0, 0, 0.5]]
    assert colour_histograms(image[:, :1], 4).tolist() == [[0.25, 0.25, 0.25, 0.25]]
    data = patches("test", count=20)
    order = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    shuffled = data.images.flatten(2)[:, :, order].view_as(data.images)
    assert torch.equal(colour_histograms(shuffled), colour_histograms(data.images))
    assert colour_histograms(data.images).shape == (20, 512)


def test_the_baseline_finds_a_colour_that_tells_the_class():
    info = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("dark", "light"))
    noise = torch.randint(0, 100, (80, 3, 4, 4), generator=torch.Generator().manual_seed(0))
    targets = torch.arange(80) % 2
    images = (noise + 150 * targets.view(-1, 1, 1, 1)).to(torch.uint8)
    data = LabelledImages(images, targets, info, "train")
    scores = colour_histogram_baselines(data.select(slice(40)), data.select(slice(40, 80)))
    assert set(scores.values()) == {1.0}
    assert len(scores) == 4


def test_origin_is_stated():
    data = patches("test", count=10)
    files = {f"{material.package}/{material.photograph}" for material in MATERIALS}
    assert set(data.sha256) == files
    assert "CC BY" in data.info.licence


def test_bad_input(monkeypatch):
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        patches("val")
    with pytest.raises(ValueError, match=r"at least 8.*side=7"):
        patches("train", side=7)
    with pytest.raises(ValueError, match="one image a class, got count=9"):
        patches("train", count=9)
    with pytest.raises(ValueError, match="'matched' or 'original', got 'grey'"):
        patches("train", colour="grey")
    for window in ((64, 32), (8, 32), (32, 65)):
        with pytest.raises(ValueError, match="from 16 to 64"):
            patches("train", window=window)
    data = patches("test", count=10)
    with pytest.raises(ValueError, match="bins=1"):
        colour_histograms(data.images, 1)
    with pytest.raises(ValueError, match="must be uint8"):
        colour_histograms(data.images.float())
    other = LabelledImages(data.images, data.targets, DataInfo("o", "O", "", "", "", tuple("abcdefghij")), "")
    with pytest.raises(ValueError, match="the same classes"):
        colour_histogram_baseline(data, other)
    monkeypatch.setattr(patches_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="not installed; install scikit-image"):
        photograph.__wrapped__(MATERIALS[0])
