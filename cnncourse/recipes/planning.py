"""From the name of a recipe to a plan, with options and settings of the caller's."""

import importlib
import inspect
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from cnncourse.recipes import RECIPES
from cnncourse.recipes.plan import Plan
from cnncourse.training import TrainConfig

WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    tuple: "numbers such as (0.5,0.75)",
    type(None): "None",
}
"""What people call the kinds of values that options and settings have."""


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
        ValueError: if the recipe trains no classifier, or an option or field is unknown or of the wrong kind.
    """
    if not hasattr(recipe, "plan"):
        raise ValueError(
            f"{recipe.NAME} is a measurement, not a training run; use: cnncourse record {recipe.NAME}"
        )
    known = [
        name for name in inspect.signature(recipe.plan).parameters if name not in ("budget", "root", "device")
    ]
    # JSON knows no tuples, and records and runs keep what was given as JSON.
    options, changes = _with_tuples(options), _with_tuples(changes)
    _refuse_unknown(f"option of {recipe.NAME}", options, known)
    settable = [f.name for f in fields(TrainConfig) if f.name not in ("seed", "device")]
    _refuse_unknown("setting", changes, settable)
    _refuse_wrong_kind("option", options, get_type_hints(recipe.plan))
    _refuse_wrong_kind("setting", changes, get_type_hints(TrainConfig))
    plan: Plan = recipe.plan(budget, root=root, device=device, **options)
    try:
        return replace(plan, config=replace(plan.config, **changes))
    except TypeError as error:
        raise ValueError(f"a setting has a value of the wrong kind, got {changes}: {error}") from error


def _with_tuples(given: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in (given or {}).items()}


def _refuse_unknown(kind: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        choices = ", ".join(known) or "none"
        raise ValueError(f"there is no {kind} named {', '.join(unknown)}; there are: {choices}")


def _refuse_wrong_kind(what: str, given: Mapping[str, Any], hints: Mapping[str, Any]) -> None:
    for name, value in given.items():
        kinds = _kinds(hints[name])
        fits = type(value) in kinds or (type(value) is int and float in kinds)
        if kinds and not fits:
            words = " or ".join(WORDS.get(kind, kind.__name__) for kind in kinds)
            raise ValueError(
                f"{what} {name} has a value of the wrong kind: it must be {words}, got {value!r}"
            )


def _kinds(hint: Any) -> tuple[type, ...]:
    """Return the types of a hint's values, in its order; none if it is not made of plain types."""
    origin = get_origin(hint)
    if origin is Literal:
        return tuple(dict.fromkeys(type(value) for value in get_args(hint)))
    if origin is tuple:
        return (tuple,)
    if isinstance(hint, type):
        return (hint,)
    return tuple(dict.fromkeys(kind for part in get_args(hint) for kind in _kinds(part)))
