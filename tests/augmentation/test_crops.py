import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch.nn import functional
from torchvision.transforms.v2 import functional as torchvision

from cnncourse.augmentation import BatchShape, PadCrop, crop, frame
from cnncourse.augmentation.crops import _crop_by_lines, _crop_by_view


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


BY_HAND = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=torch.uint8).view(1, 1, 3, 3)


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ((1, 1), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ((0, 0), [[0, 0, 0], [0, 1, 2], [0, 4, 5]]),  # one down, one to the right
        ((2, 1), [[4, 5, 6], [7, 8, 9], [0, 0, 0]]),  # one up
        ((1, 2), [[2, 3, 0], [5, 6, 0], [8, 9, 0]]),  # one to the left
    ],
)
def test_shifts_by_hand(offsets, expected):
    assert PadCrop(1).apply(BY_HAND, {"offsets": torch.tensor([offsets])})[0, 0].tolist() == expected


def test_frames_by_hand():
    assert frame(BY_HAND, 1, fill=7)[0, 0, 0].tolist() == [7, 7, 7, 7, 7]
    assert frame(BY_HAND, 1, mode="reflect")[0, 0].tolist() == [
        [5, 4, 5, 6, 5],
        [2, 1, 2, 3, 2],
        [5, 4, 5, 6, 5],
        [8, 7, 8, 9, 8],
        [5, 4, 5, 6, 5],
    ]
    two = frame(BY_HAND.expand(1, 2, 3, 3), 1, fill=(7, 0))
    assert two[0, :, 0, 0].tolist() == [7, 0]
    assert frame(BY_HAND, 1, fill=124.6)[0, 0, 0, 0] == 125
    assert frame(BY_HAND.float(), 1, fill=(-0.5,))[0, 0, 0, 0] == -0.5


@st.composite
def crop_cases(draw):
    count, channels = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    full = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    height, width = draw(st.integers(1, full[0])), draw(st.integers(1, full[1]))
    dtype = draw(st.sampled_from([torch.uint8, torch.int32, torch.float32, torch.bfloat16]))
    images = torch.randint(
        0, 256, (count, channels, *full), generator=generator(draw(st.integers(0, 999)))
    ).to(dtype)
    if draw(st.booleans()):
        images = images.to(memory_format=torch.channels_last)
    rows = [draw(st.integers(0, full[0] - height)) for _ in range(count)]
    columns = [draw(st.integers(0, full[1] - width)) for _ in range(count)]
    return images, torch.tensor([rows, columns]).T, height, width


@given(crop_cases())
def test_crop_is_torchvisions_both_ways(case):
    images, offsets, height, width = case
    expected = torch.stack(
        [
            torchvision.crop(i, top, left, height, width)
            for i, (top, left) in zip(images, offsets.tolist(), strict=True)
        ]
    )
    assert torch.equal(crop(images, offsets, height, width), expected)
    assert torch.equal(_crop_by_lines(images, offsets, height, width), expected)
    assert torch.equal(_crop_by_view(images, offsets, height, width), expected)


def test_the_way_of_accelerators_keeps_the_memory_format():
    images = torch.rand(3, 2, 6, 7).to(memory_format=torch.channels_last)
    result = _crop_by_view(images, torch.tensor([[1, 2]] * 3), 4, 4)
    assert result.is_contiguous(memory_format=torch.channels_last)


@given(
    st.integers(1, 4),
    st.integers(5, 9),
    st.integers(5, 9),
    st.sampled_from([torch.uint8, torch.float32]),
    st.booleans(),
)
def test_frames_are_torchvisions(padding, height, width, dtype, channels_last):
    images = torch.randint(0, 256, (2, 3, height, width), generator=generator()).to(dtype)
    if channels_last:
        images = images.to(memory_format=torch.channels_last)
    for mode in ("constant", "reflect"):
        expected = torch.stack([torchvision.pad(image, padding, padding_mode=mode) for image in images])
        assert torch.equal(frame(images, padding, mode=mode), expected)
    expected = torch.stack([torchvision.pad(image, padding, fill=[10, 20, 30]) for image in images])
    assert torch.equal(frame(images, padding, fill=(10, 20, 30)), expected)


