import pytest
import torch
from torch.testing import assert_close

from cnncourse.datasets import Batches, DataInfo, LabelledImages, Normalisation, digits

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


def test_normalisation_is_torchs_mean_and_standard_deviation():
    data = toy()
    norm = Normalisation.of(data)
    pixels = data.images.double() / 255
    assert_close(torch.tensor(norm.mean, dtype=torch.float64), pixels.mean(dim=(0, 2, 3)))
    assert_close(torch.tensor(norm.std, dtype=torch.float64), pixels.std(dim=(0, 2, 3), correction=0))
    out = norm(data.images)
    assert out.dtype == torch.float32
    assert_close(out.mean(dim=(0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    assert_close(out.std(dim=(0, 2, 3), correction=0), torch.ones(2))


def test_normalisation_refuses_nonsense():
    with pytest.raises(ValueError, match="std above 0"):
        Normalisation((0.0,), (0.0,))
    with pytest.raises(ValueError, match="at least one image"):
        Normalisation.of(toy().select(slice(0)))


def test_batches_cover_the_data_once_in_order_or_shuffled():
    data, norm = toy(), Normalisation((0.0, 0.0), (1 / 255, 1 / 255))  # the identity
    plain = Batches(data, 5, norm)
    assert len(plain) == 3
    assert plain.image_count == 12
    assert [len(targets) for _, targets in plain] == [5, 5, 2]
    assert_close(torch.cat([images for images, _ in plain]), data.images.float())
    shuffled = Batches(data, 5, norm, shuffle=True, generator=torch.Generator().manual_seed(0))
    first, second = (torch.cat([images for images, _ in shuffled]) for _ in range(2))
    assert not torch.equal(first, second)
    assert_close(first.flatten(1).sum(1).sort().values, data.images.float().flatten(1).sum(1).sort().values)
    images, targets = next(iter(shuffled))
    for image, target in zip(images, targets, strict=True):
        origin = (data.images.float() - image).abs().flatten(1).sum(1).argmin()
        assert data.targets[origin] == target  # labels travel with their images


def test_augmentation_sees_uint8_and_the_generator():
    seen = []

    def invert(images, generator):
        seen.append((images.dtype, generator))
        return 255 - images

    generator = torch.Generator()
    batches = Batches(
        toy(), 12, Normalisation((0.0, 0.0), (1.0, 1.0)), generator=generator, augmentation=invert
    )
    ((images, _),) = list(batches)
    assert_close(images, (255 - toy().images.float()) / 255)
    assert seen == [(torch.uint8, generator)]


def test_batches_refuse_nonsense():
    norm = Normalisation((0.0,), (1.0,))
    with pytest.raises(ValueError, match=r"empty \(Toy, train: 0 images"):
        Batches(toy().select(slice(0)), 4, norm)
    with pytest.raises(ValueError, match="got batch_size=0"):
        Batches(toy(), 0, norm)
    with pytest.raises(ValueError, match="need a generator"):
        Batches(toy(), 4, norm, shuffle=True)
