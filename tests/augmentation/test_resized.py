import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp, kstest
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as torchvision

from cnncourse.augmentation import BatchShape, RandomResizedCrop, resized_crop
from cnncourse.augmentation.resized import _resize_each, _resize_together, draw_boxes


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


BY_HAND = torch.tensor([[0, 4, 8, 12], [16, 20, 24, 28], [32, 36, 40, 44], [48, 52, 56, 60]]).view(1, 1, 4, 4)
both_ways = pytest.mark.parametrize("way", [_resize_each, _resize_together])


@both_ways
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_a_quarter_as_it_is(way, dtype):
    result = way(BY_HAND.to(dtype), torch.tensor([[1, 2, 2, 2]]), 2)
    assert result[0, 0].tolist() == [[24, 28], [40, 44]]


@both_ways
def test_halving_is_a_triangle_of_four(way):
    # a row 0 4 8 12 to two: centres at 1 and 3 pixels, triangle of half base 2 over pixel centres 0.5 1.5 2.5 3.5:
    # weights 3/4 3/4 1/4 (and 0) over 7/4: (0*3 + 4*3 + 8*1)/7 = 20/7, and by symmetry 12 - 20/7 = 64/7
    result = way(BY_HAND.double()[:, :, :1], torch.tensor([[0, 0, 1, 4]]), 2)
    torch.testing.assert_close(result[0, 0, 0], torch.tensor([20 / 7, 64 / 7], dtype=torch.float64))


@both_ways
def test_doubling_interpolates_between_centres(way):
    # two pixels 0, 4 to four: centres at 1/4 3/4 5/4 7/4, held at the outermost pixel centres
    result = way(BY_HAND.double()[:, :, :1], torch.tensor([[0, 0, 1, 2]]), 4)
    torch.testing.assert_close(result[0, 0, 0], torch.tensor([0, 1, 3, 4], dtype=torch.float64))


@both_ways
def test_nothing_outside_the_box_is_looked_at(way):
    images = torch.full((1, 1, 9, 9), 1e6)
    images[:, :, 2:7, 3:8] = 1.0
    torch.testing.assert_close(way(images, torch.tensor([[2, 3, 5, 5]]), 3), torch.ones(1, 1, 3, 3))


@st.composite
def resize_cases(draw, dtypes=(torch.uint8, torch.float32, torch.float64)):
    count, channels = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 4]))
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    dtype = draw(st.sampled_from(dtypes))
    images = torch.randint(
        0, 256, (count, channels, height, width), generator=generator(draw(st.integers(0, 999)))
    )
    images = images.to(torch.uint8) if dtype == torch.uint8 else images.to(dtype) / 255
    boxes = []
    for _ in range(count):
        h, w = draw(st.integers(1, height)), draw(st.integers(1, width))
        boxes.append([draw(st.integers(0, height - h)), draw(st.integers(0, width - w)), h, w])
    return images, torch.tensor(boxes), draw(st.integers(1, 30))


def of_torchvision(images, boxes, side):
    return torch.stack(
        [
            torchvision.resized_crop(image, *box, size=[side, side], antialias=True)
            for image, box in zip(images, boxes.tolist(), strict=True)
        ]
    )


@settings(max_examples=150)
@given(resize_cases())
def test_torchvisions_bit_for_bit_on_a_cpu(case):
    assert torch.equal(resized_crop(*case), of_torchvision(*case))


@settings(max_examples=150)
@given(resize_cases())
def test_the_batched_way_is_torchvisions_within_rounding(case):
    images, boxes, side = case
    result = _resize_together(images, boxes, side)
    if images.dtype == torch.uint8:
        exact = of_torchvision(images.double(), boxes, side)
        assert (result - exact).abs().max() <= 0.5 + 1e-3
        assert (result.int() - of_torchvision(images, boxes, side).int()).abs().max() <= 1
    else:
        tolerance = 1e-12 if images.dtype == torch.float64 else 1e-5
        torch.testing.assert_close(result, of_torchvision(images, boxes, side), rtol=0, atol=tolerance)


