"""Why depth pays, in exact arithmetic: piecewise-linear functions, sawtooths, explicit networks, counting.

Book: depth_separation
"""

from cnncourse.theory.bounds import (
    l1_lower_bound,
    max_pieces_deep,
    max_pieces_shallow,
    max_pieces_with,
    pieces_of_composition_bound,
    pieces_of_sum_bound,
    telgarsky_gap,
)
from cnncourse.theory.constructions import (
    count_nodes,
    count_relu_units,
    deep_sawtooth,
    linear,
    narrow_sawtooth,
    shallow_network_of,
    shallow_sawtooth,
    yarotsky_square,
)
from cnncourse.theory.conversion import count_pieces, from_network
from cnncourse.theory.fits import best_fit, fit_distance
from cnncourse.theory.measures import sup_distance_to_square
from cnncourse.theory.piecewise import PiecewiseLinear
from cnncourse.theory.rational import as_rational
from cnncourse.theory.telgarsky import TelgarskyNetwork
from cnncourse.theory.tent import sawtooth, sawtooth_values, tent, tent_values

__all__ = [
    "PiecewiseLinear",
    "TelgarskyNetwork",
    "as_rational",
    "best_fit",
    "count_nodes",
    "count_pieces",
    "count_relu_units",
    "deep_sawtooth",
    "fit_distance",
    "from_network",
    "l1_lower_bound",
    "linear",
    "max_pieces_deep",
    "max_pieces_shallow",
    "max_pieces_with",
    "narrow_sawtooth",
    "pieces_of_composition_bound",
    "pieces_of_sum_bound",
    "sawtooth",
    "sawtooth_values",
    "shallow_network_of",
    "shallow_sawtooth",
    "sup_distance_to_square",
    "telgarsky_gap",
    "tent",
    "tent_values",
    "yarotsky_square",
]
