import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnncourse.datasets import DataInfo, FolderImages, ImageError, archive_folder, folder, image_folder
from cnncourse.datasets.folder_archives import images_at
from cnncourse.datasets.folder_images import middle, read_image
from cnncourse.paths import course_root

SHARED = course_root().parent / "shared" / "data"
INFO = DataInfo("pair", "Pair", "none", "nobody", "", ("ant", "bee"))


def picture(path, level=100, size=(6, 4), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, level if mode == "L" else (level, 50, 200)).save(path)
    return path


@pytest.fixture
def flat(tmp_path):
    root = tmp_path / "insects"
    for label, name in enumerate(("bee", "ant")):
        for index in range(3):
            picture(root / name / f"{index}.png", level=10 * index + 100 * label)
    return root


@pytest.fixture
def parted(tmp_path, flat):
    root = tmp_path / "parted"
    shutil.copytree(flat, root / "train")
    shutil.copytree(flat, root / "valid")
    (root / "valid" / "ant" / "0.png").unlink()
    return root


def names(data):
    return [f"{path.parent.name}/{path.name}" for path in data.paths]


def test_one_folder_for_each_class(flat):
    data = image_folder(flat)
    assert names(data) == ["ant/0.png", "ant/1.png", "ant/2.png", "bee/0.png", "bee/1.png", "bee/2.png"]
    assert data.targets.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.targets.dtype == torch.int64
    assert data.classes == ("ant", "bee")
    assert (len(data), data.split, data.info.name) == (6, "train", "insects")
    assert repr(data) == "insects, train: 6 image files, 2 classes"


@pytest.mark.parametrize("split", ["train", "val"])
def test_same_files_and_labels_as_torchvision(parted, split):
    from torchvision.datasets import ImageFolder

    picture(parted / "train" / "bee" / "deep" / "er" / "x.jpg")
    picture(parted / "train" / "ant" / "z.JPEG")
    theirs = ImageFolder(parted / ("train" if split == "train" else "valid"))
    ours = image_folder(parted, split)
    assert dict(zip(map(str, ours.paths), ours.targets.tolist(), strict=True)) == dict(theirs.samples)
    assert list(ours.classes) == theirs.classes


@pytest.mark.parametrize("name", ["hymenoptera", "imagenette"])
def test_same_as_torchvision_on_real_photographs(name):
    if not (SHARED / name).is_dir():
        pytest.skip(f"{name} is not on this machine")
    from torchvision.datasets import ImageFolder

    ours = image_folder(SHARED / name, "val")
    theirs = ImageFolder(SHARED / name / "val")
    assert [(str(path), int(t)) for path, t in zip(ours.paths, ours.targets, strict=True)] == theirs.samples


def test_stray_files_are_counted_aloud(flat):
    (flat / "ant" / "notes.txt").write_text("x")
    (flat / "bee" / "imageNotFound.gif").write_bytes(b"GIF89a")
    (flat / "README.md").write_text("x")
    for hidden in (".DS_Store", "ant/.hidden.png", "ant/._0.png", ".git/config", "__MACOSX/ant/._0.png"):
        (flat / hidden).parent.mkdir(exist_ok=True, parents=True)
        (flat / hidden).write_text("x")
    with pytest.warns(UserWarning, match=r"3 files are no images and are left out, such as .*README.md"):
        data = image_folder(flat)
    assert len(data) == 6
    assert {path.name for path in data.ignored} == {"notes.txt", "imageNotFound.gif", "README.md"}
    assert repr(data) == "insects, train: 6 image files (3 other files ignored), 2 classes"


def test_an_empty_class(flat):
    (flat / "wasp").mkdir()
    (flat / "wasp" / "list.csv").write_text("a")
    with pytest.raises(ValueError, match=r"wasp holds no images \(1 other files\); fill it or remove it"):
        image_folder(flat)


def test_parts(parted):
    assert len(image_folder(parted, "train")) == 6
    val = image_folder(parted, "val")
    assert (len(val), val.split) == (5, "val")
    with pytest.raises(ValueError, match=r"has no part 'test', only train, val; name one of them"):
        image_folder(parted, "test")


def test_test_images_without_labels_are_no_part(parted):
    picture(parted / "test" / "0.png")
    assert len(image_folder(parted, "train")) == 6
    with pytest.raises(ValueError, match="no part 'test'"):
        image_folder(parted, "test")


def test_a_class_may_be_called_train(tmp_path):
    for name in ("plane", "train"):
        picture(tmp_path / name / "0.png")
    assert image_folder(tmp_path).classes == ("plane", "train")