@both_ways
@pytest.mark.parametrize("size", [(1, 1), (1, 300), (333, 2), (375, 500), (1600, 1200)])
def test_a_single_photograph_of_any_size(way, size):
    image = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=generator())
    step = RandomResizedCrop(64)
    drawn = step.draw(BatchShape.of(image), generator(1))
    result = way(image, drawn["boxes"], 64)
    assert result.shape == (1, 3, 64, 64)
    exact = of_torchvision(image.double(), drawn["boxes"], 64)
    # the kernel for bytes rounds between its two passes and again at the end
    assert (result - exact).abs().max() <= 1.05
    assert torch.equal(step.apply(image, drawn), of_torchvision(image, drawn["boxes"], 64))


def test_a_checkerboard_shrinks_to_grey_where_plain_interpolation_aliases():
    board = (
        (torch.arange(64)[:, None] + torch.arange(64))
        .remainder(2)
        .mul(255)
        .to(torch.uint8)
        .view(1, 1, 64, 64)
    )
    box = torch.tensor([[0, 0, 63, 63]])
    for way in (_resize_each, _resize_together):
        assert (way(board, box, 9)[:, :, 1:-1, 1:-1].float() - 127.5).abs().max() < 8
    plain = torchvision.resize(board[..., :63, :63], [9, 9], antialias=False)
    assert (plain.float() - 127.5).abs().max() > 100


def test_sixteen_bit_floats_are_computed_in_thirty_two():
    images = torch.rand(2, 3, 10, 10, generator=generator())
    boxes = torch.tensor([[0, 0, 10, 10], [2, 3, 5, 6]])
    for dtype in (torch.bfloat16, torch.float16):
        small = images.to(dtype)
        assert torch.equal(resized_crop(small, boxes, 7), resized_crop(small.float(), boxes, 7).to(dtype))


def boxes_of(count, height, width, *, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), seed=0):
    return draw_boxes(BatchShape(count, height, width), scale, ratio, generator(seed))


@settings(max_examples=200)
@given(
    st.integers(1, 600),
    st.integers(1, 600),
    st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
    st.tuples(st.floats(0.05, 20), st.floats(0.05, 20)),
    st.integers(0, 2**20),
)
def test_boxes_always_lie_within_the_image(height, width, scale, ratio, seed):
    top, left, box_height, box_width = boxes_of(
        20, height, width, scale=sorted(scale), ratio=sorted(ratio), seed=seed
    ).T
    assert min(top.min(), left.min()) >= 0
    assert min(box_height.min(), box_width.min()) >= 1
    assert (top + box_height).max() <= height
    assert (left + box_width).max() <= width


def test_area_and_shape_are_even():
    # of boxes small enough to fit at the first try, so that nothing is thrown away
    _, _, height, width = boxes_of(4000, 2000, 2000, scale=(0.1, 0.5)).double().T
    assert kstest(height * width / 4e6, "uniform", args=(0.1, 0.4)).pvalue > 1e-3
    span = 2 * math.log(4 / 3)
    assert kstest((width / height).log(), "uniform", args=(-span / 2, span)).pvalue > 1e-3


def test_places_are_even():
    boxes = boxes_of(30_000, 6, 6, scale=(0.4, 0.5), ratio=(1.0, 1.0))
    assert set(boxes[:, 2:].flatten().tolist()) == {4}  # sqrt(14.4 to 18) rounds to 4
    assert chisquare(torch.bincount(boxes[:, 0] * 3 + boxes[:, 1], minlength=9).numpy()).pvalue > 1e-3


@pytest.mark.parametrize("size", [(375, 500), (100, 100), (60, 300)])
def test_distributed_as_torchvisions(size):
    image = torch.zeros(3, *size)
    step = v2.RandomResizedCrop(10)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        theirs = [step.make_params([image]) for _ in range(3000)]
    ours = boxes_of(3000, *size)
    for column, name in enumerate(("top", "left", "height", "width")):
        assert ks_2samp(ours[:, column].numpy(), [box[name] for box in theirs]).pvalue > 1e-3


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        # width over height is 0.1 < 3/4: all of the width, height 100 / (3/4) = 133, (1000 - 133) // 2 = 433
        ((1000, 100), [433, 0, 133, 100]),
        # 10 > 4/3: all of the height, width 100 * 4/3 = 133
        ((100, 1000), [0, 433, 100, 133]),
    ],
)
def test_a_box_that_never_fits_becomes_the_largest_centred_one(size, expected):
    boxes = boxes_of(50, *size, scale=(0.9, 1.0))
    assert boxes.unique(dim=0).tolist() == [expected]
    step = v2.RandomResizedCrop(10, scale=(0.9, 1.0))
    theirs = step.make_params([torch.zeros(3, *size)])
    assert [theirs[name] for name in ("top", "left", "height", "width")] == expected


