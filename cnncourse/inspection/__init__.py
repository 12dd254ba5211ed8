"""What a network is, what it sees and what passes through it: shapes, costs, receptive fields, signals, times.

Any ``nn.Module`` will do, and none is changed by being looked at.
"""

from cnncourse.inspection.activations import ActivationRow, ActivationStatistics, activation_statistics
from cnncourse.inspection.costs import CostRow, LayerCosts, layer_costs
from cnncourse.inspection.dead import DeadUnits, DeadUnitsRow, dead_units
from cnncourse.inspection.effective import EffectiveField, effective_receptive_field
from cnncourse.inspection.gradients import GradientRow, GradientStatistics, gradient_statistics
from cnncourse.inspection.hooks import captured, find_layer
from cnncourse.inspection.operations import count_multiply_adds, multiply_adds_by_layer
from cnncourse.inspection.receptive import (
    ReceptiveField,
    ReceptiveFieldRow,
    Window,
    receptive_field,
)
from cnncourse.inspection.shapes import ShapeRow, ShapeTrace, count_parameters, shape_trace
from cnncourse.inspection.timing import LayerTimes, TimeRow, layer_times

__all__ = [
    "ActivationRow",
    "ActivationStatistics",
    "CostRow",
    "DeadUnits",
    "DeadUnitsRow",
    "EffectiveField",
    "GradientRow",
    "GradientStatistics",
    "LayerCosts",
    "LayerTimes",
    "ReceptiveField",
    "ReceptiveFieldRow",
    "ShapeRow",
    "ShapeTrace",
    "TimeRow",
    "Window",
    "activation_statistics",
    "captured",
    "count_multiply_adds",
    "count_parameters",
    "dead_units",
    "effective_receptive_field",
    "find_layer",
    "gradient_statistics",
    "layer_costs",
    "layer_times",
    "multiply_adds_by_layer",
    "receptive_field",
    "shape_trace",
]
