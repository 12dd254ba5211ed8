import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse.datasets import DataInfo, LabelledImages, digits
from cnncourse.datasets.folder_images import FolderImages, ImageError
from cnncourse.datasets.statistics import statistics

INFO = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", ("a", "b", "c"))


def toy(channels=3):
    images = torch.randint(0, 256, (5, channels, 4, 6), generator=torch.Generator().manual_seed(0))
    return LabelledImages(images.to(torch.uint8), torch.tensor([0, 2, 2, 0, 2]), INFO, "train")


def test_counts_sizes_and_moments_by_numpy():
    data = toy()
    found = statistics(data)
    pixels = data.images.numpy() / 255
    assert (found.name, found.split, found.count, found.measured) == ("toy", "train", 5, 5)
    assert found.per_class == {"a": 2, "b": 0, "c": 3}
    assert found.smallest == found.largest == (4, 6)
    np.testing.assert_allclose(found.mean, pixels.mean((0, 2, 3)))
    np.testing.assert_allclose(found.std, pixels.std((0, 2, 3)))


def test_colour_is_where_channels_differ():
    assert statistics(toy()).colour
    assert not statistics(toy(1)).colour
    grey = toy(1)
    assert not statistics(dataclasses.replace(grey, images=grey.images.expand(-1, 3, -1, -1))).colour


def test_the_digest_changes_with_a_pixel_or_a_label_and_with_nothing_else():
    data = digits("test")
    digest = statistics(data).sha256
    assert digest == statistics(digits("test")).sha256
    assert digest == statistics(dataclasses.replace(data, split="other")).sha256
    images, targets = data.images.clone(), data.targets.clone()
    images[7, 0, 3, 3] ^= 1
    targets[7] = (targets[7] + 1) % 10
    assert statistics(dataclasses.replace(data, images=images)).sha256 != digest
    assert statistics(dataclasses.replace(data, targets=targets)).sha256 != digest


def folder(tmp_path, count=3):
    paths = []
    for index in range(count):
        picture = Image.new("RGB", (40 + 10 * index, 30), (200, 100 + index, 0))
        exif = Image.Exif()
        if index == 2:
            exif[0x0112] = 6  # lies on its side
        paths.append(tmp_path / f"{index}.jpg")
        picture.save(paths[-1], exif=exif)
    return FolderImages(tuple(paths), torch.arange(count) % 3, INFO, "val")


def test_images_in_files_are_sized_as_they_are_seen_and_sampled(tmp_path):
    data = folder(tmp_path)
    found = statistics(data, at_most=2)
    assert (found.smallest, found.largest) == ((30, 40), (60, 30))
    assert (found.count, found.measured, found.colour) == (3, 2, True)
    assert found.mean == pytest.approx((200 / 255, 101 / 255, 0), abs=0.02)
    digest = statistics(data).sha256
    assert found.sha256 == digest
    Image.new("RGB", (40, 30)).save(data.paths[0])
    assert statistics(data).sha256 != digest


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match="at least one image, got none"):
        statistics(toy().select(slice(0)))
    with pytest.raises(ValueError, match="at_most=0"):
        statistics(toy(), at_most=0)
    data = folder(tmp_path)
    data.paths[1].write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"1\.jpg cannot be read as an image"):
        statistics(data, at_most=1)
