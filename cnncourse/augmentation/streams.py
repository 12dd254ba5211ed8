"""Streams of random numbers that are named, not consumed: the same name gives the same numbers, at any time."""

import operator
from hashlib import blake2b
from typing import SupportsIndex

import torch


def generator_for(seed: int, *path: int | str) -> torch.Generator:
    """Return a new CPU generator for a place in a run, such as ``generator_for(seed, "crop", epoch, step)``.

    Nothing is kept between two calls, so a run that is resumed in the middle, or split over processes, draws what an
    unbroken run draws. Seed and path are hashed with BLAKE2b, each part with its type and length: ``("a", "b")`` is not
    ``("ab",)`` and ``(1,)`` is not ``("1",)``.

    PyTorch's CPU generator uses 32 bits of a seed. Two given paths get the same numbers with a probability
    of 2**-32; among 10,000 streams the chance that any two agree is about 1 %.

    Args:
        seed: seed of the run, any whole number.
        path: names of the place, whole numbers and texts.

    Returns:
        The generator, at its start.

    Raises:
        ValueError: if a part is neither a whole number nor a text.
    """
    digest = blake2b(digest_size=8)
    for part in (seed, *path):
        digest.update(_encoded(part))
    return torch.Generator().manual_seed(int.from_bytes(digest.digest(), "little") >> 1)


def _encoded(part: SupportsIndex | str) -> bytes:
    """Return bytes from which kind, length and value could be read back."""
    if isinstance(part, str):
        kind, content = "s", part.encode()
    elif isinstance(part, bool) or not hasattr(part, "__index__"):
        raise ValueError(
            f"seed and path must be whole numbers or texts, got {part!r} ({type(part).__name__}); "
            "write a number such as int(x), or str(x)"
        )
    else:
        kind, content = "i", str(operator.index(part)).encode()
    return f"{kind}{len(content)}:".encode() + content
