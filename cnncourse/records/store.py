"""Records as files: ``data/results/<name>.json``."""

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from cnncourse.paths import course_root
from cnncourse.records.record import Record, RecordError


def _folder(folder: Path | None) -> Path:
    return course_root() / "data" / "results" if folder is None else folder


def available(folder: Path | None = None) -> tuple[str, ...]:
    """Return the names of all records, sorted.

    Args:
        folder: where they are; ``None`` is the course's own ``data/results``.

    Returns:
        Names for :func:`load`.
    """
    return tuple(sorted(path.stem for path in _folder(folder).glob("*.json")))


def load(name: str, folder: Path | None = None) -> Record:
    """Return a record.

    Args:
        name: its name, such as ``lenet-mnist``.
        folder: where it is; ``None`` is the course's own ``data/results``.

    Returns:
        The record.

    Raises:
        RecordError: if there is no such record, or the file is not one.

    Book: pooling_lenet
    """
    path = _folder(folder) / f"{_checked(name)}.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(available(folder)) or "none yet"
        raise RecordError(
            f"there is no record {name!r}; recorded are: {known}. "
            f"`python -m cnncourse record {name}` makes one of a recipe"
        ) from error
    except ValueError as error:
        raise RecordError(f"{path.name} is not JSON ({error}); restore it or record it again") from error
    record = Record.from_dict(content, path.name)
    if record.name != name:
        raise RecordError(f"{path.name} must hold the record {name!r}, got {record.name!r}; rename the file")
    return record


def save(record: Record, folder: Path | None = None) -> Path:
    """Write a record; the old file stays whole until the new one is complete.

    Args:
        record: what to write.
        folder: where to; ``None`` is the course's own ``data/results``.

    Returns:
        The file.

    Raises:
        RecordError: if the name does not fit a file, or a number is not finite.
        OSError: if the folder cannot be written.
    """
    place = _folder(folder)
    target = place / f"{_checked(record.name)}.json"
    try:
        text = _pretty(record.to_dict()) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordError(f"record {record.name!r} holds something that JSON cannot ({error})") from error
    place.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=place, prefix=f".{record.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return target


def _checked(name: str) -> str:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise RecordError(f"a record's name has small letters, digits and hyphens, got {name!r}")
    return name


def _pretty(value: Any, indent: str = "") -> str:
    """Return JSON with lists of numbers on one line: a curve is one line, and a new one a short diff."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        items = [
            f"{json.dumps(key, ensure_ascii=False)}: {_pretty(item, inner)}" for key, item in value.items()
        ]
        return "{\n" + ",\n".join(inner + item for item in items) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        return "[\n" + ",\n".join(inner + _pretty(item, inner) for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
