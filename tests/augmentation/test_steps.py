import pytest
import torch

from cnncourse.augmentation import (
    BatchShape,
    ColourJitter,
    Compose,
    CutMix,
    Cutout,
    Flip,
    MixUp,
    PadCrop,
    RandomResizedCrop,
    select_rows,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_shape_of_a_batch():
    shape = BatchShape.of(torch.zeros(4, 3, 5, 6), indices=torch.arange(4), epoch=2)
    assert (shape.count, shape.channels, shape.height, shape.width, shape.epoch) == (4, 3, 5, 6, 2)
    assert shape.indices.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"count": -1}, "count must be at least 0.*count=-1"),
        ({"height": 0}, "height, width and channels at least 1.*height=0"),
        ({"width": 0}, "width=0"),
        ({"channels": 0}, "channels=0"),
        ({"epoch": 0}, "number of the pass, from 1, got epoch=0"),
        ({"indices": torch.arange(3)}, r"one for each image, got torch.int64 of shape \(3,\)"),
        ({"indices": torch.zeros(2)}, r"must be int64 of shape \(2,\).*got torch.float32"),
    ],
)
def test_impossible_shapes_are_refused(fields, words):
    with pytest.raises(ValueError, match=words):
        BatchShape(**{"count": 2, "height": 4, "width": 4} | fields)


def test_a_single_image_without_batch_is_refused():
    with pytest.raises(ValueError, match=r"axes \(N, C, H, W\), got shape \(3, 4, 4\)"):
        BatchShape.of(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match=r"a single image is images\[None\]"):
        Flip().apply(torch.zeros(3, 4, 4), {"flipped": torch.tensor([True] * 3)})


def test_select_rows():
    drawn = {"a": torch.arange(4), "b": torch.eye(4)}
    assert select_rows(drawn, torch.tensor([3, 0]))["a"].tolist() == [3, 0]
    assert select_rows(drawn, slice(1, None, 2))["b"].tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]


def test_compose_is_its_steps_in_turn():
    images = torch.randint(0, 256, (5, 3, 8, 9), dtype=torch.uint8, generator=generator())
    pad, flip = PadCrop(2), Flip()
    both = Compose((pad, flip))
    shape = BatchShape.of(images)
    drawn = both.draw(shape, generator(3))
    source = generator(3)
    first, second = pad.draw(shape, source), flip.draw(shape, source)
    assert set(drawn) == {"0.offsets", "1.flipped"}
    assert torch.equal(drawn["0.offsets"], first["offsets"])
    assert torch.equal(drawn["1.flipped"], second["flipped"])
    assert torch.equal(both.apply(images, drawn), flip.apply(pad.apply(images, first), second))


def test_a_step_after_a_resize_draws_for_the_new_size():
    # centres of an 8 x 8 square drawn for 100 x 100 would nearly all miss a 4 x 4 image
    step = Compose((Compose((RandomResizedCrop(4),)), Cutout(1)))
    drawn = step.draw(BatchShape(500, 100, 100), generator())
    assert set(drawn) == {"0.0.boxes", "1.centres"}
    assert drawn["1.centres"].max() == 3
    after = step.output_shape(BatchShape(500, 100, 100))
    assert (after.count, after.height, after.width) == (500, 4, 4)


def test_twelve_steps_do_not_mix_up_their_names():
    # "1." and "11." begin alike
    step = Compose([Flip(i % 2) for i in range(12)])
    drawn = step.draw(BatchShape(1, 1, 2), generator())
    assert len(drawn) == 12
    images = torch.tensor([1, 2]).view(1, 1, 1, 2)
    assert step.apply(images, drawn).flatten().tolist() == [1, 2]  # six flips
    drawn["11.flipped"] = ~drawn["11.flipped"]
    assert step.apply(images, drawn).flatten().tolist() == [2, 1]


@pytest.mark.parametrize("mixing", [MixUp(), CutMix()])
def test_mixing_is_refused_in_compose(mixing):
    with pytest.raises(ValueError, match="mixes images and labels and cannot stand in Compose"):
        Compose((Flip(), mixing))


def test_compose_refuses_nothing_and_what_is_no_step():
    with pytest.raises(ValueError, match="at least one step, got none; leave it out"):
        Compose(())
    with pytest.raises(ValueError, match="each step must have draw and apply, got 3"):
        Compose((3,))


def test_compose_hands_refusals_on():
    with pytest.raises(ValueError, match="hue needs 3 channels"):
        Compose((Flip(), ColourJitter(hue=0.1))).draw(BatchShape(2, 4, 4, channels=1), generator())
