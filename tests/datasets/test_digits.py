import pytest
import torch
from sklearn.datasets import load_digits

from cnncourse.datasets import digits


def test_train_and_test_are_sklearns_images_once_each():
    train, test = digits("train"), digits("test")
    assert (len(train), len(test)) == (1347, 450)
    pixels, labels = load_digits(return_X_y=True)
    theirs = sorted(
        (*(round(v * 255 / 16) for v in image), int(label))
        for image, label in zip(pixels, labels, strict=True)
    )
    ours = sorted(
        (*image.flatten().tolist(), target.item())
        for part in (train, test)
        for image, target in zip(part.images, part.targets, strict=True)
    )
    assert ours == theirs
    assert train.images.max() == 255


def test_every_class_is_split_alike_and_always_in_the_same_way():
    train, test = digits("train"), digits("test")
    share = torch.bincount(test.targets) / (torch.bincount(test.targets) + torch.bincount(train.targets))
    assert (share - 0.25).abs().max() < 0.005
    assert torch.equal(digits("test").images, test.images)
    assert test.targets[:12].tolist() == digits("test", side=32).targets[:12].tolist()
    assert not torch.equal(digits("test", split_seed=1).images[:400], test.images[:400])
    assert len(digits("test", test_fraction=0.5)) == pytest.approx(898, abs=5)


def test_larger_sides():
    small, padded, large = digits("test"), digits("test", side=32, fit="pad"), digits("test", side=32)
    assert padded.images.shape == large.images.shape == (450, 1, 32, 32)
    assert torch.equal(padded.images[:, :, 12:20, 12:20], small.images)
    # averaging blocks of 4 x 4 undoes bilinear enlarging up to blur: the pictures stay alike
    back = torch.nn.functional.avg_pool2d(large.images.float(), 4)
    correlation = torch.corrcoef(torch.stack([back.flatten(), small.images.float().flatten()]))[0, 1]
    assert correlation > 0.97
    assert large.images.max() > 240
    assert list(large.sha256) == list(small.sha256)


def test_origin_is_stated():
    data = digits("train")
    assert data.info.licence == "CC BY 4.0"
    assert "Alpaydin" in data.info.citation
    assert data.classes == tuple("0123456789")
    assert [len(value) for value in data.sha256.values()] == [64]


def test_bad_input():
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        digits("val")
    with pytest.raises(ValueError, match="'upsample' or 'pad', got 'crop'"):
        digits("train", fit="crop")
    with pytest.raises(ValueError, match="side=7"):
        digits("train", side=7)
    with pytest.raises(ValueError, match="fraction must lie strictly between 0 and 1, got 0"):
        digits("train", test_fraction=0)