def test_parts_must_have_the_same_classes(parted):
    shutil.rmtree(parted / "valid" / "ant")
    picture(parted / "valid" / "wasp" / "0.png")
    for split in ("train", "val"):
        with pytest.raises(
            ValueError, match=r"same classes, got ant only in train and wasp only in val; the labels"
        ):
            image_folder(parted, split)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a folder; give the folder that holds one sub-folder for each class"),
        ([], "has no folders; put the images of each class into a sub-folder"),
        (["a.png", "b.jpg", "c.txt"], "has 2 images and no folders; put the images of each class"),
    ],
)
def test_no_class_folders(tmp_path, content, message):
    root = tmp_path / "root"
    if content is not None:
        root.mkdir()
        for name in content:
            (root / name).write_bytes(b"x")
    with pytest.raises(ValueError, match=message):
        image_folder(root)


def test_links_that_go_round(flat):
    (flat / "ant" / "again").symlink_to(flat / "ant")
    (flat / "ant" / "all").symlink_to(flat)
    found = image_folder(flat)
    assert len({path.resolve() for path in found.paths}) == 6


def test_info_of_another_data_set(flat):
    assert image_folder(flat, info=INFO).info == INFO
    with pytest.raises(ValueError, match=r"has 2 classes and .* has 1"):
        image_folder(flat, info=DataInfo("x", "X", "", "", "", ("one",)))


def test_the_listing_is_hashed(flat):
    before = image_folder(flat).sha256
    assert image_folder(flat).sha256 == before
    picture(flat / "ant" / "more.png")
    assert image_folder(flat).sha256 != before


def damaged(path, kind):
    whole = picture(path).read_bytes()
    content = {
        "truncated": whole[: len(whole) * 2 // 3],
        "text": b"<html>",
        "png-header": whole[:20] + b"\0" * 99,
    }
    path.write_bytes(content[kind])
    return path


@pytest.mark.parametrize("kind", ["truncated", "text", "png-header"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_damaged_image_is_named_or_skipped(flat, kind, suffix):
    bad = damaged(flat / "bee" / f"9{suffix}", kind)
    data = image_folder(flat)
    with pytest.raises(ImageError, match=rf"9{suffix} cannot be read as an image .*replace or remove it"):
        data.to_images(4)
    decoded = data.to_images(4, unreadable="skip")
    assert len(decoded) == 6
    assert decoded.targets.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.warns(
        UserWarning, match=rf"1 of 7 images cannot be read and are left out, such as .*9{suffix}"
    ):
        skipped = image_folder(flat, unreadable="skip")
    assert bad not in skipped.paths
    assert torch.equal(skipped.to_images(4).images, decoded.images)


def test_an_empty_image_is_found_at_once(flat):
    (flat / "ant" / "1.png").write_bytes(b"")
    with pytest.raises(ImageError, match=r"1.png cannot be read as an image \(it is empty\)"):
        image_folder(flat)


def test_a_class_of_which_nothing_is_left(flat):
    for path in (flat / "ant").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(ImageError, match="no image of the class 'ant' can be read"):
        image_folder(flat, unreadable="skip")
    for path in (flat / "bee").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(ImageError, match=r"none of the 6 images of .* can be decoded"):
        image_folder(flat).to_images(4, unreadable="skip")


def test_a_decompression_bomb(flat, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ImageError, match=r"0.png cannot be read as an image .*exceeds limit"):
        image_folder(flat).to_images(4)


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (31, 77), (64, 64), (5, 9), (100, 33)])
@pytest.mark.parametrize(("side", "short"), [(16, None), (16, 20), (15, 16), (1, 3)])
def test_same_pixels_as_torchvision(tmp_path, size, side, short):
    from torchvision.transforms import functional

    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "x.png")
    data = FolderImages((tmp_path / "x.png",), torch.tensor([1]), INFO, "train")
    with Image.open(tmp_path / "x.png") as image:
        resized = functional.resize(image.convert("RGB"), short or side)
        theirs = functional.pil_to_tensor(functional.center_crop(resized, [side, side]))
    ours = data.to_images(side, short_side=short)
    assert torch.equal(ours.images[0], theirs)
    assert (ours.targets.tolist(), ours.info, ours.split) == ([1], INFO, "train")


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "LA"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    path = tmp_path / ("x.tiff" if mode == "CMYK" else "x.png")
    image.save(path)
    read = read_image(path)
    assert (read.mode, read.size) == ("RGB", (8, 8))
    assert np.array_equal(np.asarray(read), np.asarray(image.convert("RGB")))


