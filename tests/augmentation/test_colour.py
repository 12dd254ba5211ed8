import colorsys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest
from torchvision.transforms.v2 import functional as torchvision

from cnncourse.augmentation import (
    BatchShape,
    ColourJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)

FUNCTIONS = {
    "brightness": (adjust_brightness, torchvision.adjust_brightness),
    "contrast": (adjust_contrast, torchvision.adjust_contrast),
    "saturation": (adjust_saturation, torchvision.adjust_saturation),
    "hue": (adjust_hue, torchvision.adjust_hue),
}
every_property = pytest.mark.parametrize("name", FUNCTIONS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def rgb(*pixels):
    """Return one image of one row."""
    return torch.tensor(pixels, dtype=torch.float64).T.view(1, 3, 1, -1)


def pixels_of(images):
    return images[0, :, 0].T.tolist()


def test_brightness_by_hand():
    images = rgb([100, 10, 3], [200, 0, 255]).to(torch.uint8)
    assert pixels_of(adjust_brightness(images, torch.tensor([1.5]))) == [
        [150, 15, 4],
        [255, 0, 255],
    ]  # 4.5: even
    assert pixels_of(adjust_brightness(images, torch.tensor([0.0]))) == [[0, 0, 0], [0, 0, 0]]


def test_contrast_by_hand():
    # greys 0 and 200: mean 100
    images = rgb([0, 0, 0], [200, 200, 200]).to(torch.uint8)
    assert pixels_of(adjust_contrast(images, torch.tensor([0.5]))) == [[50] * 3, [150] * 3]
    assert pixels_of(adjust_contrast(images, torch.tensor([2.0]))) == [[0] * 3, [255] * 3]


def test_saturation_by_hand():
    # grey of (250, 100, 0) is 0.299 * 250 + 0.587 * 100 = 133.45
    images = rgb([250, 100, 0]).to(torch.uint8)
    assert pixels_of(adjust_saturation(images, torch.tensor([0.0]))) == [[133, 133, 133]]
    # halfway: 191.725, 116.725, 66.725
    assert pixels_of(adjust_saturation(images, torch.tensor([0.5]))) == [[192, 117, 67]]


def test_hue_by_hand():
    images = rgb([200, 0, 0], [90, 90, 90], [255, 255, 0]).to(torch.uint8)
    third = torch.tensor([1 / 3])
    assert pixels_of(adjust_hue(images, third)) == [[0, 200, 0], [90, 90, 90], [0, 255, 255]]
    assert pixels_of(adjust_hue(images, -third)) == [[0, 0, 200], [90, 90, 90], [255, 0, 255]]
    assert pixels_of(adjust_hue(images, torch.tensor([0.5]))) == [[0, 200, 200], [90, 90, 90], [0, 0, 255]]


def test_hue_is_that_of_the_standard_library():
    levels = [0, 1, 0.25, 0.5, 0.3]
    colours = [(r, g, b) for r in levels for g in levels for b in levels]
    for turn in (-0.5, -0.21, 0.0, 0.1, 0.37, 0.5):
        expected = []
        for colour in colours:
            h, s, v = colorsys.rgb_to_hsv(*colour)
            expected.append(colorsys.hsv_to_rgb((h + turn) % 1, s, v))
        images = rgb(*colours)
        result = adjust_hue(images, torch.tensor([turn], dtype=torch.float64))
        torch.testing.assert_close(result, rgb(*expected), rtol=0, atol=1e-12)


@st.composite
def coloured(draw):
    count = draw(st.integers(1, 4))
    size = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    images = torch.randint(0, 256, (count, 3, *size), generator=generator(draw(st.integers(0, 999))))
    factors = [draw(st.floats(0, 2, width=32)) for _ in range(count)]
    return images.to(torch.uint8), torch.tensor(factors)


@every_property
@settings(max_examples=60)
@given(coloured())
def test_floats_are_torchvisions(name, case):
    images, amounts = case[0].double() / 255, case[1]
    amounts = (amounts - 1) / 2 if name == "hue" else amounts
    ours, theirs = FUNCTIONS[name]
    expected = torch.stack([theirs(i, a) for i, a in zip(images, amounts.double().tolist(), strict=True)])
    # torchvision's weight of red is 0.2989, so that its greys are darker by up to 0.0001; its hue is single precision
    torch.testing.assert_close(ours(images, amounts.double()), expected, rtol=0, atol=1.1e-4)
    torch.testing.assert_close(ours(images.float(), amounts), expected.float(), rtol=0, atol=1.1e-4)


@every_property
@settings(max_examples=60)
@given(coloured())
def test_bytes_are_the_floats_rounded(name, case):
    images, amounts = case
    amounts = (amounts - 1) / 2 if name == "hue" else amounts
    ours, theirs = FUNCTIONS[name]
    result = ours(images, amounts)
    exact = ours(images.double() / 255, amounts) * 255
    assert (result - exact).abs().max() <= 0.5 + 1e-3
    # torchvision cuts off where we round, and floors its grey as well
    expected = torch.stack([theirs(i, a) for i, a in zip(images, amounts.tolist(), strict=True)])
    assert (result.int() - expected.int()).abs().max() <= (1 if name in ("brightness", "hue") else 2)


@every_property
@settings(max_examples=30)
@given(coloured())
def test_the_neutral_amount_changes_nothing(name, case):
    images = case[0]
    neutral = torch.full((len(images),), 0.0 if name == "hue" else 1.0)
    assert torch.equal(FUNCTIONS[name][0](images, neutral), images)


@every_property
def test_grey_images_stay_grey(name):
    images = torch.rand(4, 1, 6, 6, generator=generator()).expand(-1, 3, -1, -1)
    result = FUNCTIONS[name][0](images, torch.tensor([0.0, 0.2, 0.4, 0.5]))
    torch.testing.assert_close(result[:, :1].expand_as(result), result)
    if name in ("saturation", "hue"):
        torch.testing.assert_close(result, images)


def test_a_turn_and_back():
    images = torch.rand(3, 3, 9, 9, generator=generator())
    turns = torch.tensor([0.1, 0.5, -0.33])
    torch.testing.assert_close(adjust_hue(adjust_hue(images, turns), -turns), images)


def test_the_mean_grey_of_an_image_does_not_depend_on_threads_or_company():
    # with two threads a reduction of one large image is split where that of several is not
    images = torch.rand(3, 3, 224, 224, generator=generator())
    factors = torch.tensor([0.3, 1.0, 1.9])
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            results.append(adjust_contrast(images, factors))
            alone = [adjust_contrast(images[i : i + 1], factors[i : i + 1]) for i in range(3)]
            results.append(torch.cat(alone))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(result, results[0]) for result in results)


