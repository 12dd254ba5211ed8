"""What every step promises, swept over all of them."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnncourse.augmentation import (
    AlternatingFlip,
    BatchShape,
    ColourJitter,
    Compose,
    CutMix,
    Cutout,
    Flip,
    MixUp,
    PadCrop,
    PCALighting,
    RandomResizedCrop,
    select_rows,
)

AXES = ((0.6, 0.0, 0.8), (0.8, 0.0, -0.6), (0.0, 1.0, 0.0))
LIGHTING = PCALighting((0.2, 0.02, 0.005), AXES, sd=0.5)

STEPS = {
    "flip": Flip(),
    "alternating": AlternatingFlip(3),
    "pad-crop": PadCrop(2),
    "pad-crop-reflect": PadCrop(3, mode="reflect"),
    "pad-crop-filled": PadCrop(2, fill=(1, 0, 1)),
    "resized": RandomResizedCrop(7),
    "grown": RandomResizedCrop(20, scale=(0.2, 0.5)),
    "brightness": ColourJitter(brightness=0.5),
    "jitter": ColourJitter(0.5, 0.5, 0.9, 0.3),
    "lighting": LIGHTING,
    "cutout": Cutout(5),
    "cutout-filled": Cutout(4, fill=(0, 1, 1)),
    "compose": Compose((RandomResizedCrop(9), PadCrop(1), Flip(), ColourJitter(contrast=0.4), Cutout(3))),
}
ANY_TYPE = (
    "flip",
    "alternating",
    "pad-crop",
    "pad-crop-reflect",
    "pad-crop-filled",
    "cutout",
    "cutout-filled",
)
ONE_CHANNEL = ("flip", "pad-crop", "pad-crop-reflect", "resized", "grown", "brightness", "cutout")
TYPES = [torch.uint8, torch.float32, torch.float64, torch.bfloat16, torch.float16]
every_step = pytest.mark.parametrize("name", STEPS)


def generator(seed):
    return torch.Generator().manual_seed(seed)


def pictures(count, height, width, dtype=torch.uint8, *, seed=0, channels=3, channels_last=False):
    levels = torch.randint(0, 256, (count, channels, height, width), generator=generator(seed))
    images = levels.to(torch.uint8) if dtype == torch.uint8 else (levels.double() / 255).to(dtype)
    return images.to(memory_format=torch.channels_last) if channels_last else images


def shape_of(images, epoch=1):
    return BatchShape.of(images, indices=torch.arange(len(images)) * 7, epoch=epoch)


batches = st.builds(
    pictures,
    count=st.integers(1, 6),
    height=st.integers(4, 17),
    width=st.integers(4, 17),
    dtype=st.sampled_from(TYPES[:3]),
    seed=st.integers(0, 2**20),
    channels_last=st.booleans(),
)


@every_step
@settings(max_examples=15)
@given(images=batches, seed=st.integers(0, 2**20), data=st.data())
def test_rows_may_be_selected_before_or_after(name, images, seed, data):
    step = STEPS[name]
    drawn = step.draw(shape_of(images), generator(seed))
    assert all(len(values) == len(images) and values.device.type == "cpu" for values in drawn.values())
    rows = torch.tensor(data.draw(st.lists(st.integers(0, len(images) - 1), max_size=8)), dtype=torch.int64)
    expected = step.apply(images, drawn)[rows]
    assert torch.equal(step.apply(images[rows], select_rows(drawn, rows)), expected)


@every_step
@settings(max_examples=10)
@given(images=batches, seed=st.integers(0, 2**20), cut=st.integers(0, 6))
def test_a_split_batch_gives_the_same_images(name, images, seed, cut):
    step = STEPS[name]
    drawn = step.draw(shape_of(images), generator(seed))
    parts = [step.apply(images[part], select_rows(drawn, part)) for part in (slice(cut), slice(cut, None))]
    assert torch.equal(torch.cat(parts), step.apply(images, drawn))


@every_step
@settings(max_examples=10)
@given(images=batches, seed=st.integers(0, 2**20))
def test_draws_repeat_advance_alike_and_touch_nothing_else(name, images, seed):
    step, shape = STEPS[name], shape_of(images)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first, second = generator(seed), generator(seed)
    drawn, again = step.draw(shape, first), step.draw(shape, second)
    assert drawn.keys() == again.keys()
    assert all(torch.equal(drawn[key], again[key]) for key in drawn)
    assert torch.equal(first.get_state(), second.get_state())
    kept, values = images.clone(), {key: value.clone() for key, value in drawn.items()}
    results = [step.apply(images, drawn) for _ in range(2)]
    assert torch.equal(*results)
    assert torch.equal(images, kept)
    assert all(torch.equal(drawn[key], values[key]) for key in drawn)
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0])
    assert np.array_equal(before[1], after[1])
    assert before[2] == after[2]


@every_step
def test_the_generator_advances_by_the_number_of_images_only(name):
    # what the images show, and whether a box fits at the first try, must not shift the numbers that follow
    step = STEPS[name]
    states = set()
    for height, width in ((8, 8), (8, 100), (30, 30)):
        source = generator(1)
        step.draw(BatchShape(5, height, width, indices=torch.arange(5)), source)
        states.add(tuple(torch.rand(3, generator=source).tolist()))
    assert len(states) == 1


@every_step
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_type_size_and_memory_format_stay(name, dtype, channels_last):
    step = STEPS[name]
    images = pictures(4, 12, 15, dtype, channels_last=channels_last)
    drawn = step.draw(shape_of(images), generator(0))
    result = step.apply(images, drawn)
    after = step.output_shape(shape_of(images)) if hasattr(step, "output_shape") else shape_of(images)
    assert result.shape == (4, 3, after.height, after.width)
    assert result.dtype == dtype
    assert result.is_contiguous(memory_format=torch.channels_last) == channels_last
    assert result.is_contiguous() != channels_last
    plain = step.apply(images.contiguous(), drawn)
    # the kernel that resizes has a path for each memory format
    torch.testing.assert_close(
        result, plain, rtol=0, atol={torch.uint8: 1, torch.float64: 1e-12}.get(dtype, 1e-2)
    )
    if name not in ("resized", "grown", "compose"):
        assert torch.equal(result, plain)


@every_step
def test_views_that_are_not_dense_are_read_as_what_they_show(name):
    step = STEPS[name]
    whole = pictures(8, 24, 30)
    view = whole[1::2, :, 3:15, ::2]
    assert not view.is_contiguous()
    drawn = step.draw(shape_of(view), generator(4))
    torch.testing.assert_close(step.apply(view, drawn), step.apply(view.clone(), drawn), rtol=0, atol=0)


@every_step
@pytest.mark.parametrize("channels_last", [False, True])
def test_no_image_gives_no_image(name, channels_last):
    step = STEPS[name]
    images = pictures(3, 12, 12, channels_last=channels_last)
    drawn = step.draw(shape_of(images), generator(0))
    none = step.apply(images[:0], select_rows(drawn, slice(0)))
    assert none.shape == (0, *step.apply(images, drawn).shape[1:])
    assert none.dtype == torch.uint8
    assert step.draw(BatchShape(0, 12, 12, indices=torch.arange(0)), generator(0)).keys() == drawn.keys()


@pytest.mark.parametrize("name", ANY_TYPE)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
def test_steps_that_only_move_pixels_take_any_type(name, dtype):
    # pixels packed into words, or masks of class indices
    step = STEPS[name]
    images = pictures(4, 9, 9)
    drawn = step.draw(shape_of(images), generator(2))
    assert torch.equal(step.apply(images.to(dtype), drawn), step.apply(images, drawn).to(dtype))


@pytest.mark.parametrize("name", ONE_CHANNEL)
@pytest.mark.parametrize("channels", [1, 4])
def test_channels_are_treated_alike(name, channels):
    step = STEPS[name]
    images = pictures(4, 9, 11, channels=1).expand(-1, channels, -1, -1)
    drawn = step.draw(shape_of(images), generator(2))
    result = step.apply(images, drawn)
    assert result.shape[1] == channels
    for channel in range(channels):
        one = step.apply(images[:, :1].contiguous(), drawn)[:, 0].int()
        assert (result[:, channel].int() - one).abs().max() <= 1


@every_step
def test_something_happens(name):
    images = pictures(20, 12, 12)
    changed = STEPS[name].apply(images, STEPS[name].draw(shape_of(images), generator(0)))
    assert changed.shape != images.shape or bool((changed != images).any())


@pytest.mark.parametrize("name", [name for name in STEPS if name != "compose"])
def test_rows_that_do_not_fit_are_refused(name):
    step, images = STEPS[name], pictures(4, 12, 12)
    drawn = step.draw(shape_of(images), generator(0))
    for rows in (slice(1), slice(3)):
        with pytest.raises(
            ValueError, match=r"must have one row for each image.*for 4 images; select the same"
        ):
            step.apply(images, select_rows(drawn, rows))


class NobodyLeftBehind(TorchDispatchMode):
    """Refuses every operation on tensors of two devices, except copies and single numbers."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        tensors = [
            leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor) and leaf.ndim
        ]
        if "copy" not in func.name() and len({tensor.device for tensor in tensors}) > 1:
            raise AssertionError(f"{func.name()} has tensors of two devices")
        return func(*args, **(kwargs or {}))


