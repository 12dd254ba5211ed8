import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from cnncourse.augmentation.crops import PadCrop
from cnncourse.augmentation.flips import Flip
from cnncourse.augmentation.steps import Compose
from cnncourse.datasets import (
    Batches,
    DataInfo,
    FolderImages,
    ImageError,
    Normalisation,
    StreamedBatches,
    WorkerError,
)
from cnncourse.datasets.decoding import decode

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a", "b", "c"))
LEVELS = Normalisation((0.0,) * 3, (1 / 255,) * 3)  # leaves the levels as they are
STEPS = Compose((PadCrop(2), Flip()))
COUNT = 11


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Image i has the level i in the middle, and noise at its edges; sizes differ."""
    folder = tmp_path_factory.mktemp("images")
    generator = np.random.default_rng(0)
    paths = []
    for number in range(COUNT):
        pixels = generator.integers(0, 256, (12 + number % 3, 12, 3), dtype=np.uint8)
        pixels[3:-3, 3:-3] = number
        paths.append(folder / f"{number}.png")
        Image.fromarray(pixels).save(paths[-1])
    return FolderImages(tuple(paths), torch.arange(COUNT) % 3, INFO, "train")


def numbers_of(images):
    return images[:, 0, 5, 5].round().long()


def equal(some, others):
    return all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(some, others, strict=True))


@dataclass(frozen=True)
class CutCorner:
    """Cut the upper left corner out, and brighten it by what is drawn: a step that brings images to one size."""

    side: int = 8

    def draw(self, shape, generator):
        assert (shape.count, shape.channels, shape.width) == (1, 3, 12)
        level = 1 + 10 * shape.epoch + torch.randint(0, 10, (1,), generator=generator)
        return {"level": level, "index": shape.indices}

    def apply(self, images, drawn):
        assert images.dtype == torch.uint8
        return images[:, :, 2 : 2 + self.side, 2 : 2 + self.side] + drawn["level"].to(torch.uint8)


@dataclass(frozen=True)
class EndTheProcess:
    """A worker that is killed, as when memory runs out."""

    def draw(self, shape, generator):
        if int(shape.indices) == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return {}

    def apply(self, images, drawn):
        return images


@dataclass(frozen=True)
class Fail:
    """A mistake in somebody's own step."""

    def draw(self, shape, generator):
        raise RuntimeError("my mistake")


SETTINGS = st.fixed_dictionaries(
    {
        "batch_size": st.integers(1, COUNT + 2),
        "shuffle": st.booleans(),
        "augmentation": st.sampled_from([None, STEPS]),
    }
)


@settings(max_examples=40)
@given(keywords=SETTINGS, count=st.integers(1, COUNT), world=st.integers(1, 4), number=st.integers(1, 3))
def test_processes_together_see_the_images_of_one(files, keywords, count, world, number):
    loader = StreamedBatches(files.select(slice(count)), normalisation=LEVELS, side=12, **keywords)
    assert loader.image_count == count
    shares = [loader.epoch(number, rank=rank, world=world) for rank in range(world)]
    seen = []
    for step, (images, targets) in enumerate(loader.epoch(number)):
        assert loader.images_of(step) == len(images) == len(targets)
        seen += numbers_of(images).tolist()
        assert torch.equal(targets, numbers_of(images) % 3)
        for rank, share in enumerate(shares):
            part_images, part_targets = next(share)
            real = loader.images_of(step, rank, world)
            assert len(part_images) == max(real, 1)
            assert torch.equal(part_images[:real], images[rank::world])
            assert torch.equal(part_targets[:real], targets[rank::world])
    assert [next(share, None) for share in shares] == [None] * world
    assert sorted(seen) == list(range(count))
    if not keywords["shuffle"]:
        assert seen == sorted(seen)


def test_the_order_is_that_of_images_in_memory(files):
    resident = Batches(files.to_images(12, progress=False), 4, LEVELS, shuffle=True, seed=5)
    streamed = StreamedBatches(files, 4, LEVELS, shuffle=True, seed=5, side=12)
    for number in (1, 2):
        for (_, targets), (images, streamed_targets) in zip(
            resident.epoch(number), streamed.epoch(number), strict=True
        ):
            assert torch.equal(targets, streamed_targets)
            assert images.shape[1:] == (3, 12, 12)


def test_pixels_are_those_of_the_files(files):
    square = files.select(torch.arange(0, COUNT, 3))  # 12 x 12 pixels
    ((images, _),) = StreamedBatches(square, COUNT, LEVELS, side=12)
    assert torch.equal(images.round().to(torch.uint8), torch.stack([decode(path) for path in square.paths]))


