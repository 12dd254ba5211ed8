import pytest
import torch

from cnncourse.datasets import DataInfo, LabelledImages, digits

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a", "b", "c"))


def toy(count=12, channels=2):
    images = torch.randint(0, 256, (count, channels, 4, 6), generator=torch.Generator().manual_seed(0))
    return LabelledImages(images.to(torch.uint8), torch.arange(count) % 3, INFO, "train")


def test_held_out_is_disjoint_complete_and_stratified():
    data = digits("train")
    rest, held = data.held_out(0.2, generator=torch.Generator().manual_seed(3))
    assert len(rest) + len(held) == len(data)
    every = torch.cat([rest.images, held.images]).flatten(1)
    assert torch.equal(torch.unique(every, dim=0), torch.unique(data.images.flatten(1), dim=0))
    shares = torch.bincount(held.targets) / torch.bincount(data.targets)
    assert (shares - 0.2).abs().max() < 0.005
    again = data.held_out(0.2, generator=torch.Generator().manual_seed(3))[1]
    other = data.held_out(0.2, generator=torch.Generator().manual_seed(4))[1]
    assert torch.equal(held.images, again.images)
    assert not torch.equal(held.images, other.images)
    assert held.split == "held-out part of train"


def test_padding_puts_the_image_in_the_middle():
    padded = toy().padded(8)
    assert padded.images.shape == (12, 2, 8, 8)
    assert torch.equal(padded.images[:, :, 2:6, 1:7], toy().images)
    assert padded.images.long().sum() == toy().images.long().sum()
    with pytest.raises(ValueError, match="at least 6, the images' side now, got side=5"):
        toy().padded(5)


def test_select_and_repr():
    assert toy().select(torch.tensor([2, 0])).targets.tolist() == [2, 0]
    assert len(toy().select(slice(5), "five")) == 5
    assert repr(toy()) == "Toy, train: 12 images of 2 × 4 × 6, 3 classes"


def test_bad_data_is_refused():
    images, targets = torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=r"images must be uint8 .* got torch.float32 \(3, 1, 2, 2\)"):
        LabelledImages(images.float(), targets, INFO, "train")
    with pytest.raises(ValueError, match=r"targets must be int64 of shape \(3,\), got torch.int64 \(2,\)"):
        LabelledImages(images, targets[:2], INFO, "train")
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 3\) for Toy, got 0 to 3"):
        LabelledImages(images, torch.tensor([0, 1, 3]), INFO, "train")
    with pytest.raises(ValueError, match="strictly between 0 and 1, got 1"):
        toy().held_out(1)
    with pytest.raises(ValueError, match="leaves one part empty"):
        toy(3).held_out(0.1)
