import re

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse import figures
from cnncourse.datasets import DataInfo, FolderImages, LabelledImages, digits, patches, shapes
from cnncourse.figures.contact_sheet import contact_sheet, contact_sheet_alt


def toy(count=12, classes=("ant", "bee", "cat"), shape=(3, 8, 8)):
    images = torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(0))
    info = DataInfo("toy", "Toy", "none", "nobody", "http://127.0.0.1/", tuple(classes))
    return LabelledImages(images.to(torch.uint8), torch.arange(count) % len(classes), info, "train")


def mosaic(figure):
    (picture,) = figure.axes[0].images
    return np.asarray(picture.get_array())


def words(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_each_row_holds_pictures_of_one_class_behind_its_name():
    data = toy()
    figure = contact_sheet(data, 2)
    assert words(figure) == ["ant", "bee", "cat"]
    drawn = mosaic(figure)
    assert drawn.shape == (3 * 8 + 2, 2 * 8 + 1, 4)
    for row in range(3):
        for column, member in enumerate((0, 2)):  # of four in a class, spread evenly
            cell = drawn[9 * row : 9 * row + 8, 9 * column : 9 * column + 8]
            image = data.images[data.targets == row][member].permute(1, 2, 0).numpy()
            assert np.array_equal(cell[:, :, :3], image)
            assert (cell[:, :, 3] == 255).all()
    assert (drawn[8, :, 3] == 0).all()  # the page shows through the gaps, light or dark
    assert (drawn[:, 8, 3] == 0).all()


def test_names_stand_beside_the_middle_of_their_rows():
    figure = contact_sheet(toy(), 2)
    assert [text.xy[1] for text in figure.axes[0].texts] == [3.5, 12.5, 21.5]
    figure.canvas.draw()
    box = figure.bbox
    for text in figure.axes[0].texts:
        place = text.get_window_extent()
        assert place.x0 >= box.x0
        assert place.x1 <= figure.axes[0].get_window_extent().x0


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [8, 28, 57, 224])
def test_any_number_of_channels_and_pixels(channels, side):
    data = toy(6, shape=(channels, side, side))
    drawn = mosaic(contact_sheet(data, 2))
    cell = min(side, 58)
    gap = max(1, round(0.06 * cell))
    assert drawn.shape == (3 * cell + 2 * gap, 2 * cell + gap, 4)
    if side <= 58:
        expected = data.images[0].expand(3, -1, -1).permute(1, 2, 0).numpy()
        assert np.array_equal(drawn[:side, :side, :3], expected)
    else:
        mean = data.images[0].float().mean((1, 2)).expand(3).numpy()
        np.testing.assert_allclose(drawn[:cell, :cell, :3].mean((0, 1)), mean, atol=1.0)


def test_pictures_that_are_not_square_are_centred_on_black():
    data = toy(3, shape=(1, 4, 10))
    drawn = mosaic(contact_sheet(data, 1))
    assert (drawn[:3, :, :3] == 0).all()
    assert np.array_equal(drawn[3:7, :, 0], data.images[0, 0].numpy())


def test_classes_can_be_chosen_and_a_class_of_few_pictures_shows_them_all():
    data = toy().select(torch.tensor([0, 1, 2, 3, 4]))  # two ants, two bees, one cat
    figure = contact_sheet(data, 5, classes=("cat", "ant"))
    assert words(figure) == ["cat", "ant"]
    drawn = mosaic(figure)
    assert drawn.shape[1] == 17
    assert (drawn[:8, 8:, 3] == 0).all()
    assert contact_sheet_alt(data, 5) == (
        "Toy, train: 1 to 2 pictures of each class in a row. Rows from top to bottom: ant, bee, cat."
    )


def test_of_very_many_classes_some_are_shown_and_it_says_so():
    data = toy(102, [f"class {label}" for label in range(102)])
    figure = contact_sheet(data, 3)
    assert words(figure)[:2] == ["class 0", "class 5"]
    assert words(figure)[20:] == ["20 of 102 classes"]
    assert "20 of 102 classes, from top to bottom: class 0, class 5, " in contact_sheet_alt(data, 3)
    assert len(words(contact_sheet(data, 1, classes=data.classes[:30]))) == 30


def test_masks_are_outlined():
    data = shapes("train", count=10)
    plain, outlined = mosaic(contact_sheet(data, 1)), mosaic(contact_sheet(data, 1, masks=True))
    assert plain.shape == (10 * 32 + 9 * 2, 32, 4)
    side = 64
    gap = round(0.06 * side)
    for row, (image, mask) in enumerate(zip(data.images, data.masks, strict=True)):
        cell = outlined[row * (side + gap) : row * (side + gap) + side, :, :3]
        enlarged = image.permute(1, 2, 0).repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()
        inside = mask.repeat_interleave(2, 0).repeat_interleave(2, 1).numpy()
        changed = (cell != enlarged).any(2)
        assert (cell[changed & inside] == 255).all()
        assert (cell[changed & ~inside] == 0).all()
        assert 40 < changed.sum() < 0.25 * changed.size
    with pytest.raises(ValueError, match="only where there are some; Toy, train"):
        contact_sheet(toy(), masks=True)


def test_images_in_files(tmp_path):
    paths = []
    for index, colour in enumerate(((200, 0, 0), (0, 200, 0))):
        paths.append(tmp_path / f"{index}.png")
        Image.new("RGB", (90, 60 + index), colour).save(paths[-1])
    data = FolderImages(tuple(paths), torch.tensor([1, 0]), toy(classes=("ant", "bee")).info, "val")
    drawn = mosaic(contact_sheet(data, 4))
    assert drawn[10, 10, :3].tolist() == [0, 200, 0]
    assert drawn[-10, 10, :3].tolist() == [200, 0, 0]


@pytest.mark.parametrize("make", [lambda: digits("test"), lambda: patches("test", count=100)])
def test_the_same_data_give_the_same_page(make):
    first, second = (
        figures.inline_svg(contact_sheet(make()), prefix="sheet", alt=contact_sheet_alt(make()))
        for _ in range(2)
    )
    assert first == second
    assert first.count("<image") == 1
    assert "pixelated" in first
    colours = re.findall(r"#\w{6}", re.sub(r"var\([^)]*\)", "", re.sub(r'href="data[^"]*"', "", first)))
    assert colours == []  # text in the page's own ink, so that a dark page can change it


def test_bad_input():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        contact_sheet(toy(), 0)
    with pytest.raises(ValueError, match="at least one picture; Toy, train: 0 images"):
        contact_sheet(toy().select(slice(0)))
    with pytest.raises(ValueError, match="must be some of ant, bee, cat; got dog"):
        contact_sheet(toy(), classes=("ant", "dog"))
    with pytest.raises(ValueError, match="got none"):
        contact_sheet(toy(), classes=())
    with pytest.raises(ValueError, match="no picture of the class 'cat'"):
        contact_sheet(toy().select(slice(2)), classes=("cat",))
