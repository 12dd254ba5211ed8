from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from cnncourse.augmentation.crops import PadCrop
from cnncourse.augmentation.flips import AlternatingFlip, Flip
from cnncourse.augmentation.steps import Compose
from cnncourse.datasets import Batches, DataInfo, LabelledImages, Normalisation, StreamedBatches, batches
from cnncourse.datasets.passes import Passes

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a", "b", "c"))
LEVELS = Normalisation((0.0,), (1 / 255,))  # leaves the levels as they are
STEPS = Compose((PadCrop(2), Flip()))


def toy(count=12):
    """Image i has the level i everywhere but in its corners, which tell crops and flips apart."""
    images = torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1).repeat(1, 1, 4, 6)
    images[:, :, 0, 0], images[:, :, -1, 0] = 254, 255
    return LabelledImages(images, torch.arange(count) % 3, INFO, "train")


def seen(loader, number, **keywords):
    """Return the images of a pass, all that count, by their number."""
    rank, world = keywords.get("rank", 0), keywords.get("world", 1)
    found = []
    for step, (images, targets) in enumerate(loader.epoch(number, **keywords)):
        real = loader.images_of(step, rank, world)
        assert len(images) == len(targets) == max(real, 1)
        assert targets.dtype == torch.int64
        numbers = images[:, 0, 2, 3].round().long()[:real]
        assert torch.equal(targets[:real], numbers % 3)  # labels travel with their images
        found.append(numbers)
    return found


@dataclass(frozen=True)
class Invert:
    """A step of its own: negative or not."""

    def draw(self, shape, generator):
        assert shape.indices is not None
        assert (shape.height, shape.width, shape.channels) == (4, 6, 1)
        return {
            "inverted": torch.rand(shape.count, generator=generator) < 0.5,
            "index": shape.indices,
            "epoch": torch.full((shape.count,), shape.epoch),
        }

    def apply(self, images, drawn):
        assert images.dtype == torch.uint8
        assert bool((drawn["epoch"] == drawn["epoch"][0]).all())
        return torch.where(drawn["inverted"].view(-1, 1, 1, 1), 255 - images, images)


@given(
    count=st.integers(1, 30),
    batch_size=st.integers(1, 35),
    world=st.integers(1, 5),
    shuffle=st.booleans(),
    number=st.integers(1, 4),
)
def test_processes_together_see_each_image_once_in_the_order_of_one(
    count, batch_size, world, shuffle, number
):
    loader = Batches(toy(count), batch_size, LEVELS, shuffle=shuffle, seed=count)
    assert loader.image_count == count
    alone = seen(loader, number)
    assert len(alone) == len(loader)
    assert torch.cat(alone).sort().values.tolist() == list(range(count))
    shares = [seen(loader, number, rank=rank, world=world) for rank in range(world)]
    for step, whole in enumerate(alone):
        together = torch.full_like(whole, -1)
        for rank in range(world):
            together[rank::world] = shares[rank][step]
        assert torch.equal(together, whole)


@pytest.mark.parametrize("augmentation", [STEPS, Invert(), AlternatingFlip(), Compose((Invert(), Flip()))])
@pytest.mark.parametrize("world", [2, 3, 5])
def test_processes_together_see_the_pixels_of_one(augmentation, world):
    loader = Batches(toy(), 5, LEVELS, shuffle=True, seed=4, augmentation=augmentation)
    shares = [loader.epoch(2, rank=rank, world=world) for rank in range(world)]
    for step, (images, targets) in enumerate(loader.epoch(2)):
        for rank, share in enumerate(shares):
            part_images, part_targets = next(share)
            real = loader.images_of(step, rank, world)
            assert torch.equal(part_images[:real], images[rank::world])
            assert torch.equal(part_targets[:real], targets[rank::world])
    assert [next(share, None) for share in shares] == [None] * world


@given(first=st.integers(0, 4), augmented=st.booleans(), rank=st.integers(0, 1))
def test_a_pass_goes_on_where_it_was_left(first, augmented, rank):
    def loader():
        return Batches(toy(), 3, LEVELS, shuffle=True, seed=1, augmentation=STEPS if augmented else None)

    rest = list(loader().epoch(3, rank=rank, world=2))[first:]
    resumed = list(loader().epoch(3, first_step=first, rank=rank, world=2))
    assert len(rest) == len(resumed) == 4 - first
    for old, new in zip(rest, resumed, strict=True):
        assert torch.equal(old[0], new[0])
        assert torch.equal(old[1], new[1])


