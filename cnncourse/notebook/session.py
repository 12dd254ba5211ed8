"""The first lines of every chapter: which budget, which device, which seed."""

import os
import random
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from IPython.core.getipython import get_ipython
from IPython.display import display

from cnncourse import claims
from cnncourse.markup import STYLE_SHEET

__all__ = ["BUDGETS", "Session", "begin", "resolve_budget", "resolve_seed"]

T = TypeVar("T")

BUDGETS = ("smoke", "book", "full")
"""Seconds, for tests; at most 90 s on two cores, what the book shows; the paper's recipe, on a GPU."""


@dataclass(frozen=True)
class Session:
    """A chapter being run: :func:`begin` makes it, cells ask it for sizes that fit the budget."""

    slug: str
    """Name of the chapter's notebook, without ending."""
    budget: str
    """``smoke``, ``book`` or ``full``."""
    device: torch.device
    """Where tensors and models of the chapter live."""
    seed: int
    """Seed that :func:`begin` gave to Python, NumPy and torch."""

    def pick(self, *, smoke: T, book: T, full: T | None = None) -> T:
        """Return the argument named as the session's budget; ``full`` stands for ``book`` when left out."""
        if self.budget == "smoke":
            return smoke
        return full if self.budget == "full" and full is not None else book

    def generator(self, offset: int = 0) -> torch.Generator:
        """Return a CPU random generator seeded with the session's seed plus ``offset``."""
        return torch.Generator().manual_seed(self.seed + offset)


def resolve_budget(budget: str) -> str:
    """Return the budget to run: ``auto`` is ``full`` where CUDA is available and ``book`` elsewhere.

    Args:
        budget: ``auto``, ``smoke``, ``book`` or ``full``; the environment variable ``CNNCOURSE_BUDGET``
            overrides ``auto``.

    Returns:
        ``smoke``, ``book`` or ``full``.

    Raises:
        ValueError: if the name is none of these.
    """
    asked = os.environ.get("CNNCOURSE_BUDGET", "auto") if budget == "auto" else budget
    if asked == "auto":
        return "full" if torch.cuda.is_available() else "book"
    if asked not in BUDGETS:
        where = "the environment variable CNNCOURSE_BUDGET" if budget == "auto" else "the first cell"
        raise ValueError(f"BUDGET must be auto, smoke, book or full, got {asked!r}; mend {where}")
    return asked


def resolve_seed(seed: int | None = None) -> int:
    """Return the seed of a chapter: the one given, or that of the environment, or 0.

    Args:
        seed: ``None`` takes the environment variable ``CNNCOURSE_SEED``, and 0 where it is not set.

    Returns:
        A whole number, at least 0.

    Raises:
        ValueError: if it is anything else.
    """
    if seed is not None:
        asked, where = str(seed), "the argument seed"
    else:
        asked, where = os.environ.get("CNNCOURSE_SEED", "0"), "the environment variable CNNCOURSE_SEED"
    # NumPy's global generator takes no seed of more than 32 bits.
    if not (asked.isascii() and asked.isdigit() and int(asked) < 2**32):
        raise ValueError(f"a seed must be a whole number from 0 to 2**32 - 1, got {asked!r}; mend {where}")
    return int(asked)


def begin(slug: str, budget: str = "auto", *, seed: int | None = None) -> Session:
    """Set a chapter up: resolve the budget, choose the device, seed everything, add the course's style.

    Args:
        slug: name of the chapter's notebook, without ending.
        budget: as for :func:`resolve_budget`.
        seed: for Python, NumPy and torch; ``None`` as for :func:`resolve_seed`, so that a chapter can be run
            with others.

    Returns:
        The session.

    Raises:
        ValueError: if the budget is unknown, or the seed none.
    """
    resolved, seed = resolve_budget(budget), resolve_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # readers' own cells may use the global state
    torch.manual_seed(seed)
    claims.use_budget(resolved)
    if get_ipython() is not None:
        style = STYLE_SHEET.read_text(encoding="utf-8")
        display({"text/html": f"<style>{style}</style>", "text/plain": f"[{slug}: {resolved}]"}, raw=True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return Session(slug, resolved, device, seed)