def test_a_tensor_left_behind_is_found():
    images, rows = torch.zeros(3, 2, device="meta"), torch.arange(3)
    with NobodyLeftBehind():
        assert images.index_select(0, rows.to("meta")).shape == (3, 2)
        with pytest.raises(AssertionError, match="index_select has tensors of two devices"):
            images.index_select(0, rows)


@every_step
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last], ids=str)
def test_what_was_drawn_follows_the_images_to_their_device(name, form):
    # "meta" holds no values: whoever waits for one of the device's is found out too
    images = pictures(3, 12, 12)
    drawn = STEPS[name].draw(shape_of(images), generator(0))
    there = images.to("meta").contiguous(memory_format=form)
    with NobodyLeftBehind():
        result = STEPS[name].apply(there, drawn)
    assert result.device.type == "meta"
    assert result.shape == STEPS[name].apply(images, drawn).shape


@pytest.mark.parametrize("mixing", [MixUp(), CutMix()], ids=str)
def test_mixing_follows_the_images_to_their_device(mixing):
    images, labels = torch.zeros(3, 3, 4, 4, device="meta"), torch.zeros(3, dtype=torch.int64, device="meta")
    drawn = mixing.draw(BatchShape.of(images), generator(0))
    with NobodyLeftBehind():
        mixed, targets = mixing.apply(images, labels, drawn, 5)
    assert mixed.device.type == targets.device.type == "meta"
    assert targets.shape == (3, 5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_step
def test_on_a_gpu_as_on_the_cpu(name):
    for dtype in TYPES[:2]:
        for channels_last in (False, True):
            images = pictures(8, 12, 15, dtype, channels_last=channels_last)
            drawn = STEPS[name].draw(shape_of(images), generator(0))
            here, there = STEPS[name].apply(images, drawn), STEPS[name].apply(images.cuda(), drawn)
            assert there.device.type == "cuda"
            torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1 if dtype == torch.uint8 else 1e-5)


@pytest.mark.parametrize(
    "mixing", [MixUp(0.7), MixUp(0.7, per_image=True), CutMix(), CutMix(per_image=True)], ids=str
)
@settings(max_examples=15)
@given(images=batches, seed=st.integers(0, 2**20))
def test_mixing_repeats_and_changes_nothing_in_place(mixing, images, seed):
    images = images if images.is_floating_point() else images.float()
    labels = torch.arange(len(images)) % 3
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    kept = images.clone()
    results = []
    for _ in range(2):
        source = generator(seed)
        drawn = mixing.draw(BatchShape.of(images), source)
        results.append((*mixing.apply(images, labels, drawn, 3), source.get_state()))
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))
    assert torch.equal(images, kept)
    assert torch.equal(labels, torch.arange(len(images)) % 3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert results[0][0].dtype == images.dtype
    assert results[0][0].shape == images.shape
