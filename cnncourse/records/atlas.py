"""The ablation atlas: a recorded grid of networks, depth by shortcuts by batch norm by width, each from several seeds.

It is one record, ``data/results/ablation-atlas.json``, made by ``python -m cnncourse record ablation-atlas``. A
history of it (one for each seed) has a row for each network, and this module finds rows by what they are of.
"""

import html
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnncourse.records.record import Record, RecordError
from cnncourse.records.store import load

NAME = "ablation-atlas"
"""Name of the record."""

CURVES = ("train_loss", "train_error", "test_error")
"""What a cell remembers after each pass."""

_ROW: dict[str, tuple[type, ...]] = {
    "depth": (int,),
    "residual": (bool,),
    "batch_norm": (bool,),
    "width": (int, float),
    **dict.fromkeys(CURVES, (list, tuple)),
    "final_train_error": (int, float),
}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training run of the grid."""

    depth: int
    """Layers with weights, 6n + 2."""
    residual: bool
    """With shortcuts, or the plain twin."""
    batch_norm: bool
    """With batch normalisation, or with biases instead."""
    width: float
    """Factor of the filters of He et al. (2016)."""
    seed: int
    """Seed of first weights and order."""
    train_loss: tuple[float, ...]
    """Mean cross entropy (nats) of the training images while each pass learns from them."""
    train_error: tuple[float, ...]
    """Share of wrong answers on the training images, likewise."""
    test_error: tuple[float, ...]
    """Share of wrong answers on the test images after each pass."""
    final_train_error: float
    """Share of wrong answers on the training images after the last pass, by the network as it is used."""

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in CURVES}
        if len(set(lengths.values())) != 1:
            raise RecordError(f"the curves of a cell must have one value for each pass, got {lengths}")
        shares = (*self.train_error, *self.test_error, self.final_train_error)
        if not all(0 <= share <= 1 for share in shares):
            raise RecordError(f"errors must be shares in [0, 1], got {min(shares)} to {max(shares)}")

    @property
    def name(self) -> str:
        """Name of the network: ``plain-56, no batch norm, width 0.5``."""
        return network_name(self.depth, self.residual, self.batch_norm, self.width)


def network_name(depth: int, residual: bool, batch_norm: bool, width: float) -> str:
    """Return what people call a network of the grid.

    Args:
        depth: layers with weights.
        residual: with shortcuts.
        batch_norm: with batch normalisation.
        width: factor of the filters.

    Returns:
        Such as ``ResNet-20, batch norm, width 1``.
    """
    family = "ResNet" if residual else "plain"
    return f"{family}-{depth}, {'' if batch_norm else 'no '}batch norm, width {width:g}"


@dataclass(frozen=True, repr=False)
class Atlas:
    """The recorded grid."""

    record: Record
    """Settings, data, provenance and the rows themselves."""
    cells: tuple[Cell, ...]
    """All runs, by seed and then in the order of the grid."""

    @classmethod
    def of(cls, record: Record) -> "Atlas":
        """Read the cells of a record, and refuse one that is no whole grid.

        Args:
            record: made by the recipe ``ablation-atlas``.

        Returns:
            The atlas.

        Raises:
            RecordError: if rows are missing, come twice, have another form or other curves than passes.
        """
        cells = tuple(
            _cell(seed, columns, row)
            for seed, columns in zip(record.seeds, record.curves, strict=True)
            for row in range(_rows(record, columns))
        )
        atlas = cls(record, cells)
        wanted = len(atlas.depths) * len(atlas.widths) * 4 * len(record.seeds)
        different = {(c.depth, c.residual, c.batch_norm, c.width, c.seed) for c in cells}
        if not len(cells) == len(different) == wanted:
            raise RecordError(
                f"record {record.name!r} must hold {wanted} different cells: {len(atlas.depths)} depths, 2 kinds, "
                f"with and without batch norm, {len(atlas.widths)} widths, {len(record.seeds)} seeds; got "
                f"{len(cells)}, of them {len(different)} different; record it again"
            )
        passes = record.settings.get("epochs")
        longest = max(len(cell.train_loss) for cell in cells)
        if longest != passes:
            raise RecordError(
                f"record {record.name!r} has {passes} passes by its settings, but {longest} in its curves; "
                "record it again"
            )
        return atlas

    @property
    def depths(self) -> tuple[int, ...]:
        """Depths of the grid, rising."""
        return tuple(sorted({cell.depth for cell in self.cells}))

    @property
    def widths(self) -> tuple[float, ...]:
        """Widths of the grid, rising."""
        return tuple(sorted({cell.width for cell in self.cells}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of every network."""
        return tuple(self.record.seeds)

    @property
    def data(self) -> str:
        """What the networks learnt, for a caption: data set, size of the images, how many."""
        return str(self.record.settings["data"])

    def select(
        self,
        *,
        depth: int | None = None,
        residual: bool | None = None,
        batch_norm: bool | None = None,
        width: float | None = None,
        seed: int | None = None,
    ) -> tuple[Cell, ...]:
        """Return the cells with the given properties.

        Args:
            depth: layers with weights; ``None`` (here and below) takes all.
            residual: with shortcuts or without.
            batch_norm: with batch normalisation or without.
            width: factor of the filters.
            seed: of the run.

        Returns:
            At least one cell, in the order of the record.

        Raises:
            RecordError: if there is none.
        """
        asked = {
            "depth": depth,
            "residual": residual,
            "batch_norm": batch_norm,
            "width": width,
            "seed": seed,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        found = tuple(c for c in self.cells if all(getattr(c, name) == v for name, v in given.items()))
        if not found:
            wanted = ", ".join(f"{name}={value}" for name, value in given.items())
            raise RecordError(
                f"the atlas has no cell with {wanted}; it has depths {', '.join(map(str, self.depths))}, widths "
                f"{', '.join(f'{w:g}' for w in self.widths)} and seeds {', '.join(map(str, self.seeds))}"
            )
        return found

    def mean(
        self, curve: str, *, depth: int, residual: bool, batch_norm: bool, width: float
    ) -> tuple[float, ...]:
        """Return a curve of one network, averaged over its seeds.

        Args:
            curve: ``"train_loss"``, ``"train_error"`` or ``"test_error"``.
            depth: layers with weights.
            residual: with shortcuts or without.
            batch_norm: with batch normalisation or without.
            width: factor of the filters.

        Returns:
            One value for each pass, up to the last that every seed finished.

        Raises:
            RecordError: if there is no such network.
            ValueError: if there is no such curve.
        """
        if curve not in CURVES:
            raise ValueError(f"curve must be one of {', '.join(CURVES)}, got {curve!r}")
        cells = self.select(depth=depth, residual=residual, batch_norm=batch_norm, width=width)
        return tuple(
            statistics.fmean(values) for values in zip(*(getattr(c, curve) for c in cells), strict=False)
        )

    def __repr__(self) -> str:
        return (
            f"Ablation atlas: depths {', '.join(map(str, self.depths))}, plain and residual, with and without "
            f"batch norm, widths {', '.join(f'{w:g}' for w in self.widths)}, {len(self.seeds)} seeds; {self.data}"
        )

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(repr(self))}</p>{self.record._repr_html_()}"


