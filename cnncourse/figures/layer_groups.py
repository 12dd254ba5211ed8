"""Many layers brought together to as many as a figure can show."""

from collections.abc import Sequence

__all__ = ["layer_groups", "si"]

_PREFIXES = (
    *(("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)),
    *(("", 1.0), ("m", 1e-3), ("µ", 1e-6), ("n", 1e-9)),
)


def layer_groups(names: Sequence[str], starts: Sequence[bool], most: int = 24) -> list[str]:
    """Return for each layer the name of the group in which a figure shows it.

    Each layer that does work of its own starts a group, and what follows it (normalisation, activation,
    pooling) belongs to it. When these are too many, layers are grouped by the parts of the network that
    their dotted names tell: ``layer1.0.conv1`` belongs to ``layer1.0``, or to ``layer1``.

    Args:
        names: dotted names in the order of the forward pass.
        starts: whether the layer starts a group, one a name.
        most: largest number of groups, at least 1; more where the network itself has more parts.

    Returns:
        One name a layer; equal names are one group.

    Raises:
        ValueError: if the two differ in length or ``most`` is below 1.
    """
    if len(names) != len(starts) or most < 1:
        raise ValueError(
            f"starts must be one a name and most at least 1, got {len(names)} names, {len(starts)} starts, most={most}"
        )
    deepest = max((name.count(".") for name in names), default=0) + 1
    groups: list[str] = []
    for depth in range(deepest, 0, -1):
        groups = _following([".".join(name.split(".")[:depth]) for name in names], starts)
        if len(set(groups)) <= most:
            break
    return groups


def _following(parts: Sequence[str], starts: Sequence[bool]) -> list[str]:
    """Let parts in which nothing starts a group belong to the one before them."""
    working = {part for part, start in zip(parts, starts, strict=True) if start}
    groups: list[str] = []
    for part in parts:
        groups.append(part if part in working or not groups else groups[-1])
    return groups


def si(value: float, unit: str = "") -> str:
    """Return a number in three digits with a prefix: 61,706 is ``61.7 k``.

    Args:
        value: any number; below 1 the prefixes m, µ and n are used.
        unit: written behind the prefix, such as ``"B"``.

    Returns:
        Number, a blank, prefix and unit; just the number if there is neither.
    """
    size = abs(value)
    prefix, scale = next(
        # 999.6 would be written 1000, which is the next prefix's business
        ((prefix, scale) for prefix, scale in _PREFIXES if size >= 0.9995 * scale),
        _PREFIXES[-1] if size else ("", 1.0),
    )
    number = value / scale
    whole = not prefix and number == round(number)
    digits = 0 if whole or abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    return f"{number:.{digits}f} {prefix}{unit}".rstrip()