def test_black_frames_shift_as_padding_and_slicing_do():
    # rows down and columns to the right, drawn by one call for whole numbers
    images = torch.randint(0, 256, (50, 1, 8, 8), dtype=torch.uint8, generator=generator())
    shifts = torch.randint(-2, 3, (50, 2), generator=generator(9))
    drawn = PadCrop(2).draw(BatchShape.of(images), generator(9))
    result = PadCrop(2).apply(images, drawn)
    framed = functional.pad(images, [2] * 4)
    for number, (down, right) in enumerate(shifts.tolist()):
        expected = framed[number, :, 2 - down : 10 - down, 2 - right : 10 - right]
        assert torch.equal(result[number], expected)


def test_all_places_are_equally_likely():
    offsets = PadCrop(2).draw(BatchShape(25_000, 9, 9), generator(3))["offsets"]
    counts = torch.bincount(offsets[:, 0] * 5 + offsets[:, 1], minlength=25)
    assert len(counts) == 25
    assert chisquare(counts.numpy()).pvalue > 1e-3


def test_a_large_batch_is_not_cut_by_numbers_of_32_bits():
    # only the arithmetic: 2**31 pixels would not fit on every machine
    from cnncourse.augmentation import crops

    images = torch.zeros(1, dtype=torch.uint8).expand(3, 1, 40_000, 40_000)
    assert images[0].numel() < 2**31 < images.numel()
    offsets = torch.tensor([[0, 0], [1, 1], [39_000, 39_000]])
    assert crops._crop_by_view(images, offsets, 2, 2).shape == (3, 1, 2, 2)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"padding": 0}, "padding must be at least 1, got padding=0; leave PadCrop out"),
        ({"padding": 2, "mode": "edge"}, "mode must be 'constant' or 'reflect', got mode='edge'"),
        ({"padding": 2, "mode": "reflect", "fill": 3}, "a mirrored frame has no fill.*fill=3"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        PadCrop(**settings)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: crop(BY_HAND, torch.tensor([[0, 2]]), 2, 2),
            r"must lie in \[0, 1\] and \[0, 1\].*from \[0, 2\]",
        ),
        (lambda: crop(BY_HAND, torch.tensor([[-1, 0]]), 2, 2), r"got offsets from \[-1, 0\]"),
        (lambda: crop(BY_HAND, torch.tensor([[0, 0]]), 4, 2), "window must lie within the image, got 4 x 2"),
        (lambda: crop(BY_HAND, torch.tensor([[0, 0]]), 0, 2), "got 0 x 2 pixels for images of 3 x 3"),
        (
            lambda: crop(BY_HAND, torch.tensor([[0.0, 0]]), 2, 2),
            r"int64 of shape \(N, 2\), got torch.float32",
        ),
        (lambda: crop(BY_HAND, torch.tensor([[0, 0, 0]]), 2, 2), r"of shape \(1, 3\)"),
        (lambda: frame(BY_HAND, 3, mode="reflect"), "padding=3 for images of 3 x 3; use mode='constant'"),
        (lambda: frame(BY_HAND, 1, fill=(1, 2)), "one value or one a channel, got 2 for 1 channels"),
        (lambda: frame(BY_HAND, 1, fill=300), r"uint8 images must lie in \[0, 255\], got fill=300"),
        (lambda: frame(BY_HAND, 1, fill=-1), "got fill=-1"),
        (lambda: frame(BY_HAND[0], 1), "axes"),
    ],
)
def test_what_does_not_fit_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_column_of_numpy_whole_numbers_is_fine():
    offsets = torch.from_numpy(np.array([[1, 0]]))
    assert crop(BY_HAND, offsets, 2, 2)[0, 0].tolist() == [[4, 5], [7, 8]]
