"""From the name of a recipe to a plan, with options and settings of the caller's."""

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import ModuleType
from typing import Any

from cnncourse.recipes import RECIPES
from cnncourse.recipes.plan import Plan
from cnncourse.training import TrainConfig


def load_recipe(name: str) -> ModuleType:
    """Return the module of a recipe.

    Args:
        name: as in ``RECIPES``; ``-`` and ``_`` are the same.

    Returns:
        The module.

    Raises:
        ValueError: if there is none of that name.
    """
    wanted = name.replace("_", "-")
    if wanted not in RECIPES:
        raise ValueError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    return importlib.import_module(RECIPES[wanted])


def make_plan(
    recipe: ModuleType,
    budget: str,
    *,
    root: str | os.PathLike[str] | None = None,
    device: str = "auto",
    options: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
) -> Plan:
    """Return a recipe's plan with changed options and settings.

    Args:
        recipe: module with ``plan``.
        budget: ``"smoke"``, ``"book"`` or ``"full"``.
        root: folder with the data.
        device: where to compute.
        options: arguments of ``plan``.
        changes: fields of ``TrainConfig`` to replace.

    Returns:
        The plan.

    Raises:
        ValueError: if the recipe trains no classifier, or an option or field is unknown.
    """
    if not hasattr(recipe, "plan"):
        raise ValueError(
            f"{recipe.NAME} is a measurement, not a training run; use: cnncourse record {recipe.NAME}"
        )
    known = [
        name for name in inspect.signature(recipe.plan).parameters if name not in ("budget", "root", "device")
    ]
    _refuse_unknown(f"option of {recipe.NAME}", options or {}, known)
    settable = [f.name for f in fields(TrainConfig) if f.name not in ("seed", "device")]
    _refuse_unknown("setting", changes or {}, settable)
    plan: Plan = recipe.plan(budget, root=root, device=device, **(options or {}))
    try:
        return replace(plan, config=replace(plan.config, **(changes or {})))
    except TypeError as error:
        raise ValueError(f"a setting has a value of the wrong kind: {error}") from error


def _refuse_unknown(kind: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        choices = ", ".join(known) or "none"
        raise ValueError(f"there is no {kind} named {', '.join(unknown)}; there are: {choices}")
