import importlib
import math

import numpy as np
import pytest
import torch
from matplotlib.path import Path
from sklearn.ensemble import RandomForestClassifier
from torch.testing import assert_close

from cnncourse.datasets.colour_baseline import colour_histogram_baseline
from cnncourse.datasets.shape_drawing import (
    CROSS_ARM,
    FIGURES,
    RING_HOLE,
    coverage,
    extents,
    polygon,
    regular_polygon,
    signed_distances,
)
from cnncourse.datasets.shapes import TAG_COLOURS, ShapeImages, shapes, tag_side
from cnncourse.datasets.textures import cloud_field, rgb, weave_field

NAMES = list(FIGURES)


def lens(distance, first, second):
    """Area that two discs share."""
    a = math.acos((distance**2 + first**2 - second**2) / (2 * distance * first))
    b = math.acos((distance**2 + second**2 - first**2) / (2 * distance * second))
    return first**2 * (a - math.sin(2 * a) / 2) + second**2 * (b - math.sin(2 * b) / 2)


def heart_area():
    """A square and two half discs over its upper sides, in the circle of radius 1."""
    k = 1 - 1 / math.sqrt(2)
    half_diagonal = 1 / (1 - (k * k - 0.5) / (1 + 2 * k))
    return half_diagonal**2 * (2 + math.pi / 2)


_LONG = math.sqrt(1 - CROSS_ARM**2)
AREAS = {  # with a radius of 1
    "circle": math.pi,
    "square": 2.0,
    "triangle": 3 * math.sqrt(3) / 4,
    "hexagon": 3 * math.sqrt(3) / 2,
    "star": 5 * 0.42 * math.sin(math.pi / 5),
    "cross": 8 * CROSS_ARM * _LONG - 4 * CROSS_ARM**2,
    "ring": math.pi * (1 - RING_HOLE**2),
    "heart": heart_area(),
    "crescent": math.pi - lens(0.45, 1, 0.8),
    "arrow": 0.8 + 0.44 * math.sqrt(1 - 0.22**2),
}


def grown(masks):
    """Masks with two more pixels all round: a tip may reach past one pixel's centre without covering it."""
    return torch.nn.functional.max_pool2d(masks.float(), 5, stride=1, padding=2) > 0


def shrunk(masks):
    """Masks without their two outermost pixels, those at the image's rim too."""
    framed = torch.nn.functional.pad(masks, (2, 2, 2, 2))
    return ~grown(~framed)[:, 2:-2, 2:-2]


def drawn(name, radius=40.0, angle=0.0, side=96):
    centre = torch.full((1, 2), side / 2)
    label = torch.tensor([NAMES.index(name)])
    return signed_distances(label, centre, torch.tensor([radius]), torch.tensor([angle]), side)[0]


@pytest.mark.parametrize("name", NAMES)
def test_areas_are_those_of_geometry(name):
    exact = AREAS[name] * 39.7**2
    for angle in (0.0, 0.3, 2.0):
        distances = drawn(name, radius=39.7, angle=angle)
        assert (distances < 0).sum().item() == pytest.approx(exact, rel=0.02)
        assert coverage(distances).sum().item() == pytest.approx(exact, rel=0.006)


@pytest.mark.parametrize("name", NAMES)
def test_figures_fill_their_circle(name):
    pixel = torch.arange(96) + 0.5 - 48
    inside = drawn(name) < 0
    radius = torch.hypot(pixel.view(1, -1), pixel.view(-1, 1))[inside]
    assert 38.0 < radius.max() <= 40
    # The circle is the smallest: its touching points leave no half of it free.
    rim = inside & (torch.hypot(pixel.view(1, -1), pixel.view(-1, 1)) > 37.5)
    rows, columns = rim.nonzero().T
    for turn in torch.arange(0, 2 * math.pi, 0.2):
        assert (pixel[columns] * turn.cos() + pixel[rows] * turn.sin()).max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_distances_change_by_at_most_the_way_walked(name):
    distances = drawn(name, angle=0.7)
    for along in (0, 1):
        assert distances.diff(dim=along).abs().max() <= 1 + 1e-4


def test_polygons_hold_the_points_that_matplotlib_says():
    generator = np.random.default_rng(0)
    for corners in (regular_polygon(5, inner=0.3), [(-1, -1), (1, -1), (1, 1), (0, -0.5), (-1, 1)]):
        points = generator.uniform(-1.2, 1.2, (4000, 2))
        ours = polygon(corners)(*torch.from_numpy(points).T) < 0
        assert np.array_equal(ours.numpy(), Path(corners).contains_points(points))


