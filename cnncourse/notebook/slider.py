"""Sliders with two lives: an ipywidget under a kernel, a precomputed player in a static page."""

import html
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from IPython.display import display
from matplotlib.figure import Figure

from cnncourse.figures.display import check_name, inline_svg
from cnncourse.markup import inline_html

__all__ = ["player_html", "slider"]

Draw = Callable[..., Figure]
Alt = str | Callable[..., str]

# One statement an event: attributes also run where a front end inserts the output without running scripts.
_MOVE = """var p=this.closest('.cnn-player'),i=0;
p.querySelectorAll('input[type=range]').forEach(function(r){i+=r.value*r.dataset.stride;
var t=JSON.parse(r.dataset.labels)[r.value];r.setAttribute('aria-valuetext',t);
r.nextElementSibling.textContent=t});
p.querySelectorAll('.cnn-frame').forEach(function(f,j){f.hidden=j!=i})""".replace("\n", "")

MOST_PRINTED = 12
"""Frames that appear side by side on paper, spread over all of them."""


def _describe(alt: Alt, point: Mapping[str, Any]) -> str:
    return alt if isinstance(alt, str) else alt(**point)


def _check(
    values: Mapping[str, Sequence[Any]], labels: Mapping[str, str], start: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the values shown first, after refusing what no slider can show."""
    if not values or any(len(options) < 2 for options in values.values()):
        raise ValueError(f"a slider needs a name with at least two values, got {dict(values)!r}")
    for name, options in values.items():
        if any(option in options[:position] for position, option in enumerate(options)):
            raise ValueError(f"a slider's values must differ from each other, got {name}={list(options)!r}")
    for name in labels:
        if name not in values:
            raise ValueError(f"labels must name a slider ({', '.join(values)}), got {name!r}")
    for name, value in start.items():
        if value not in values.get(name, ()):
            raise ValueError(f"start must name one of the slider's values, got {name}={value!r}")
    return {name: start.get(name, options[0]) for name, options in values.items()}


def player_html(
    draw: Draw,
    values: Mapping[str, Sequence[Any]],
    *,
    name: str,
    alt: Alt,
    caption: str,
    labels: Mapping[str, str] | None = None,
    start: Mapping[str, Any] | None = None,
) -> str:
    """Return a self-contained player: every frame drawn now, shown by range inputs, no script from elsewhere.

    Args:
        draw: called with one keyword argument a slider, returns the frame's figure.
        values: slider name to the list of values it runs through, at least two and all different; several
            sliders give all combinations.
        name: lower-case words joined by hyphens, unique in the chapter's page.
        alt: what is to be seen, one text or a function of the same arguments as ``draw``.
        caption: what to try and what it means; inline mark-up is understood.
        labels: slider name to its visible label.
        start: slider name to the value shown first; the first value where missing.

    Returns:
        HTML of a ``<figure class="cnn-player">``.

    Raises:
        ValueError: if a slider has fewer than two values or repeats one, or ``start``, ``labels``, the name
            or the caption is not valid, or an alt text is empty.
    """
    check_name(name)
    if not caption.strip():
        raise ValueError(f"caption must say what to try in {name!r}, got an empty one")
    values = {key: list(options) for key, options in values.items()}
    labels = labels or {}
    first = _check(values, labels, start or {})
    points = [
        dict(zip(values, combination, strict=True)) for combination in itertools.product(*values.values())
    ]
    every = -(-len(points) // MOST_PRINTED)
    frames = []  # an underscore occurs in no figure's name, so frames' ids meet nobody else's
    for index, point in enumerate(points):
        svg = inline_svg(draw(**point), prefix=f"{name}_{index}", alt=_describe(alt, point))
        printed = " cnn-printed" if index % every == 0 else ""
        label = ", ".join(f"{labels.get(key, key)}: {value}" for key, value in point.items())
        frames.append(
            f'<div class="cnn-frame{printed}"{"" if point == first else " hidden"}>'
            f'<div class="cnn-frame-label">{inline_html(label)}</div>{svg}</div>'
        )
    controls = []
    stride = len(points)
    for key, options in values.items():
        stride //= len(options)
        texts = [str(option) for option in options]
        position = options.index(first[key])
        controls.append(
            f"<label><span>{inline_html(labels.get(key, key))}</span>"
            f'<input type="range" min="0" max="{len(options) - 1}" step="1" value="{position}" '
            f'autocomplete="off" data-stride="{stride}" data-labels="{html.escape(json.dumps(texts))}" '
            f'aria-valuetext="{html.escape(texts[position])}" oninput="{html.escape(_MOVE)}">'
            f"<output>{html.escape(texts[position])}</output></label>"
        )
    return (
        f'<figure class="cnn-player" id="fig-{name}">\n<div class="cnn-frames">\n'
        + "\n".join(frames)
        + f'\n</div>\n<div class="cnn-controls">{"".join(controls)}</div>\n'
        + f"<figcaption>{inline_html(caption)}</figcaption>\n</figure>"
    )


def _live_widget(
    draw: Draw,
    values: Mapping[str, Sequence[Any]],
    *,
    name: str,
    alt: Alt,
    labels: Mapping[str, str],
    start: Mapping[str, Any],
) -> Any:
    """Return sliders that redraw on the kernel, for values the player has not precomputed as well."""
    values = {key: list(options) for key, options in values.items()}
    first = _check(values, labels, start)
    picture = ipywidgets.HTML()
    controls = {
        key: ipywidgets.SelectionSlider(
            options=[(str(option), option) for option in options],
            value=first[key],
            description=labels.get(key, key).replace("$", ""),
            style={"description_width": "initial"},
            layout={"width": "24em"},
        )
        for key, options in values.items()
    }

    def redraw(_change: object = None) -> None:
        point = {key: control.value for key, control in controls.items()}
        picture.value = inline_svg(draw(**point), prefix=f"{name}_live", alt=_describe(alt, point))

    for control in controls.values():
        control.observe(redraw, names="value")
    redraw()
    return ipywidgets.VBox([*controls.values(), picture])


def slider(
    draw: Draw,
    values: Mapping[str, Sequence[Any]],
    *,
    name: str,
    alt: Alt,
    caption: str,
    labels: Mapping[str, str] | None = None,
    start: Mapping[str, Any] | None = None,
    live: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Display an interactive figure: live under a kernel, a player in the static page, in one output.

    Args:
        draw: as for :func:`player_html`.
        values: as for :func:`player_html`.
        name: as for :func:`player_html`.
        alt: as for :func:`player_html`.
        caption: as for :func:`player_html`.
        labels: as for :func:`player_html`.
        start: as for :func:`player_html`.
        live: finer or longer ranges for the live widget; ``values`` where missing.

    Raises:
        ValueError: as :func:`player_html`.
    """
    for key in live or {}:
        if key not in values:
            raise ValueError(f"live must name a slider ({', '.join(values)}), got {key!r}")
    player = player_html(draw, values, name=name, alt=alt, caption=caption, labels=labels, start=start)
    widget = _live_widget(
        draw, {**values, **(live or {})}, name=name, alt=alt, labels=labels or {}, start=start or {}
    )
    bundle = dict(widget._repr_mimebundle_())
    bundle["text/html"] = player
    bundle["text/plain"] = f"[Interactive figure {name}: {caption}]"
    display(bundle, raw=True)
