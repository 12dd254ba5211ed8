"""The only plotting code of the course: arrays in, axes out, one style, legible in light and dark."""

from cnncourse.figures.architecture import Stage, architecture, architecture_alt, stages
from cnncourse.figures.columns import Box, Column, column, columns, columns_alt
from cnncourse.figures.contact_sheet import contact_sheet, contact_sheet_alt
from cnncourse.figures.costs import cost_bars, cost_bars_alt, time_bars, time_bars_alt
from cnncourse.figures.curves import bars, curves
from cnncourse.figures.display import figure_html, inline_svg, show
from cnncourse.figures.fields import (
    effective_field,
    effective_field_alt,
    field_by_layer,
    field_by_layer_alt,
)
from cnncourse.figures.history import history_curves, save_history
from cnncourse.figures.images import image, image_grid, number_grid
from cnncourse.figures.piecewise import crossings, gap, piecewise, wrong_side
from cnncourse.figures.receptive import framed_image
from cnncourse.figures.score_map import score_map, score_map_alt
from cnncourse.figures.signals import (
    activation_profile,
    dead_unit_bars,
    signal_by_layer,
    signal_by_layer_alt,
)
from cnncourse.figures.sliding import sliding_window
from cnncourse.figures.style import COLOURS, SERIES, new_figure, subplots
from cnncourse.figures.zoo import zoo_chart, zoo_chart_alt

__all__ = [
    "COLOURS",
    "SERIES",
    "Box",
    "Column",
    "Stage",
    "activation_profile",
    "architecture",
    "architecture_alt",
    "bars",
    "column",
    "columns",
    "columns_alt",
    "contact_sheet",
    "contact_sheet_alt",
    "cost_bars",
    "cost_bars_alt",
    "crossings",
    "curves",
    "dead_unit_bars",
    "effective_field",
    "effective_field_alt",
    "field_by_layer",
    "field_by_layer_alt",
    "figure_html",
    "framed_image",
    "gap",
    "history_curves",
    "image",
    "image_grid",
    "inline_svg",
    "new_figure",
    "number_grid",
    "piecewise",
    "save_history",
    "score_map",
    "score_map_alt",
    "show",
    "signal_by_layer",
    "signal_by_layer_alt",
    "sliding_window",
    "stages",
    "subplots",
    "time_bars",
    "time_bars_alt",
    "wrong_side",
    "zoo_chart",
    "zoo_chart_alt",
]
