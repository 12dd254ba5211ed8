"""The declared claims: ``book/claims.yml``, read strictly, with file and line in every complaint."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from cnncourse.claims.expectations import Expectation, parse_expectation
from cnncourse.paths import course_root

__all__ = ["VERDICTS", "Claim", "ClaimError", "declared", "read_ledger"]

VERDICTS = ("holds", "needs a correction")
_REQUIRED = {"id", "chapter", "statement", "source", "expect", "verdict"}
_OPTIONAL = {"where", "needs", "correction", "corrected", "unit"}
_NEEDS = ("smoke", "book", "full")
_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SLUG = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


class ClaimError(ValueError):
    """A claim is unknown, badly declared, or its expectation was not met."""


@dataclass(frozen=True)
class Claim:
    """One measurable statement of a chapter, declared once."""

    id: str
    """Lower-case words joined by hyphens, unique in the course."""
    chapter: str
    """Slug of the chapter that checks it."""
    statement: str
    """What literature or lecture slides say; inline mark-up is understood."""
    source: str
    """Key of the bibliography."""
    expect: Expectation
    """What the statement says about the measured value."""
    verdict: str
    """``holds`` or ``needs a correction``: the verdict the authors expect."""
    where: str = ""
    """Section, theorem or table of the source."""
    needs: str = "smoke"
    """Smallest budget at which the measurement means something."""
    correction: str = ""
    """What is right instead, when the statement needs a correction."""
    corrected: Expectation | None = None
    """What the correction says about the measured value."""
    unit: str = ""
    """Unit of the measured value."""


def read_ledger(path: Path) -> dict[str, Claim]:
    """Return the claims declared in a file, by id.

    Args:
        path: a YAML list of mappings; see :class:`Claim` for the keys.

    Returns:
        Claims in the file's order.

    Raises:
        ClaimError: if the file is not YAML, an id is declared twice, a key is missing or unknown, or an
            expectation is malformed; the message starts with file and line.
    """
    try:
        tree = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ClaimError(f"{path.name}, line {line}: not valid YAML: {error.problem}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ClaimError(f"{path.name}, line 1: not valid YAML: {error}") from error
    if tree is None:
        return {}
    if not isinstance(tree, yaml.SequenceNode):
        raise ClaimError(f"{path.name}, line 1: the ledger is a list of claims, each starting with '- id:'")
    claims: dict[str, Claim] = {}
    lines: dict[str, int] = {}
    loader = yaml.SafeLoader("")
    for node in tree.value:
        line = node.start_mark.line + 1
        try:
            _refuse_repeated_keys(node)
            claim = _claim(loader.construct_document(node))
        except (ValueError, yaml.YAMLError) as error:
            raise ClaimError(f"{path.name}, line {line}: {error}") from error
        if claim.id in claims:
            first = lines[claim.id]
            raise ClaimError(
                f"{path.name}, line {line}: claim {claim.id!r} is declared twice, first in line {first}"
            )
        claims[claim.id], lines[claim.id] = claim, line
    return claims


def _refuse_repeated_keys(node: yaml.Node) -> None:
    """Raise a ValueError for a key said twice, of which YAML would keep the last without a word."""
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _value in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"key {key!r} occurs twice in one claim")
        for _key, value in node.value:
            _refuse_repeated_keys(value)


def _claim(entry: Any) -> Claim:
    if not isinstance(entry, Mapping):
        raise ValueError(f"a claim is a mapping with the keys {', '.join(sorted(_REQUIRED))}, got {entry!r}")
    name = entry.get("id", "without id")
    missing, unknown = _REQUIRED - set(entry), set(entry) - _REQUIRED - _OPTIONAL
    if missing:
        raise ValueError(f"claim {name!r}: missing {', '.join(sorted(missing))}")
    if unknown:
        raise ValueError(f"claim {name!r}: unknown key {', '.join(sorted(map(str, unknown)))}")
    for key in set(entry) - {"expect", "corrected"}:
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise ValueError(f"claim {name!r}: {key} must be a text, got {entry[key]!r}; put it in quotes")
    if not _ID.fullmatch(name):
        raise ValueError(f"claim {name!r}: an id is lower-case words joined by hyphens")
    if not _SLUG.fullmatch(entry["chapter"]):
        raise ValueError(f"claim {name!r}: chapter is the slug of a notebook, got {entry['chapter']!r}")
    if entry["verdict"] not in VERDICTS:
        raise ValueError(f"claim {name!r}: verdict must be {' or '.join(VERDICTS)}, got {entry['verdict']!r}")
    if entry.get("needs", "smoke") not in _NEEDS:
        raise ValueError(f"claim {name!r}: needs must be {', '.join(_NEEDS)}, got {entry['needs']!r}")
    wrong = entry["verdict"] != "holds"
    if wrong and not ("correction" in entry and "corrected" in entry):
        raise ValueError(
            f"claim {name!r}: a claim that needs a correction has the keys correction and corrected"
        )
    if not wrong and ("correction" in entry or "corrected" in entry):
        raise ValueError(f"claim {name!r}: a claim that holds has no correction")
    try:
        expect = parse_expectation(entry["expect"])
        corrected = parse_expectation(entry["corrected"]) if wrong else None
    except ValueError as error:
        raise ValueError(f"claim {name!r}: {error}") from error
    fields = {key: entry[key].strip() for key in set(entry) - {"expect", "corrected"}}
    return Claim(**fields, expect=expect, corrected=corrected)


@cache
def declared() -> Mapping[str, Claim]:
    """Return the course's claims by id, read once from ``book/claims.yml``."""
    return read_ledger(course_root() / "book" / "claims.yml")
