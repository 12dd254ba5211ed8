import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from cnncourse.datasets import ImageError
from cnncourse.datasets.decoding import centred, decode
from cnncourse.datasets.folder_images import read_image


def noise(height=20, width=30, channels=3):
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def by_pillow(path):
    return torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)


SAVED = {
    "rgb.png": (noise(), {}),
    "grey.png": (noise(channels=1), {}),
    "alpha.png": (noise(channels=4), {}),
    "palette.png": (noise().quantize(16), {}),
    "rgb.jpg": (noise(), {"quality": 90}),
    "grey.jpg": (noise(channels=1), {"quality": 90}),
    "cmyk.jpg": (noise().convert("CMYK"), {"quality": 90}),
    "turned.jpg": (
        noise(),
        {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"},
    ),
    "rgb.bmp": (noise(), {}),
    "rgb.tiff": (noise(), {}),
    "still.gif": (noise().quantize(16), {}),
    "moving.gif": (noise().quantize(16), {"save_all": True, "append_images": [noise(20, 30, 1)]}),
    "rgb.webp": (noise(), {"lossless": True}),
}


@pytest.mark.parametrize("name", SAVED)
def test_every_format_gives_the_pixels_that_pillow_gives(name, tmp_path):
    image, settings = SAVED[name]
    image.save(tmp_path / name, **settings)
    decoded = decode(tmp_path / name)
    assert decoded.dtype == torch.uint8
    assert decoded.permute(1, 2, 0).is_contiguous()
    assert decoded.shape == ((3, 30, 20) if name == "turned.jpg" else (3, 20, 30))
    assert torch.equal(decoded, by_pillow(tmp_path / name))


def test_16_bits_a_channel_come_down_to_8(tmp_path):
    levels = np.arange(600, dtype=np.uint16).reshape(20, 30) * 100
    Image.fromarray(levels).save(tmp_path / "deep.png")
    assert decode(tmp_path / "deep.png").shape == (3, 20, 30)


def test_without_torchvisions_decoder_pillow_reads_the_same(tmp_path, monkeypatch):
    noise().save(tmp_path / "a.jpg")
    with_it = decode(tmp_path / "a.jpg")
    monkeypatch.delattr("torchvision.io.decode_image")
    assert torch.equal(decode(tmp_path / "a.jpg"), with_it)


def test_what_is_no_image_is_named(tmp_path):
    with pytest.raises(ImageError, match=r"nowhere\.jpg cannot be read as an image .*; replace or remove it"):
        decode(tmp_path / "nowhere.jpg")
    noise().save(tmp_path / "whole.jpg")
    (tmp_path / "half.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:700])
    with pytest.raises(ImageError, match=r"half\.jpg cannot be read as an image"):
        decode(tmp_path / "half.jpg")
    (tmp_path / "words.png").write_text("no image")
    with pytest.raises(ImageError, match=r"words\.png cannot be read as an image"):
        decode(tmp_path / "words.png")


def test_importing_the_package_leaves_torchvision_alone():
    import subprocess

    code = "import sys, cnncourse.datasets; sys.exit('torchvision' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("size", [(20, 30), (31, 17), (40, 40), (7, 9), (24, 24), (24, 50)])
@pytest.mark.parametrize(("side", "short_side"), [(20, 24), (24, 24), (1, 5)])
def test_the_middle_is_torchvisions_resize_and_centre_crop(size, side, short_side):
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, *size), generator=generator).to(torch.uint8)
    expected = v2.CenterCrop(side)(v2.Resize(short_side)(image))
    assert torch.equal(centred(image, side, short_side), expected)


def test_a_square_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"\[1, short_side\], got side=9, short_side=8; a larger square"):
        centred(torch.zeros(3, 4, 4, dtype=torch.uint8), 9, 8)