def load_atlas(folder: Path | None = None) -> Atlas:
    """Return the recorded grid.

    Args:
        folder: where the record is; ``None`` is the course's own ``data/results``.

    Returns:
        The atlas.

    Raises:
        RecordError: if it is not recorded yet, or the file is not of its form.

    Book: resnet
    """
    return Atlas.of(load(NAME, folder))


def _rows(record: Record, columns: Mapping[str, Any]) -> int:
    """Return the number of rows of a history, and refuse one with missing or ragged columns."""
    lengths = {name: len(columns[name]) if name in columns else None for name in _ROW}
    if None in lengths.values() or len(set(lengths.values())) != 1:
        raise RecordError(
            f"record {record.name!r} must have columns of one length for each seed, {', '.join(_ROW)}; got "
            f"{lengths}; record it again"
        )
    return len(columns["depth"])


def _cell(seed: int, columns: Mapping[str, Any], row: int) -> Cell:
    values = {name: columns[name][row] for name in _ROW}
    for name, value in values.items():
        kinds = _ROW[name]
        numbers = value if kinds == (list, tuple) and isinstance(value, kinds) else ()
        wrong_item = any(type(number) not in (int, float) for number in numbers)
        if type(value) not in kinds or wrong_item:
            raise RecordError(f"{name} of a cell must be {_words(kinds)}, got {value!r}; record it again")
    for name in CURVES:
        values[name] = tuple(values[name])
    return Cell(seed=seed, **values)


def _words(kinds: tuple[type, ...]) -> str:
    if float in kinds:
        return "a number"
    return {int: "a whole number", bool: "true or false", list: "a list of numbers"}[kinds[0]]
