import shutil
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.augmentation.crops import PadCrop
from cnncourse.augmentation.flips import AlternatingFlip, Flip
from cnncourse.augmentation.steps import Compose
from cnncourse.datasets import Batches, DataInfo, LabelledImages, Normalisation
from cnncourse.datasets.packed import CropAndFlip, PackedImages

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a", "b", "c"))
STEPS = Compose((PadCrop(2), Flip()))


def noise(count=11, channels=3, height=5, width=7):
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(0, 256, (count, channels, height, width), generator=generator)
    return LabelledImages(images.to(torch.uint8), torch.arange(count) % 3, INFO, "train")


@st.composite
def crops(draw):
    mode = draw(st.sampled_from(["constant", "reflect"]))
    fill = 0 if mode == "reflect" else draw(st.sampled_from([0, 255, 17]))
    return PadCrop(draw(st.integers(1, 3)), fill=fill, mode=mode)


@st.composite
def crops_and_flips(draw):
    flips = st.sampled_from([Flip(), Flip(0.0), Flip(1.0), AlternatingFlip(3)])
    before, after = draw(st.lists(flips, max_size=2)), draw(st.lists(flips, max_size=2))
    crop = draw(st.lists(crops(), min_size=0 if before or after else 1, max_size=1))
    steps = (*before, *crop, *after)
    if len(steps) == 1 and draw(st.booleans()):
        return steps[0]
    return Compose((Compose(steps[:1]), *steps[1:]))


SETTINGS = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, 12),
        "shuffle": st.booleans(),
        "seed": st.integers(0, 3),
        "augmentation": crops_and_flips(),
        "dtype": st.sampled_from([torch.float32, torch.bfloat16, torch.float16]),
        "channels_last": st.booleans(),
    }
)


@given(
    settings=SETTINGS,
    size=st.tuples(st.sampled_from([1, 2, 3]), st.integers(4, 6), st.integers(4, 7)),
    number=st.integers(1, 3),
    world=st.integers(1, 3),
)
def test_packed_batches_are_the_others_bit_for_bit(settings, size, number, world):
    data = noise(11, *size)
    norm = Normalisation.of(data)
    packed, generic = (
        Batches(data, normalisation=norm, packed=packed, **settings) for packed in (True, False)
    )
    assert "packed" in repr(packed)
    assert "packed" not in repr(generic)
    share = {"rank": world - 1, "world": world}
    both = zip(packed.epoch(number, **share), generic.epoch(number, **share), strict=True)
    for (images, targets), (expected, expected_targets) in both:
        assert images.dtype == settings["dtype"]
        assert torch.equal(images, expected)
        assert torch.equal(targets, expected_targets)
        layout = torch.channels_last if settings["channels_last"] else torch.contiguous_format
        assert images.is_contiguous(memory_format=layout)


def test_a_crop_and_a_flip_worked_out_on_paper():
    # 1 2 3   framed by one black pixel and cut at row 2, column 0:   0 4 5
    # 4 5 6                                                           0 0 0
    images = torch.tensor([[1, 2, 3], [4, 5, 6]], dtype=torch.uint8).view(1, 1, 2, 3)
    augmentation = Compose((PadCrop(1), Flip()))
    plan = CropAndFlip.of(augmentation)
    packed = PackedImages(images, plan)
    for flipped, expected in ((False, [0, 4, 5, 0, 0, 0]), (True, [5, 4, 0, 0, 0, 0])):
        drawn = {"0.offsets": torch.tensor([[2, 0]]), "1.flipped": torch.tensor([flipped])}
        assert packed.bytes_at(packed.starts(torch.tensor([0]), *plan.places(drawn))).tolist() == [expected]


def test_batches_that_are_still_held_do_not_change():
    loader = Batches(noise(), 4, Normalisation.of(noise()), augmentation=STEPS, shuffle=True)
    held = [images for images, _ in loader.epoch(1)]
    copies = [images.clone() for images in held]
    for images, _ in loader.epoch(2):
        images.zero_()
    assert all(torch.equal(a, b) for a, b in zip(held, copies, strict=True))
    again = [images for images, _ in loader.epoch(1)]
    assert all(torch.equal(a, b) for a, b in zip(again, copies, strict=True))


@dataclass(frozen=True)
class HalfTurn(Flip):
    """Somebody's own flip."""

    def apply(self, images, drawn):
        return super().apply(images, drawn).flip(2)


@pytest.mark.parametrize(
    "augmentation", [HalfTurn(), Compose((PadCrop(1), PadCrop(1))), Compose((Flip(), HalfTurn()))]
)
def test_what_cannot_be_packed_is_not(augmentation):
    norm = Normalisation.of(noise())
    assert "packed" not in repr(Batches(noise(), 4, norm, augmentation=augmentation))
    with pytest.raises(ValueError, match=r"packed=True needs an augmentation of flips .* leave packed out"):
        Batches(noise(), 4, norm, augmentation=augmentation, packed=True)


def test_only_what_fits_is_packed_unasked(monkeypatch):
    norm = Normalisation.of(noise())
    needed = 2 * 11 * 3 * 9 * 11
    assert PackedImages.bytes_needed(noise().images, CropAndFlip.of(STEPS)) == needed
    assert PackedImages.bytes_needed(noise().images, CropAndFlip.of(PadCrop(2))) == needed // 2
    for most, expected in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr("cnncourse.datasets.loader.MOST_PACKED_BYTES", most)
        assert ("packed" in repr(Batches(noise(), 4, norm, augmentation=STEPS))) is expected
        assert "packed" in repr(Batches(noise(), 4, norm, augmentation=STEPS, packed=True))
    with pytest.raises(ValueError, match="packed=True needs an augmentation"):
        Batches(noise(), 4, norm, packed=True)
    assert repr(Batches(noise(), 4, norm)) == f"3 batches of 4 on cpu, from {noise()!r}"


def test_a_compiler_that_fails_is_told_of_once_and_done_without(monkeypatch):
    def broken(function, **_settings):
        def kernel(*_arguments):
            raise FileNotFoundError("no compiler here")

        return kernel

    monkeypatch.setattr(torch, "compile", broken)
    norm = Normalisation.of(noise())
    loader = Batches(noise(), 4, norm, augmentation=STEPS, compiled=True)
    assert "packed, compiled" in repr(loader)
    with pytest.warns(
        RuntimeWarning, match=r"FileNotFoundError: no compiler here\); going on without"
    ) as told:
        got = list(loader.epoch(1))
    assert len(told) == 1
    expected = Batches(noise(), 4, norm, augmentation=STEPS).epoch(1)
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(got, expected, strict=True))


def test_compiling_needs_something_to_compile():
    with pytest.raises(ValueError, match="compiled=True concerns packed images only"):
        Batches(noise(), 4, Normalisation.of(noise()), compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the compiler's own
def test_compiled_batches_are_the_others_bit_for_bit(dtype, channels_last):
    data = noise(150, 3, 9, 13)
    settings = {
        "shuffle": True,
        "augmentation": STEPS,
        "dtype": dtype,
        "channels_last": channels_last,
    }
    norm = Normalisation.of(data)
    compiled = Batches(data, 64, norm, compiled=True, **settings)
    generic = Batches(data, 64, norm, packed=False, **settings)
    for (images, _), (expected, _) in zip(compiled.epoch(1), generic.epoch(1), strict=True):
        assert torch.equal(images, expected)
