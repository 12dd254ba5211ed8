"""Make matplotlib's SVG fit to stand in a page: unique ids, page colours, and a third of the bytes."""

import re
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from cnncourse.figures.embedded import compact_uri
from cnncourse.figures.style import COLOURS, FONTS

__all__ = ["page_svg"]

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_INK = f"var(--cnn-ink, {COLOURS['ink']})"
_ROOT_STYLE = {"fill": _INK, "font-family": FONTS, "stroke-linejoin": "round"}
# What a child takes over from its parents unless it says otherwise; matplotlib says it again every time.
_INHERITED = (
    "fill",
    "font-family",
    "font-size",
    "font-style",
    "font-weight",
    "text-anchor",
    "stroke-linejoin",
)
_PLACES = ("x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height")
# What matplotlib draws with where a call outside the book's style leaves the colour unsaid.
_DEFAULTS = {
    "#000000": "ink", "#808080": "muted", "#b0b0b0": "faint", "#1f77b4": "blue", "#ff7f0e": "orange",
    "#2ca02c": "green", "#d62728": "red", "#9467bd": "purple",
}  # fmt: skip
_NAMES = {**_DEFAULTS, **{colour: name for name, colour in COLOURS.items()}}
_DECIMALS = re.compile(r"-?\d+\.\d+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"(?:(italic|oblique) )?(?:(bold|\d00) )?([\d.]+px) .*")


def page_svg(text: str, prefix: str) -> ET.Element:
    """Return matplotlib's SVG without what a page does not need, its ids marked with ``prefix``.

    Ids that nothing refers to go, as do groups without attributes, shapes without paint and styles that
    repeat their parent's. Coordinates keep a tenth of a point. Palette colours become CSS variables.

    Args:
        text: a file written by matplotlib.
        prefix: put before every remaining id and reference.

    Returns:
        The ``<svg>`` element, still with matplotlib's attributes.
    """
    root = ET.fromstring(text[text.index("<svg") :])
    for defs in root.findall(f"{_SVG}defs"):
        for style in defs.findall(f"{_SVG}style"):
            defs.remove(style)  # one rule for all, said once on our root instead
    used = _references(root)
    _rewrite(root, prefix, used, _ROOT_STYLE, drawn=True)
    root.set("style", _declared(_ROOT_STYLE))
    return root


def _references(root: ET.Element) -> set[str]:
    found: set[str] = set()
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == _HREF and value.startswith("#"):
                found.add(value[1:])
            found.update(_REFERENCE.findall(value))
    return found


def _rewrite(
    parent: ET.Element, prefix: str, used: set[str], inherited: Mapping[str, str], *, drawn: bool
) -> None:
    """Rewrite all descendants; ``drawn`` is False inside <defs>, whose content inherits where it is used."""
    children: list[ET.Element] = []
    for element in parent:
        tag = element.tag.removeprefix(_SVG)
        if tag == "metadata":
            continue
        style = _style(element)
        if drawn and style.get("fill") == "none" and "stroke" not in style and tag in ("path", "rect"):
            continue
        inner = {**inherited, **{key: style[key] for key in _INHERITED if key in style}}
        _rewrite(element, prefix, used, inner, drawn=drawn and tag != "defs")
        if drawn:
            style = {key: value for key, value in style.items() if inherited.get(key) != value}
        _rewrite_attributes(element, prefix, used, style)
        empty = not len(element) and not (element.text or "").strip()
        if tag in ("g", "defs", "text", "tspan") and empty:
            continue
        if tag == "g" and drawn:
            _share_style(element)
        if tag == "g" and not element.attrib:
            children.extend(element)
        else:
            children.append(element)
    parent[:] = children
    flowing = parent.tag in (f"{_SVG}text", f"{_SVG}tspan")
    for child in children:
        child.tail = "" if flowing else "\n"
    if children and not flowing:
        parent.text = "\n"


def _share_style(group: ET.Element) -> None:
    """Say once on the group what all its members, say the markers of a curve, say of their paint."""
    styles = {member.get("style") for member in group}
    if len(group) < 2 or len(styles) != 1 or None in styles or "style" in group.attrib:
        return
    (style,) = styles
    assert style is not None
    # Opacity is not among them: that of a group is not that of its overlapping members.
    if all(
        part.startswith(("fill:", "stroke:", "stroke-width:", "stroke-line")) for part in style.split(";")
    ):
        group.set("style", style)
        for member in group:
            del member.attrib["style"]


def _style(element: ET.Element) -> dict[str, str]:
    style: dict[str, str] = {}
    for attribute in ("fill", "stroke"):
        if element.get(attribute):
            style[attribute] = element.attrib.pop(attribute)
    for part in element.attrib.pop("style", "").split(";"):
        key, _, value = (piece.strip() for piece in part.partition(":"))
        short = _FONT.fullmatch(value) if key == "font" else None
        if short:
            style.update(zip(("font-style", "font-weight", "font-size"), short.groups(""), strict=True))
            style["font-family"] = FONTS
        elif key:
            style[key] = FONTS if key == "font-family" else value
    return {key: _in_page_colours(value) for key, value in style.items() if value}


def _in_page_colours(value: str) -> str:
    name = _NAMES.get(value)
    return f"var(--cnn-{name}, {COLOURS[name]})" if name else value


def _rewrite_attributes(element: ET.Element, prefix: str, used: set[str], style: Mapping[str, str]) -> None:
    attributes = dict(element.attrib)
    element.attrib.clear()
    for key, value in attributes.items():
        if key == "id":
            if value in used:
                element.set("id", f"{prefix}-{value}")
        elif key == _HREF:
            element.set("href", f"#{prefix}-{value[1:]}" if value.startswith("#") else compact_uri(value))
        elif key == "d":
            element.set("d", _short_path(value))
        elif key in _PLACES:
            element.set(key, _rounded(value, 2))
        elif key == "transform":
            digits = 5 if "matrix" in value or "scale" in value else 2
            if not value.startswith("rotate(-0 "):
                element.set(key, _rounded(value, digits))
        else:
            element.set(key, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))
    if style:
        element.set("style", _REFERENCE.sub(rf"url(#{prefix}-\1)", _declared(style)))


def _declared(style: Mapping[str, str]) -> str:
    return ";".join(f"{key}:{value}" for key, value in style.items())


def _rounded(text: str, digits: int) -> str:
    """Round every decimal number in ``text``."""

    def shortened(number: re.Match[str]) -> str:
        short = f"{float(number[0]):.{digits}f}".rstrip("0").rstrip(".")
        return "0" if short in ("-0", "") else short

    return _DECIMALS.sub(shortened, text)


def _short_path(data: str) -> str:
    data = re.sub(r"\s*([A-Za-z])\s*", r"\1", _rounded(data, 1).strip())
    # After M, pairs without a letter are lines; after a curve they would be curves, so those keep their L.
    return data if re.search("[CQ]", data) else data.replace("L", " ")