def test_brightness_and_contrast_of_any_number_of_channels():
    for channels in (1, 2, 5):
        images = torch.rand(2, channels, 4, 4, generator=generator()) / 2
        factors = torch.tensor([0.5, 1.5])
        for number, factor in enumerate(factors):
            torch.testing.assert_close(adjust_brightness(images, factors)[number], images[number] * factor)
            mean = images[number].mean()
            expected = (mean + factor * (images[number] - mean)).clamp(0, 1)
            torch.testing.assert_close(adjust_contrast(images, factors)[number], expected)


@every_property
def test_amounts_out_of_range_are_refused(name):
    images = torch.zeros(2, 3, 2, 2)
    rule = (
        r"must lie in \[-0.5, 0.5\], got 0.6"
        if name == "hue"
        else f"of the {name} must be at least 0, got -0.6"
    )
    with pytest.raises(ValueError, match=rule):
        FUNCTIONS[name][0](images, torch.tensor([0.1, -0.6]))


@every_property
def test_types_that_are_no_images_are_refused(name):
    with pytest.raises(ValueError, match=r"uint8 in \[0, 255\] or float in \[0, 1\], got torch.int32"):
        FUNCTIONS[name][0](torch.zeros(1, 3, 2, 2, dtype=torch.int32), torch.zeros(1))


@pytest.mark.parametrize("name", ["saturation", "hue"])
def test_colour_of_grey_images_is_refused(name):
    with pytest.raises(
        ValueError, match=rf"{name} needs 3 channels \(red, green, blue\), got 1; set {name}=0"
    ):
        FUNCTIONS[name][0](torch.zeros(1, 1, 2, 2), torch.zeros(1))
    with pytest.raises(ValueError, match=rf"{name} needs 3 channels .* got 4"):
        ColourJitter(**{name: 0.1}).draw(BatchShape(1, 2, 2, channels=4), generator())


# ColourJitter


