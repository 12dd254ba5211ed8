"""What a claim expects of a measured value, and whether a measurement meets it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Rational, Real
from typing import Any

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
            measured: a number, a (nested) sequence of numbers for ``equals``, a bool for ``holds``, one number
                a seed for ``seeds``.

        Returns:
            True or False; NaN meets nothing.

        Raises:
            ValueError: if the measurement is of the wrong kind, or rests on fewer seeds than declared.
        """
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
            return measured is bool(self.parameters["holds"])
        if self.kind == "bound":
            return _within(_number(measured), self.parameters.get("at_least"), self.parameters.get("at_most"))
        return self._met_over_seeds([_number(value) for value in measured])

    def _met_over_seeds(self, values: Sequence[float | Rational]) -> bool:
        rule = self.parameters
        if len(values) < rule["seeds"]:
            raise ValueError(
                f"this claim rests on at least {rule['seeds']} seeds, got {len(values)} measurements; "
                f"run the missing seeds"
            )
        if not all(_within(value, rule.get("each_at_least"), rule.get("each_at_most")) for value in values):
            return False
        low, high = mean_interval([float(value) for value in values], rule.get("confidence", 0.95))
        return ("mean_at_least" not in rule or low >= rule["mean_at_least"]) and (
            "mean_at_most" not in rule or high <= rule["mean_at_most"]
        )

    def describe(self) -> str:
        """Return the expectation in words."""
        rule = self.parameters
        if self.kind == "equals":
            within = f" ± {rule['tolerance']}" if rule.get("tolerance") else ""
            within += f" ± {100 * rule['relative']:g} %" if rule.get("relative") else ""
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
                said.append(f"with {100 * rule.get('confidence', 0.95):g} % confidence")
        return ", ".join(said)


def parse_expectation(declared: Any) -> Expectation:
    """Return the expectation declared by a mapping of the ledger.

    Args:
        declared: ``{equals: v, tolerance: t, relative: r}``, ``{at_least: a, at_most: b}``, ``{holds: true}`` or
            ``{seeds: n, mean_at_least: a, …, each_at_least: a, …, confidence: 0.95}``.

    Returns:
        The expectation.

    Raises:
        ValueError: if the mapping is none of these.
    """
    if isinstance(declared, Mapping) and declared:
        keys = set(declared)
        for kind, allowed in _KEYS.items():
            needed = {"equals"} if kind == "equals" else {"seeds"} if kind == "seeds" else keys & allowed
            if keys <= allowed and needed <= keys and (kind != "seeds" or len(keys - {"confidence"}) > 1):
                return Expectation(kind, dict(declared))
    raise ValueError(
        "an expectation is one of {equals, tolerance, relative}, {at_least, at_most}, {holds} or {seeds, "
        f"mean_at_least, mean_at_most, each_at_least, each_at_most, confidence}}, got {declared!r}"
    )


def mean_interval(values: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the lower and the upper one-sided confidence limit of the mean, by Student's t.

    Args:
        values: at least two independent measurements.
        confidence: of each limit, in (0, 1).

    Returns:
        Both limits; they coincide with the mean when all values are equal.

    Raises:
        ValueError: if there are fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(f"a statement about a mean needs at least two seeds, got {len(values)}")
    from scipy.stats import t

    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)
    margin = float(t.ppf(confidence, len(values) - 1)) * math.sqrt(variance / len(values))
    return mean - margin, mean + margin


def _number(value: Any) -> float | Rational:
    """Return an exact or floating number; tensors and NumPy scalars become floats."""
    if isinstance(value, Rational | float):
        return value
    if hasattr(value, "numerator") and hasattr(value, "denominator"):
        return value  # type: ignore[no-any-return]  # gmpy2's rationals
    if isinstance(value, Real) or hasattr(value, "__float__"):
        return float(value)
    raise ValueError(f"a measured value must be a number, got {type(value).__name__}: {value!r}")


def _within(value: Any, low: float | None, high: float | None) -> bool:
    return value == value and (low is None or value >= low) and (high is None or value <= high)


def _equal(measured: Any, expected: Any, tolerance: float, relative: float) -> bool:
    if isinstance(expected, Sequence) and not isinstance(expected, str):
        parts = list(measured)
        return len(parts) == len(expected) and all(
            _equal(part, value, tolerance, relative) for part, value in zip(parts, expected, strict=True)
        )
    if isinstance(expected, str):
        return str(measured) == expected
    return bool(abs(_number(measured) - expected) <= max(tolerance, relative * abs(expected)))


def format_value(value: Any) -> str:
    """Return a measured or expected value as a reader wants it: thousands apart, four significant digits.

    Args:
        value: a number, bool, text, or (nested) sequence of them.

    Returns:
        Text; whole numbers and fractions exactly, other numbers to four significant digits.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) or (hasattr(value, "__iter__") and getattr(value, "ndim", 1)):
        return ", ".join(
            f"({format_value(part)})" if isinstance(part, Sequence) and not isinstance(part, str)
            else format_value(part) for part in value
        )  # fmt: skip
    number = _number(value)
    if number == number and abs(number) != math.inf and number == int(number) and abs(number) < 1e15:
        return f"{int(number):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    if isinstance(number, float):
        return f"{number:.4g}"
    exact = f"{number.numerator}/{number.denominator}"
    return exact if len(exact) <= 24 else f"{float(number):.4g}"
