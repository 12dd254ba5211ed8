"""Embedded pictures keep every pixel and lose only bytes."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from cnncourse import figures
from cnncourse.figures.embedded import compact_uri


def uri(pixels):
    """Return pixels (H, W, 4) as matplotlib embeds them."""
    written = io.BytesIO()
    Image.fromarray(pixels, "RGBA").save(written, "png")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()


def pixels_of(address):
    """Return an embedded picture as (H, W, 4), and the mode that it is stored in."""
    picture = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    return np.asarray(picture.convert("RGBA")), picture.mode


def drawn(grey, opaque):
    """Return random pixels, (48, 48, 4)."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    if grey:
        colours[:] = colours[..., :1]
    opacity = np.full((48, 48, 1), 255, np.uint8) if opaque else rng.integers(0, 256, (48, 48, 1), np.uint8)
    return np.concatenate([colours, opacity], axis=2)


@pytest.mark.parametrize(
    ("grey", "opaque", "mode"), [(1, 1, "L"), (1, 0, "LA"), (0, 1, "RGB"), (0, 0, "RGBA")]
)
def test_the_pixels_stay_and_the_bytes_go(grey, opaque, mode):
    before = uri(drawn(grey, opaque))
    after = compact_uri(before)
    values, stored = pixels_of(after)
    assert (values == drawn(grey, opaque)).all()
    assert stored == mode
    assert len(after) <= (len(before) if mode == "RGBA" else 0.9 * len(before))
    assert compact_uri(after) == after


@pytest.mark.parametrize("address", ["#clip", "data:image/svg+xml;base64,AAAA", "photo.png"])
def test_other_addresses_stay(address):
    assert compact_uri(address) == address


def test_a_page_embeds_grey_pictures_as_grey():
    ramp = np.arange(64.0).reshape(8, 8)
    svg = figures.inline_svg(figures.image(ramp).get_figure(), prefix="ramp", alt="A ramp of grey values.")
    address = re.search(r'href="([^"]+)"', svg)[1]
    values, stored = pixels_of(address)
    assert stored == "L"
    assert values[0, 0, 0] == 0
    assert values[-1, -1, 0] == 255


def test_a_colour_map_becomes_a_palette():
    ramp = np.sin(np.arange(60) / 7)[:, None] * np.cos(np.arange(60) / 11)
    ax = figures.image(ramp, cmap="magma")
    svg = figures.inline_svg(ax.get_figure(), prefix="heat", alt="Waves of colours.")
    address = re.search(r'href="([^"]+)"', svg)[1]
    values, stored = pixels_of(address)
    assert stored == "P"
    wanted = ax.images[0].cmap(ax.images[0].norm(ramp), bytes=True)
    assert (values == wanted).all()