def test_a_palette_with_transparency(tmp_path):
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(tmp_path / "x.png", transparency=bytes([0, 128]))
    assert read_image(tmp_path / "x.png").getpixel((0, 0)) == (200, 100, 50)


def test_a_photograph_is_turned_as_its_camera_says(tmp_path):
    image = Image.new("RGB", (4, 2), (0, 0, 0))
    image.putpixel((0, 0), (255, 255, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    image.save(tmp_path / "x.png", exif=exif)
    upright = read_image(tmp_path / "x.png")
    assert upright.size == (2, 4)
    assert upright.getpixel((1, 0)) == (255, 255, 255)


def test_middle_by_hand():
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(4, 6), mode=None)
    assert np.asarray(middle(image, 2, 4)).tolist() == [[8, 9], [14, 15]]


@pytest.mark.parametrize(("side", "short"), [(0, None), (8, 7), (-1, 5)])
def test_sizes_out_of_range(flat, side, short):
    with pytest.raises(ValueError, match="side must be at least 1 and short_side at least side"):
        image_folder(flat).to_images(side, short_side=short)


@pytest.mark.parametrize("call", [lambda d: d.to_images(4, unreadable="keep"), None])
def test_what_to_do_with_unreadable_files(flat, call):
    with pytest.raises(ValueError, match="unreadable must be 'stop' or 'skip', got 'keep'"):
        call(image_folder(flat)) if call else image_folder(flat, unreadable="keep")


def test_selecting_and_holding_out(flat):
    data = image_folder(flat)
    assert names(data.select(torch.tensor([4, 0]))) == ["bee/1.png", "ant/0.png"]
    assert names(data.select(slice(1, 3), "some")) == ["ant/1.png", "ant/2.png"]
    train, val = data.held_out(1 / 3, generator=torch.Generator().manual_seed(0))
    assert (len(train), len(val)) == (4, 2)
    assert val.targets.tolist() == [0, 1]
    assert set(train.paths) | set(val.paths) == set(data.paths)
    assert (train.split, val.split) == ("train without held-out part", "held-out part of train")
    assert torch.equal(data.to_images(4).select(torch.tensor([4, 0])).images[0], data.to_images(4).images[4])


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (torch.tensor([0]), r"targets must be int64 of shape \(2,\)"),
        (torch.tensor([0.0, 1.0]), "got torch.float32"),
        (torch.tensor([0, 2]), r"labels must lie in \[0, 2\) for Pair, got 0 to 2"),
        (torch.tensor([-1, 1]), r"got -1 to 1"),
    ],
)
def test_labels_must_fit(targets, message):
    with pytest.raises(ValueError, match=message):
        FolderImages((Path("a"), Path("b")), targets, INFO, "train")


@pytest.mark.parametrize("form", ["zip", "gztar", "tar"])
@pytest.mark.parametrize("top", [True, False])
def test_archives_of_folders(parted, tmp_path, form, top):
    base = parted.parent if top else parted
    archive = shutil.make_archive(str(tmp_path / "data"), form, base, parted.name if top else ".")
    data = archive_folder(archive, "val", root=tmp_path / "cache")
    assert names(data) == names(image_folder(parted, "val"))
    assert data.info.name == "data"
    (hashed,) = data.sha256.values()
    assert data.paths[0].is_relative_to(tmp_path / "cache" / f"data-{hashed[:12]}")
    assert archive_folder(archive, "val", sha256=hashed, root=tmp_path / "cache").paths == data.paths
    assert images_at("val", path=archive, root=tmp_path / "cache").paths == data.paths
    with pytest.raises(ValueError, match="it is another file"):
        archive_folder(archive, "val", sha256="0" * 64, root=tmp_path / "cache")
    assert names(images_at("val", path=parted)) == names(data)


def test_an_archive_without_parts(flat, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "data"), "zip", flat.parent, flat.name)
    assert len(archive_folder(archive, root=tmp_path / "cache")) == 6


def test_archives_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="is not a file; give the path or the address"):
        archive_folder(tmp_path / "x.zip")
    with pytest.raises(ValueError, match=r"needs the SHA-256 .*sha256=…, or get x.zip in another way"):
        archive_folder("https://example.org/data/x.zip?download=1")


def test_known_suffixes_are_torchvisions():
    from torchvision.datasets.folder import IMG_EXTENSIONS

    assert set(IMG_EXTENSIONS) == folder.IMAGE_SUFFIXES


def test_warnings_name_the_caller(flat):
    (flat / "ant" / "notes.txt").write_text("x")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        image_folder(flat)
    assert caught[0].filename == __file__
