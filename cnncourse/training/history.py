"""What happened during training, epoch by epoch."""

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One pass over the training images."""

    epoch: int
    """Number of the pass, from 1."""
    learning_rate: float
    """Learning rate of the last step."""
    train_loss: float
    """Mean loss over the pass, while the weights changed."""
    train_accuracy: float
    """Share of right answers over the pass, while the weights changed, 0 to 1."""
    train_seconds: float
    """Duration of the pass."""
    val_loss: float | None = None
    """Mean loss on the validation images after the pass; None without such images."""
    val_accuracy: float | None = None
    """Share of right answers on the validation images after the pass, 0 to 1."""
    train_top5: float | None = None
    """Share of training images whose class was among the five largest logits; None with five classes or fewer."""
    val_top5: float | None = None
    """The same on the validation images, after the pass."""
    gradient_norm: float | None = None
    """Mean length of the gradient before clipping; None if it was not measured."""
    images_per_second: float | None = None
    """Training images a second."""


@dataclass(frozen=True)
class History:
    """The passes of one training run."""

    rows: tuple[EpochRow, ...] = ()
    """One for each pass, in order."""

    def __iter__(self) -> Iterator[EpochRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> list[Any]:
        """Return one column: ``history["train_loss"]``."""
        if name not in {f.name for f in fields(EpochRow)}:
            raise KeyError(f"no column {name!r}; there are {', '.join(f.name for f in fields(EpochRow))}")
        return [getattr(row, name) for row in self.rows]

    def with_row(self, row: EpochRow) -> "History":
        """Return this history and one more pass."""
        return History((*self.rows, row))

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a list for each column, ready for JSON."""
        return {f.name: self[f.name] for f in fields(EpochRow)}

    def to_json(self) -> str:
        """Return the columns as JSON."""
        return json.dumps(self.to_dict())

    def to_csv(self) -> str:
        """Return one line for each pass under a line of names; empty cells are numbers that were not measured."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(f.name for f in fields(EpochRow))
        writer.writerows(
            ["" if value is None else value for value in asdict(row).values()] for row in self.rows
        )
        return text.getvalue()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the history to a file, whole or not at all.

        Args:
            path: ends in ``.json`` or ``.csv``; its folder exists.

        Returns:
            The path.

        Raises:
            ValueError: if the name ends in something else.
        """
        target = Path(path)
        if target.suffix not in (".json", ".csv"):
            raise ValueError(f"a history is written to a .json or .csv file, got {target.name!r}")
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        part.write_text(self.to_json() if target.suffix == ".json" else self.to_csv(), encoding="utf-8")
        part.replace(target)
        return target

    @classmethod
    def from_dict(cls, columns: Mapping[str, list[Any]]) -> "History":
        """Return the history that :meth:`to_dict` wrote.

        Args:
            columns: lists of equal length under the names of :class:`EpochRow`'s fields.

        Returns:
            The history.

        Raises:
            ValueError: if a column is missing, unknown, or of another length.
        """
        names = {f.name for f in fields(EpochRow)}
        if set(columns) != names or len({len(column) for column in columns.values()}) > 1:
            raise ValueError(
                f"a history has the columns {sorted(names)}, all of one length, got {sorted(columns)}"
            )
        rows = zip(*columns.values(), strict=True)
        return cls(tuple(EpochRow(**dict(zip(columns, row, strict=True))) for row in rows))

    def __repr__(self) -> str:
        if not self.rows:
            return "History of no pass"
        last = asdict(self.rows[-1])
        shown = ", ".join(
            f"{name} {value:.4g}" for name, value in last.items() if value is not None and name != "epoch"
        )
        return f"History of {len(self)} passes; the last: {shown}"
