"""Pictures inside a drawing, in as few bytes as say the same pixels."""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["compact_uri"]

_PNG = "data:image/png;base64,"


def compact_uri(uri: str) -> str:
    """Return a picture's address with the picture stored without what it does not need.

    matplotlib writes every picture with three colours and an opacity. A grey one needs one number a pixel, and
    an opaque one no opacity. The pixels stay what they are.

    Args:
        uri: of an embedded PNG; any other address comes back unchanged.

    Returns:
        The address of the same pixels, never longer than the one given.
    """
    if not uri.startswith(_PNG):
        return uri
    from PIL import Image, ImageChops

    picture = Image.open(io.BytesIO(base64.b64decode(uri[len(_PNG) :])))
    if picture.mode != "RGBA":
        return uri
    red, green, blue, opacity = picture.split()
    grey = all(ImageChops.difference(red, other).getbbox() is None for other in (green, blue))
    opaque = opacity.getextrema() == (255, 255)
    mode = ("L" if grey else "RGB") + ("" if opaque else "A")
    bands = [red] if grey else [red, green, blue]
    smaller = Image.merge(mode, bands if opaque else [*bands, opacity])
    candidates = [smaller]
    if mode == "RGB" and smaller.getcolors(256) is not None:  # a colour map has so few that numbers name them
        numbered = smaller.quantize(256, dither=Image.Dither.NONE)
        if ImageChops.difference(numbered.convert("RGB"), smaller).getbbox() is None:
            candidates.append(numbered)
    return min([uri, *map(_written, candidates)], key=len)


def _written(picture: "Image.Image") -> str:
    """Return the address of a picture."""
    written = io.BytesIO()
    picture.save(written, "png", optimize=True)
    return _PNG + base64.b64encode(written.getvalue()).decode()