def test_distances_to_a_square_by_hand():
    distance = polygon([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    points = torch.tensor([[0.0, 0.0], [0.5, 0.0], [3.0, 0.0], [4.0, 5.0], [1.0, 1.0]])
    assert_close(distance(*points.T), torch.tensor([-1.0, -0.5, 2.0, 5.0, 0.0]))


def test_a_turn_is_clockwise_and_turns_every_figure():
    for name in NAMES:
        upright, turned = drawn(name), drawn(name, angle=math.pi / 2)
        assert_close(turned, torch.rot90(upright, -1), atol=2e-3, rtol=0)
    rows, columns = (drawn("arrow", angle=math.pi / 2) < -5).nonzero().T.float()
    assert columns.mean() > 50  # it points to the right now: its head is there
    assert rows.mean() == pytest.approx(47.5, abs=0.1)


def test_edges_are_smooth_and_masks_are_where_half_a_pixel_is_covered():
    distances = drawn("star", angle=0.2)
    shares = coverage(distances)
    assert ((shares > 0) & (shares < 1)).sum() > 100
    assert torch.equal(shares > 0.5, distances < 0)


def test_boxes_are_the_extents_of_the_masks():
    from torchvision.ops import masks_to_boxes

    data = shapes("train", count=200, shortcut=0.5)
    inclusive = masks_to_boxes(data.masks).long()
    assert torch.equal(data.boxes, inclusive + torch.tensor([0, 0, 1, 1]))
    hollow = torch.zeros(2, 4, 6, dtype=torch.bool)
    hollow[1, 2, 1] = hollow[1, 3, 4] = True
    assert extents(hollow).tolist() == [[0, 0, 0, 0], [1, 2, 5, 4]]


def test_masks_show_exactly_the_figure():
    data = shapes("train", side=48, count=200, size=(0.6, 0.8))
    for image, inside, outside in zip(data.images, shrunk(data.masks), ~grown(data.masks), strict=True):
        own = image.flatten(1)[:, inside.flatten()]
        assert len(own.unique(dim=1).T) == 1  # one colour, not mixed with the ground's
        same = (image.int() - own[:, :1].unsqueeze(2).int()).abs().amax(0) <= 1
        assert (same & outside).float().mean() < 0.02
        ground = image.flatten(1)[:, outside.flatten()].float()
        assert (ground - own[:, :1]).norm(dim=0).median() > 70


def test_figures_have_the_asked_size_and_lie_anywhere_inside():
    data = shapes("train", side=64, count=2000, size=(0.3, 0.5))
    circles = data.boxes[data.targets == 0]
    width = (circles[:, 2] - circles[:, 0]).float() / 64
    assert width.min() == pytest.approx(0.3, abs=0.03)
    assert width.max() == pytest.approx(0.5, abs=0.03)
    assert (data.boxes >= 0).all()
    assert (data.boxes <= 64).all()
    assert circles[:, :2].amin() <= 2
    assert circles[:, 2:].amax() >= 62
    middle = (circles[:, :2] + circles[:, 2:]).float().mean(0) / 2
    assert_close(middle, torch.full((2,), 32.0), atol=2.0, rtol=0)
    assert shapes("train", side=64, count=10, size=(1.0, 1.0)).boxes[0].tolist() == [0, 0, 64, 64]


def test_the_same_seed_gives_the_same_bytes_and_more_images_go_on():
    for options in ({}, {"domain": 0.7, "clutter": 3, "shortcut": 0.5, "side": 21}):
        data, again = (shapes("train", count=60, **options) for _ in range(2))
        longer = shapes("train", count=90, **options)
        for field in ("images", "targets", "masks", "boxes", "cues"):
            assert torch.equal(getattr(data, field), getattr(again, field))
            assert torch.equal(getattr(data, field), getattr(longer, field)[:60])
        assert data.sha256 == again.sha256
        assert data.sha256 != longer.sha256
    assert not torch.equal(shapes("train", count=60, seed=1).masks, shapes("train", count=60).masks)


def test_parts_of_many_pixels_are_drawn_in_pieces_that_change_nothing(monkeypatch):
    whole = shapes("test", count=40, domain=0.5)
    monkeypatch.setattr(importlib.import_module("cnncourse.datasets.shapes"), "_CHUNK", 7 * 32 * 32)
    assert torch.equal(shapes("test", count=40, domain=0.5).images, whole.images)


def test_no_image_occurs_twice_within_or_across_splits():
    parts = [shapes(split, count=1000, seed=seed).images for split in ("train", "test") for seed in (0, 1)]
    pixels = torch.cat(parts).flatten(1)
    assert len(torch.unique(pixels, dim=0)) == 4000


def test_classes_are_balanced():
    assert torch.bincount(shapes("train", count=35).targets).tolist() == [4] * 5 + [3] * 5


def test_knobs_leave_the_figures_where_they_are():
    plain = shapes("train", count=100, clutter=0)
    for options in ({"clutter": 6}, {"domain": 1.0}):
        other = shapes("train", count=100, **{"clutter": 0, **options})
        assert torch.equal(other.masks, plain.masks)
        assert torch.equal(other.boxes, plain.boxes)
        assert (other.images != plain.images).flatten(1).any(1).float().mean() > 0.9


def test_clutter_changes_more_pixels_the_more_there_is_and_none_of_the_figure():
    plain = shapes("train", count=300, clutter=0)
    changed = []
    for clutter in (1, 3, 9):
        data = shapes("train", count=300, clutter=clutter)
        differs = (data.images != plain.images).any(1)
        assert not (differs & shrunk(plain.masks)).any()
        changed.append(differs.float().mean().item())
    assert 0.005 < changed[0] < changed[1] < changed[2] < 0.5


def test_domain_changes_palette_texture_and_noise_step_by_step():
    warmth, roughness, grain = [], [], []
    for domain in (0.0, 0.5, 1.0):
        data = shapes("train", count=300, clutter=0, domain=domain)
        pixels, ground = data.images.float(), ~data.masks.unsqueeze(1)
        warmth.append((((pixels[:, :1] - pixels[:, 2:]) * ground).sum() / ground.sum()).item())
        grey = pixels.mean(1)
        roughness.append(grey.diff(dim=2).abs().mean().item())
        own = [image[:, inside].std(dim=1).mean()
               for image, inside in zip(pixels, shrunk(data.masks), strict=True)
               if inside.sum() > 1]  # fmt: skip
        grain.append(torch.stack(own).mean().item())
    assert warmth[0] < -10 < 10 < warmth[2]
    assert roughness[0] < roughness[1] < roughness[2]
    assert grain[0] < 1e-3
    assert grain[1] == pytest.approx(0.06 * 255, rel=0.25)
    assert grain[2] == pytest.approx(0.12 * 255, rel=0.25)  # less where 0 and 255 cut it off


def test_tags_stand_for_the_label_as_often_as_asked():
    assert (shapes("train", count=10).cues == -1).all()
    for share in (0.1, 0.7, 1.0):
        data = shapes("train", count=2000, clutter=0, shortcut=share)
        assert (data.cues == data.targets).float().mean() == pytest.approx(share, abs=0.03)
        corner = data.images[:, :, 0, 0].float()
        assert torch.equal(torch.cdist(corner, TAG_COLOURS.float()).argmin(1), data.cues)
    wrong = data.cues[data.targets != data.cues]
    assert len(wrong) == 0
    other = shapes("train", count=2000, clutter=0, shortcut=1e-9)
    away = (other.cues - other.targets) % 10
    assert torch.bincount(away, minlength=10)[0] == 0
    assert torch.bincount(away, minlength=10)[1:].min() > 150


def test_a_tag_changes_the_corner_and_nothing_else():
    plain, tagged = shapes("test", count=200), shapes("test", count=200, shortcut=1.0)
    length = tag_side(32)
    assert length == 4
    assert (tagged.images[:, :, :length, :length] == TAG_COLOURS[tagged.cues].view(-1, 3, 1, 1)).all()
    assert not tagged.masks[:, :length, :length].any()
    for images, masks in ((plain.images, plain.masks), (tagged.images, tagged.masks)):
        images[:, :, :length, :length] = 0
        masks[:, :length, :length] = False
    assert torch.equal(plain.images, tagged.images)
    assert torch.equal(plain.masks, tagged.masks)
    assert len(torch.unique(TAG_COLOURS, dim=0)) == 10


def test_a_tag_hides_what_is_behind_it():
    plain, tagged = (shapes("train", count=1000, size=(0.4, 0.4), shortcut=share) for share in (0.0, 1.0))
    corner = (slice(None), slice(tag_side(32)), slice(tag_side(32)))
    assert plain.masks[corner].any()
    assert not tagged.masks[corner].any()


def without_object(data, half=8):
    """Pixels, halved in number each way, with a grey square of always the same size where the object is."""
    middle = (data.boxes[:, :2] + data.boxes[:, 2:]) / 2
    pixel = torch.arange(data.images.shape[2]) + 0.5
    columns = ((pixel - middle[:, :1]).abs() < half).unsqueeze(1)
    rows = ((pixel - middle[:, 1:]).abs() < half).unsqueeze(2)
    hidden = torch.where((rows & columns).unsqueeze(1), 128, data.images)
    return torch.nn.functional.avg_pool2d(hidden / 255, 2).flatten(1).numpy()


def test_the_background_does_not_tell_the_label_and_the_tag_does_until_it_lies():
    def parts(shortcut):
        return (
            shapes("train", count=1000, size=(0.3, 0.4), shortcut=shortcut),
            shapes("test", count=500, size=(0.3, 0.4), shortcut=shortcut),
        )

    def accuracy(forest, data, labels):
        return (forest.predict(without_object(data)) == labels.numpy()).mean()

    train, test = parts(0.0)
    forest = RandomForestClassifier(50, random_state=0).fit(without_object(train), train.targets)
    assert accuracy(forest, test, test.targets) < 0.155  # 0.1 and four standard errors
    train, test = parts(1.0)
    forest = RandomForestClassifier(50, random_state=0).fit(without_object(train), train.targets)
    assert accuracy(forest, test, test.targets) > 0.95
    lying = shapes("test", count=500, size=(0.3, 0.4), shortcut=1e-9)
    assert accuracy(forest, lying, lying.targets) < 0.02
    assert accuracy(forest, lying, lying.cues) > 0.95


def test_colours_alone_do_not_tell_the_figure():
    assert colour_histogram_baseline(shapes("train", count=800), shapes("test", count=400)) < 0.22


def test_masks_boxes_and_cues_travel_with_their_images():
    data = shapes("train", count=100, shortcut=0.5)
    chosen = data.select(torch.tensor([7, 3]), "two")
    assert isinstance(chosen, ShapeImages)
    assert chosen.split == "two"
    for field in ("images", "targets", "masks", "boxes", "cues"):
        assert torch.equal(getattr(chosen, field), getattr(data, field)[[7, 3]])
    for part in data.held_out(0.2, generator=torch.Generator().manual_seed(0)):
        assert isinstance(part, ShapeImages)
        assert torch.equal(extents(part.masks), part.boxes)
        origin = (data.images.flatten(1).unsqueeze(0) == part.images[:1].flatten(1)).all(2).squeeze(0)
        assert torch.equal(data.masks[origin], part.masks[:1])


def test_padding_moves_masks_and_boxes():
    data = shapes("train", count=20).padded(41)
    assert data.images.shape == (20, 3, 41, 41)
    assert torch.equal(extents(data.masks), data.boxes)
    assert torch.equal(data.images[:, :, 4:36, 4:36], shapes("train", count=20).images)


def test_fields_have_mean_0_and_mean_square_1():
    for field, numbers in ((cloud_field, 336), (weave_field, 6)):
        for side in (9, 40):
            values = field(torch.rand(8, numbers, generator=torch.Generator().manual_seed(0)), side)
            assert values.shape == (8, side, side)
            assert_close(values.mean((1, 2)), torch.zeros(8), atol=1e-5, rtol=0)
            assert_close(values.square().mean((1, 2)), torch.ones(8))


def test_colours_are_those_of_matplotlib():
    from matplotlib.colors import hsv_to_rgb

    numbers = torch.rand(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert_close(rgb(*numbers.T), torch.from_numpy(hsv_to_rgb(numbers.numpy())))
    assert_close(rgb(*(numbers + torch.tensor([2.0, 0, 0])).T), rgb(*numbers.T))


def test_bad_input():
    for options, words in (
        ({"side": 15}, "at least 16.*side=15"),
        ({"count": 9}, "one image a class, got count=9"),
        ({"size": (0.5, 0.4)}, r"increasing order in \(0, 1\], got \(0.5, 0.4\)"),
        ({"size": (0.5, 1.1)}, r"got \(0.5, 1.1\)"),
        ({"size": (0.1, 0.5)}, "at least 6 pixels across.*take a size of at least 0.19"),
        ({"clutter": -1}, "at least 0 fragments, got -1"),
        ({"domain": 1.5}, r"domain must lie in \[0, 1\], got 1.5"),
        ({"shortcut": -0.1}, r"shortcut must lie in \[0, 1\], got -0.1"),
    ):
        with pytest.raises(ValueError, match=words):
            shapes("train", **options)
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        shapes("val")
    data = shapes("train", count=10)
    with pytest.raises(ValueError, match=r"boxes must be torch.int64 of shape \(10, 4\)"):
        ShapeImages(
            data.images, data.targets, data.info, "x", masks=data.masks, boxes=data.boxes[:9], cues=data.cues
        )
