"""What a claim expects of a measured value, and whether a measurement meets it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from cnncourse.claims.measurements import as_number, format_value, plain_value

__all__ = ["Expectation", "parse_expectation"]

_KEYS = {
    "equals": {"equals", "tolerance", "relative"},
    "bound": {"at_least", "at_most"},
    "holds": {"holds"},
    "seeds": {"seeds", "mean_at_least", "mean_at_most", "each_at_least", "each_at_most", "confidence"},
}


@dataclass(frozen=True)
class Expectation:
    """One expectation: a value with a tolerance, an inequality, a yes or no, or a statement over seeds."""

    kind: str
    """``equals``, ``bound``, ``holds`` or ``seeds``."""
    parameters: Mapping[str, Any]
    """As declared."""

    def is_met_by(self, measured: Any) -> bool:
        """Return whether ``measured`` meets the expectation.

        Args:
            measured: a number, a (nested) sequence of numbers for ``equals``, a bool for ``holds``, one
                number a seed for ``seeds``; from Python, NumPy, torch or gmpy2.

        Returns:
            True or False; NaN meets nothing.

        Raises:
            ValueError: if the measurement is of the wrong kind, or rests on fewer seeds than declared.
        """
        measured = plain_value(measured)
        if self.kind == "equals":
            return _equal(
                measured,
                self.parameters["equals"],
                self.parameters.get("tolerance", 0),
                self.parameters.get("relative", 0),
            )
        if self.kind == "holds":
            if not isinstance(measured, bool):
                raise ValueError(f"this claim is a yes or a no: measured must be a bool, got {measured!r}")
            return measured is self.parameters["holds"]
        if self.kind == "bound":
            return _within(
                as_number(measured), self.parameters.get("at_least"), self.parameters.get("at_most")
            )
        if not isinstance(measured, list):
            raise ValueError(
                f"this claim is about several seeds: measured must be a sequence, got {measured!r}"
            )
        return self._met_over_seeds([as_number(value) for value in measured])

    def _met_over_seeds(self, values: Sequence[Any]) -> bool:
        rule = self.parameters
        if len(values) < rule["seeds"]:
            raise ValueError(
                f"this claim rests on at least {rule['seeds']} seeds, got {len(values)} measurements; "
                f"run the missing seeds"
            )
        if not all(_within(value, rule.get("each_at_least"), rule.get("each_at_most")) for value in values):
            return False
        if not all(math.isfinite(value) for value in values):
            return False
        if not any(key.startswith("mean") for key in rule):
            return True
        low, high = mean_interval([float(value) for value in values], rule.get("confidence", 0.95))
        return ("mean_at_least" not in rule or low >= rule["mean_at_least"]) and (
            "mean_at_most" not in rule or high <= rule["mean_at_most"]
        )

    def beside(self, measured: str) -> str:
        """Return the expectation as a reader sees it beside the measured value, which it does not repeat.

        Args:
            measured: the measured value as :func:`format_value` writes it.

        Returns:
            Words for a pair of brackets.
        """
        said = self.describe()
        same = self.kind in ("equals", "holds") and said.removeprefix("equals ") == measured
        return "as the claim says" if same else f"the claim says: {said}"

    def describe(self) -> str:
        """Return the expectation in words."""
        rule = self.parameters
        if self.kind == "equals":
            within = f" ± {float(rule['tolerance']):g}" if rule.get("tolerance") else ""
            within += f" ± {100 * float(rule['relative']):g} %" if rule.get("relative") else ""
            return f"equals {format_value(rule['equals'])}{within}"
        if self.kind == "holds":
            return "yes" if rule["holds"] else "no"
        words = {
            "at_least": "at least {}", "at_most": "at most {}",
            "mean_at_least": "mean at least {}", "mean_at_most": "mean at most {}",
            "each_at_least": "each at least {}", "each_at_most": "each at most {}",
        }  # fmt: skip
        said = [text.format(format_value(rule[key])) for key, text in words.items() if key in rule]
        if self.kind == "seeds":
            said.append(f"over at least {rule['seeds']} seeds")
            if any(key.startswith("mean") for key in rule):
                said.append(f"with {100 * float(rule.get('confidence', 0.95)):g} % confidence")
        return ", ".join(said)


def parse_expectation(declared: Any) -> Expectation:
    """Return the expectation declared by a mapping of the ledger.

    Args:
        declared: ``{equals: v, tolerance: t, relative: r}``, ``{at_least: a, at_most: b}``, ``{holds: true}``
            or ``{seeds: n, mean_at_least: a, …, each_at_least: a, …, confidence: 0.95}``. A text such as
            ``1e-9`` or ``1/64`` stands for its number.

    Returns:
        The expectation.

    Raises:
        ValueError: if the mapping is none of these, or a value is of the wrong kind or out of its range.
    """
    if isinstance(declared, Mapping) and declared:
        keys = set(declared)
        for kind, allowed in _KEYS.items():
            needed = {"equals"} if kind == "equals" else {"seeds"} if kind == "seeds" else keys & allowed
            if keys <= allowed and needed <= keys and (kind != "seeds" or keys - {"seeds", "confidence"}):
                return Expectation(kind, {key: _parameter(key, value) for key, value in declared.items()})
    raise ValueError(
        "an expectation is one of {equals, tolerance, relative}, {at_least, at_most}, {holds} or {seeds, "
        f"mean_at_least, mean_at_most, each_at_least, each_at_most, confidence}}, got {declared!r}"
    )


def _parameter(key: str, value: Any) -> Any:
    if key == "holds":
        if not isinstance(value, bool):
            raise ValueError(f"holds must be true or false, got {value!r}")
        return value
    if key == "equals" and isinstance(value, list):
        return [_parameter(key, part) for part in value]
    number = _declared_number(value)
    if key == "equals" and isinstance(number, str):
        return number
    if isinstance(number, bool) or not isinstance(number, int | float | Fraction):
        raise ValueError(f"{key} must be a number, got {value!r}")
    if not math.isfinite(number):
        raise ValueError(f"{key} must be finite, got {value!r}")
    if key == "seeds" and not (isinstance(number, int) and number >= 1):
        raise ValueError(f"seeds must be a whole number of at least 1, got {value!r}")
    if key in ("tolerance", "relative") and number < 0:
        raise ValueError(f"{key} must not be negative, got {value!r}")
    if key == "confidence" and not 0.5 < number < 1:
        raise ValueError(f"confidence must lie strictly between 0.5 and 1, got {value!r}")
    return number


def _declared_number(value: Any) -> Any:
    """Return the number that a text stands for: YAML reads 1e-9, which has no point, as text."""
    if not isinstance(value, str):
        return value
    try:
        return Fraction(value) if "/" in value else float(value)
    except (ValueError, ZeroDivisionError):
        return value


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided confidence limit of the mean, by Student's t.

    Args:
        values: at least two independent measurements.
        confidence: of each limit, in (0, 1).

    Returns:
        Both limits; they coincide with the mean when all values are equal.

    Raises:
        ValueError: if there are fewer than two values, of which no spread can be told.
    """
    if len(values) < 2:
        raise ValueError(f"a statement about a mean needs at least two seeds, got {len(values)}")
    from scipy.special import stdtrit

    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    margin = float(stdtrit(len(values) - 1, confidence)) * math.sqrt(variance / len(values))
    return mean - margin, mean + margin


def _within(value: Any, low: Any, high: Any) -> bool:
    return not _is_nan(value) and (low is None or value >= low) and (high is None or value <= high)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _equal(measured: Any, expected: Any, tolerance: Any, relative: Any) -> bool:
    if isinstance(expected, list):
        if not isinstance(measured, list):
            raise ValueError(f"this claim is about {len(expected)} values, got {measured!r}")
        return len(measured) == len(expected) and all(
            _equal(part, value, tolerance, relative) for part, value in zip(measured, expected, strict=True)
        )
    if isinstance(expected, str):
        return str(measured) == expected
    return bool(abs(as_number(measured) - expected) <= max(tolerance, relative * abs(expected)))