def test_a_whole_image_if_its_shape_is_allowed_but_no_try_fits():
    # an area of all pixels fits in shapes next to 4/3 only, which ten tries out of [1/2, 2] seldom meet
    boxes = boxes_of(500, 300, 400, scale=(1.0, 1.0), ratio=(0.5, 2.0))
    whole = (boxes == torch.tensor([0, 0, 300, 400])).all(1)
    assert whole.float().mean() > 0.9
    assert boxes[:, 2:].min(0).values.tolist() >= [299, 398]


def test_the_first_box_that_fits_is_taken():
    # a second opinion on the same random numbers, one image and one try at a time
    height, width = 40, 90
    even = torch.rand(300, 22, dtype=torch.float64, generator=generator(5))
    expected, late = [], 0
    for row in even.tolist():
        for attempt in range(10):
            area = height * width * (0.5 + 0.5 * row[attempt])
            shape = math.exp(math.log(0.5) + row[10 + attempt] * math.log(4))
            h, w = round(math.sqrt(area / shape)), round(math.sqrt(area * shape))
            if 1 <= h <= height and 1 <= w <= width:
                expected.append([int((height - h + 1) * row[20]), int((width - w + 1) * row[21]), h, w])
                late += attempt > 0
                break
        else:
            expected.append([0, 5, 40, 80])
    assert 50 < late < 250
    assert [0, 5, 40, 80] in expected
    assert boxes_of(300, height, width, scale=(0.5, 1.0), ratio=(0.5, 2.0), seed=5).tolist() == expected


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"side": 0}, "side must be at least 1, got side=0"),
        ({"scale": (0.0, 1.0)}, r"0 < least <= largest <= 1, got scale=\(0.0, 1.0\)"),
        ({"scale": (0.5, 0.1)}, r"got scale=\(0.5, 0.1\)"),
        ({"scale": (0.5, 1.1)}, "pair of shares"),
        ({"scale": (0.5,)}, "pair of shares"),
        ({"ratio": (0.0, 1.0)}, r"0 < least <= largest, got ratio=\(0.0, 1.0\)"),
        ({"ratio": (2.0, 1.0)}, "pair of numbers"),
        ({"ratio": (1.0, float("inf"))}, "pair of numbers"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        RandomResizedCrop(**{"side": 8} | settings)


@pytest.mark.parametrize(
    ("images", "boxes", "side", "words"),
    [
        (BY_HAND.float(), [[0, 0, 5, 4]], 2, r"lie within the image, got \[0, 0, 5, 4\] for images of 4 x 4"),
        (BY_HAND.float(), [[0, 2, 2, 3]], 2, r"got \[0, 2, 2, 3\]"),
        (BY_HAND.float(), [[-1, 0, 2, 2]], 2, r"got \[-1, 0, 2, 2\]"),
        (BY_HAND.float(), [[0, 0, 0, 2]], 2, "must have pixels"),
        (BY_HAND.float(), [[0, 0, 2]], 2, r"shape \(N, 4\), got torch.int64 of shape \(1, 3\)"),
        (BY_HAND.float(), [[0.0, 0, 2, 2]], 2, "whole numbers"),
        (BY_HAND.float(), [[0, 0, 2, 2]], 0, "side must be at least 1, got side=0"),
        (BY_HAND, [[0, 0, 2, 2]], 2, r"uint8 in \[0, 255\] or float in \[0, 1\], got torch.int64"),
    ],
)
def test_what_does_not_fit_is_refused(images, boxes, side, words):
    with pytest.raises(ValueError, match=words):
        resized_crop(images, torch.tensor(boxes), side)