def test_the_order_drawn_is_the_order_done():
    images = torch.rand(24, 3, 5, 5, generator=generator())
    step = ColourJitter(0.5, 0.5, 0.9, 0.3)
    drawn = step.draw(BatchShape.of(images), generator(1))
    result = step.apply(images, drawn)
    for number in range(24):
        expected = images[number : number + 1]
        for which in drawn["order"][number].tolist():
            name = list(FUNCTIONS)[which]
            expected = FUNCTIONS[name][0](expected, drawn[name][number : number + 1])
        torch.testing.assert_close(result[number : number + 1], expected, rtol=0, atol=1e-6)


def test_the_order_matters():
    images = torch.rand(1, 3, 5, 5, generator=generator())
    step = ColourJitter(brightness=(2.0, 2.0), contrast=(0.5, 0.5))
    drawn = step.draw(BatchShape.of(images), generator())
    forth, back = torch.tensor([[0, 1, 2, 3]]), torch.tensor([[1, 0, 2, 3]])
    results = [step.apply(images, drawn | {"order": order}) for order in (forth, back)]
    assert (results[0] - results[1]).abs().max() > 0.05


def test_bytes_are_rounded_once():
    # 101 * 0.5 = 50.5, * 2 = 101 again; rounded in between it would be 100
    images = torch.full((1, 3, 2, 2), 101, dtype=torch.uint8)
    step = ColourJitter(brightness=(0.5, 0.5), saturation=(2.0, 2.0), contrast=(1.0, 1.2))
    drawn = {
        "order": torch.tensor([[0, 1, 2, 3]]),
        "brightness": torch.tensor([0.5]),
        "contrast": torch.tensor([1.0]),
        "saturation": torch.tensor([2.0]),
    }
    assert set(step.apply(images, drawn).flatten().tolist()) == {50}  # 50.5 to the even level
    exact = step.apply(images.double() / 255, drawn) * 255
    torch.testing.assert_close(exact, torch.full_like(exact, 50.5))


@pytest.mark.parametrize(
    ("settings", "name", "ends"),
    [
        ({"brightness": 0.4}, "brightness", (0.6, 1.4)),
        ({"contrast": (0.2, 0.7)}, "contrast", (0.2, 0.7)),
        ({"saturation": 3}, "saturation", (0.0, 4.0)),
        ({"hue": 0.1}, "hue", (-0.1, 0.1)),
        ({"hue": (0.0, 0.5)}, "hue", (0.0, 0.5)),
    ],
)
def test_amounts_are_even_between_their_ends(settings, name, ends):
    drawn = ColourJitter(**settings).draw(BatchShape(5000, 2, 2), generator(2))
    assert set(drawn) == {"order", name}
    assert ends[0] <= drawn[name].min() + 1e-7
    assert drawn[name].max() <= ends[1] + 1e-7
    assert kstest(drawn[name].numpy(), "uniform", args=(ends[0], ends[1] - ends[0])).pvalue > 1e-3


def test_all_orders_are_equally_likely():
    order = ColourJitter(0.1).draw(BatchShape(24_000, 2, 2), generator(0))["order"]
    assert torch.equal(order.sort(1).values, torch.arange(4).expand(24_000, 4))
    _, counts = (order * torch.tensor([64, 16, 4, 1])).sum(1).unique(return_counts=True)
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > 1e-3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "changes nothing: give brightness, contrast, saturation or hue"),
        ({"brightness": 0, "hue": (0.0, 0.0), "contrast": (1.0, 1.0)}, "changes nothing"),
        ({"brightness": -0.1}, "brightness must be at least 0, or a rising pair, got brightness=-0.1"),
        (
            {"contrast": (-0.1, 1.0)},
            r"contrast must be at least 0, or a rising pair, got contrast=\(-0.1, 1.0\)",
        ),
        ({"saturation": (1.2, 0.8)}, r"got saturation=\(1.2, 0.8\)"),
        ({"saturation": float("inf")}, "got saturation=inf"),
        ({"brightness": float("nan")}, "got brightness=nan"),
        ({"hue": 0.6}, r"hue must be \[0, 0.5\], or a rising pair in \[-0.5, 0.5\], got hue=0.6"),
        ({"hue": -0.1}, "got hue=-0.1"),
    ],
)
def test_impossible_settings_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        ColourJitter(**settings)