def test_iterating_goes_through_the_passes_in_turn():
    loader = Batches(toy(), 5, LEVELS, shuffle=True, seed=0, augmentation=STEPS)
    passes = [torch.cat([images for images, _ in loader]) for _ in range(3)]
    for number, images in enumerate(passes, start=1):
        assert torch.equal(images, torch.cat([images for images, _ in loader.epoch(number)]))
    assert not torch.equal(passes[0], passes[1])


def test_orders_depend_on_pass_and_seed_and_nothing_else():
    def orders(seed):
        loader = Batches(toy(), 5, LEVELS, shuffle=True, seed=seed)
        return {tuple(torch.cat(seen(loader, number)).tolist()) for number in range(1, 6)}

    state = torch.get_rng_state()
    first = orders(0)
    assert len(first) == 5
    torch.manual_seed(12)
    assert orders(0) == first
    assert not orders(1) & first
    torch.set_rng_state(state)
    orders(0)
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone


def test_unshuffled_batches_are_the_data_as_they_are():
    loader = Batches(toy(), 5, LEVELS)
    assert len(loader) == 3
    assert [len(targets) for _, targets in loader] == [5, 5, 2]
    assert_close(torch.cat([images for images, _ in loader]), toy().images.float())


@pytest.mark.parametrize("augmentation", [None, Invert(), STEPS])
@pytest.mark.parametrize("channels_last", [False, True])
def test_type_and_layout(augmentation, channels_last):
    images = toy().images.repeat(1, 3, 1, 1)
    data = LabelledImages(images, toy().targets, INFO, "train")
    norm = Normalisation.of(data)
    if isinstance(augmentation, Invert):
        augmentation = Flip(1.0)
    loader = Batches(
        data, 5, norm, dtype=torch.bfloat16, channels_last=channels_last, augmentation=augmentation
    )
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for got, _ in loader:
        assert got.dtype == torch.bfloat16
        assert got.is_contiguous(memory_format=layout)


def test_the_factory_picks_by_type(tmp_path):
    from PIL import Image

    from cnncourse.datasets import FolderImages

    loader = batches(toy(), 5, LEVELS, shuffle=True, seed=3, augmentation=STEPS, workers=2)
    assert type(loader) is Batches
    own = Batches(toy(), 5, LEVELS, shuffle=True, seed=3, augmentation=STEPS)
    for (a, _), (b, _) in zip(loader.epoch(1), own.epoch(1), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match="images in memory have their size, got side=3"):
        batches(toy(), 5, LEVELS, side=3)
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    files = FolderImages((tmp_path / "a.png",), torch.tensor([0]), INFO, "train")
    streamed = batches(files, 5, Normalisation((0.0,) * 3, (1.0,) * 3), side=4, short_side=5)
    assert type(streamed) is StreamedBatches
    assert isinstance(streamed, Passes)
    assert [images.shape for images, _ in streamed] == [(1, 3, 4, 4)]


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match=r"empty \(Toy, train: 0 images"):
        Batches(toy().select(slice(0)), 4, LEVELS)
    with pytest.raises(ValueError, match="got batch_size=0"):
        Batches(toy(), 0, LEVELS)
    with pytest.raises(ValueError, match="one mean a channel, got 3 for images of 1"):
        Batches(toy(), 4, Normalisation((0.0,) * 3, (1.0,) * 3))
    with pytest.raises(ValueError, match=r"floating-point type, got torch\.uint8"):
        Batches(toy(), 4, LEVELS, dtype=torch.uint8)
    loader = Batches(toy(), 5, LEVELS)
    with pytest.raises(ValueError, match="counted from 1, got number=0"):
        loader.epoch(0)
    with pytest.raises(ValueError, match=r"first_step must lie in \[0, 3\], got first_step=4"):
        loader.epoch(1, first_step=4)
    with pytest.raises(ValueError, match=r"rank must lie in \[0, world\), got rank=2, world=2"):
        loader.epoch(1, rank=2, world=2)
    with pytest.raises(ValueError, match=r"step must lie in \[0, 3\), the steps of a pass, got step=3"):
        loader.images_of(3)