@pytest.mark.parametrize("first_step", [0, 2, 3])
def test_a_pass_goes_on_where_it_was_left(files, first_step):
    def loader():
        return StreamedBatches(files, 4, LEVELS, shuffle=True, seed=1, augmentation=CutCorner())

    assert equal(list(loader().epoch(2))[first_step:], loader().epoch(2, first_step=first_step))


def test_passes_differ_and_follow_each_other(files):
    loader = StreamedBatches(files, 4, LEVELS, shuffle=True, augmentation=CutCorner())
    passes = [list(loader) for _ in range(2)]
    assert not equal(*passes)
    assert equal(passes[0], loader.epoch(1))
    assert equal(passes[1], loader.epoch(2))
    other = StreamedBatches(files, 4, LEVELS, shuffle=True, seed=1, augmentation=CutCorner())
    assert not equal(passes[0], other.epoch(1))


def test_workers_give_what_no_workers_give(files):
    """One set of processes serves pass after pass, also after one that was left in the middle."""
    keywords = {"shuffle": True, "augmentation": CutCorner(), "channels_last": True, "dtype": torch.bfloat16}
    alone = StreamedBatches(files, 2, LEVELS, **keywords)
    helped = StreamedBatches(files, 2, LEVELS, workers=2, **keywords)
    state = torch.get_rng_state()
    assert equal(alone.epoch(1), helped.epoch(1))
    left = helped.epoch(2)
    next(left)
    assert equal(alone.epoch(3, rank=1, world=2), helped.epoch(3, rank=1, world=2))
    with pytest.raises(RuntimeError, match="another pass of these batches has begun, or they were closed"):
        next(left)
    assert equal(alone.epoch(2, first_step=3), helped.epoch(2, first_step=3))
    assert torch.equal(torch.get_rng_state(), state)  # the global generator is left alone
    helped.close()
    assert "6 streamed batches of 2 on cpu, 2 workers, from Toy, train: 11 image files" in repr(helped)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_worker_that_dies_is_told_of_and_replaced(files):
    """Forked, for speed; the kind of start makes no difference here."""
    loader = StreamedBatches(
        files, 1, LEVELS, side=12, augmentation=EndTheProcess(), workers=1, multiprocessing_context="fork"
    )
    for _ in range(2):
        with pytest.raises(WorkerError, match=r"died \(.+\)\. Likely causes: memory .* workers=0"):
            list(loader.epoch(1))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_file_and_a_broken_step_are_told_of(files, tmp_path, workers):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff no photograph")
    data = FolderImages((files.paths[0], broken), torch.tensor([0, 1]), INFO, "train")
    keywords = {"workers": workers, "multiprocessing_context": "fork"}
    with pytest.raises(ImageError, match=r"broken\.jpg cannot be read as an image .*; replace or remove it"):
        list(StreamedBatches(data, 2, LEVELS, side=12, **keywords))
    with pytest.raises(ValueError, match=r"one size, got \(3, 12, 12\) and \(3, 13, 12\) .* or give side="):
        list(StreamedBatches(files, 2, LEVELS, augmentation=Flip(), **keywords))
    with pytest.raises(RuntimeError, match="my mistake"):
        list(StreamedBatches(files, 2, LEVELS, augmentation=Fail(), **keywords))


def test_evaluation_takes_the_usual_size_unless_told_another(files):
    data = files.select(slice(1))
    assert [images.shape[2:] for images, _ in StreamedBatches(data, 1, LEVELS)] == [(224, 224)]
    small = StreamedBatches(data, 1, LEVELS, side=6, short_side=8)
    assert [images.shape[2:] for images, _ in small] == [(6, 6)]


def test_nonsense_is_refused(files):
    def loader(batch_size=4, normalisation=LEVELS, data=files, **settings):
        return StreamedBatches(data, batch_size, normalisation, **settings)

    with pytest.raises(ValueError, match=r"empty \(Toy, train: 0 image files"):
        loader(data=files.select(slice(0)))
    with pytest.raises(ValueError, match="got batch_size=0"):
        loader(0)
    with pytest.raises(ValueError, match="decoded to 3 channels, but normalisation has 1"):
        loader(normalisation=Normalisation((0.0,), (1.0,)))
    with pytest.raises(ValueError, match=r"floating-point type, got torch\.int64"):
        loader(dtype=torch.int64)
    with pytest.raises(ValueError, match="got workers=-1"):
        loader(workers=-1)
    with pytest.raises(ValueError, match="short_side=9 needs a side"):
        loader(short_side=9)
    with pytest.raises(ValueError, match="got side=9, short_side=8"):
        loader(side=9, short_side=8)

    class Hidden(Flip):
        pass

    with pytest.raises(ValueError, match=r"cannot be sent to other processes .* or take workers=0"):
        loader(augmentation=Hidden(), workers=1)
