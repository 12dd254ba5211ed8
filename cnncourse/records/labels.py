"""Names of results, turned into words for people."""

import re

_WHOLE = {
    "test_loss": "test loss (nats)",
    "train_seconds": "training time (s)",
}
_RACE = re.compile(r"l1_m(\d+)_width_(\d+)_layers_(\d+)")
_SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def split_label(result: str) -> tuple[str, str]:
    """Return what was measured, and on what where one run measured several things.

    Args:
        result: name of a result: ``test_accuracy``, ``l1_m4_width_512_layers_1``, ``error: plain-20``.

    Returns:
        Label of a row, and label inside it, which may be empty: ``("test accuracy", "")``,
        ``("L1 distance to m⁽⁴⁾", "512 units in 1 layer")``. Results with the same first part belong together.

    Book: depth_separation
    """
    if match := _RACE.fullmatch(result):
        n, width, layers = match.groups()
        shape = f"{width} units in 1 layer" if layers == "1" else f"{layers} layers of {width}"
        return f"L1 distance to m⁽{n.translate(_SUPERSCRIPT)}⁾", shape
    if ": " in result:
        label, detail = result.split(": ", 1)
        return label, detail
    return _WHOLE.get(result, result.replace("_", " ")), ""
