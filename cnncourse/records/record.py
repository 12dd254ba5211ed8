"""One recorded run."""

import html
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from cnncourse.records.labels import split_label


class RecordError(ValueError):
    """A record is missing or not of the form that :class:`Record` describes."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a recipe measured, and under which conditions.

    Book: pooling_lenet
    """

    name: str
    """Name of the record and of its file: ``lenet-mnist``."""
    title: str
    """What was done, in one line for people."""
    recipe: str
    """Module that did it: ``cnncourse.recipes.lenet_mnist``."""
    budget: str
    """``smoke``, ``book`` or ``full``."""
    settings: Mapping[str, Any]
    """Settings of the run, by name."""
    seeds: Sequence[int]
    """One run each; curves and results are in this order."""
    data: Mapping[str, Any]
    """``name``, ``train_images``, ``test_images`` and ``sha256`` (of each file, by name). Without files the
    examples were drawn by the recipe: points, say, of which ``name`` tells more."""
    device: str
    """Processor or card, and the number of threads."""
    versions: Mapping[str, str]
    """Versions of Python and of the packages that computed."""
    commit: str
    """Commit of the course; ends in ``+changes`` when files differed from it."""
    date: str
    """Day of the run, ISO 8601, UTC."""
    wall_seconds: float
    """Duration of all runs together."""
    peak_memory_mib: float
    """Largest memory of the process (on a CUDA card: of the tensors), in MiB."""
    curves: Sequence[Mapping[str, Sequence[Any]]]
    """One history for each seed: columns by name."""
    results: Mapping[str, Any]
    """Measured numbers by name; a list has one number for each seed."""

    def __post_init__(self) -> None:
        if len(self.curves) != len(self.seeds) or not self.seeds:
            raise RecordError(
                f"record {self.name!r} must have one history for each seed, got {len(self.curves)} histories "
                f"for seeds {list(self.seeds)}"
            )
        for key, value in self.results.items():
            if isinstance(value, (list, tuple)) and len(value) != len(self.seeds):
                raise RecordError(
                    f"result {key!r} of record {self.name!r} must have one number for each of "
                    f"{len(self.seeds)} seeds, got {len(value)}"
                )

    def mean(self, result: str) -> float:
        """Return the mean of a result over the seeds.

        Args:
            result: name of a result.

        Returns:
            The mean.

        Raises:
            KeyError: if there is no such result.
        """
        return statistics.fmean(self._values(result))

    def sd(self, result: str) -> float:
        """Return the standard deviation of a result over the seeds, with n - 1; 0 for one seed.

        Args:
            result: name of a result.

        Returns:
            The standard deviation.

        Raises:
            KeyError: if there is no such result.
        """
        values = self._values(result)
        return statistics.stdev(values) if len(values) > 1 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain dictionaries and lists, ready for JSON."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, content: Any, where: str = "the record") -> "Record":
        """Return the record that :meth:`to_dict` wrote.

        Args:
            content: what a JSON file held.
            where: file name, for messages.

        Returns:
            The record.

        Raises:
            RecordError: if a field is missing, unknown or of another type.
        """
        if not isinstance(content, dict):
            raise RecordError(f"{where} must hold one JSON object, got {type(content).__name__}")
        names = {f.name for f in fields(cls)}
        missing, unknown = sorted(names - set(content)), sorted(set(content) - names)
        if missing or unknown:
            raise RecordError(
                f"{where} must have the fields of a record; missing: {missing}, unknown: {unknown}"
            )
        for name, kinds in _KINDS.items():
            value = content[name]
            if not isinstance(value, kinds) or isinstance(value, bool):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                raise RecordError(f"{name} in {where} must be {wanted}, got {value!r}")
        try:
            return cls(**content)
        except RecordError as error:
            raise RecordError(f"{where}: {error}") from error

    def _values(self, result: str) -> list[float]:
        if result not in self.results:
            raise KeyError(
                f"record {self.name!r} has no result {result!r}; there are {', '.join(self.results)}"
            )
        value = self.results[result]
        return list(value) if isinstance(value, (list, tuple)) else [value]

    def _measured(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the results: label, and for each thing measured its label, which may be empty, and value."""
        grouped: dict[str, list[tuple[str, str]]] = {}
        for key in self.results:
            label, detail = split_label(key)
            grouped.setdefault(label, []).append((detail, self._spread(key)))
        return list(grouped.items())

    def _examples(self) -> str:
        """Return what the data are and how many; data without files have no images, and no test set."""
        noun = " images" if self.data["sha256"] else ""
        counts = [f"{self.data['train_images']:,}{noun} to train"]
        if self.data["test_images"]:
            counts.append(f"{self.data['test_images']:,} to test")
        return f"{self.data['name']}: {', '.join(counts)}"

    def _conditions(self) -> list[tuple[str, str]]:
        """Return the circumstances: label and text."""
        return [
            ("data", self._examples()),
            ("budget", self.budget),
            ("seeds", ", ".join(map(str, self.seeds))),
            ("device", self.device),
            ("time", f"{self.wall_seconds:,.0f} s for {len(self.seeds)} run{'s' * (len(self.seeds) > 1)}"),
            ("peak memory", f"{self.peak_memory_mib:,.0f} MiB"),
            ("versions", ", ".join(f"{name} {version}" for name, version in self.versions.items())),
            (
                "date, commit",
                f"{self.date}, {self.commit[:10]}{'+changes' * self.commit.endswith('+changes')}",
            ),
        ]

    def _spread(self, result: str) -> str:
        values = self._values(result)
        if all(isinstance(value, int) for value in values) and len(set(values)) == 1:
            return f"{values[0]:,}"
        scale, unit = (100, " %") if result.endswith("accuracy") else (1, "")
        mean = f"{self.mean(result) * scale:.4g}"
        return (
            f"{mean} ± {self.sd(result) * scale:.2g}{unit} (n = {len(values)})"
            if len(values) > 1
            else mean + unit
        )

    def __str__(self) -> str:
        lines = [
            (f"{label}, {detail}" if detail else label, value)
            for label, values in self._measured()
            for detail, value in values
        ]
        lines += self._conditions()
        width = max(len(label) for label, _ in lines)
        return "\n".join(
            [f"{self.name}: {self.title}", *(f"  {label:<{width}}  {text}" for label, text in lines)]
        )

    def _repr_html_(self) -> str:
        cells = [(label, _listed(values)) for label, values in self._measured()]
        cells += [(label, html.escape(text)) for label, text in self._conditions()]
        rows = "".join(
            f'<tr><th scope="row">{html.escape(label)}</th><td>{cell}</td></tr>' for label, cell in cells
        )
        return (
            f'<div class="cnn-record"><table><caption>{html.escape(self.title)} (recorded run '
            f"<code>{html.escape(self.name)}</code>)</caption><tbody>{rows}</tbody></table></div>"
        )


_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("name", "title", "recipe", "budget", "device", "commit", "date"), (str,)),
    **dict.fromkeys(("settings", "data", "versions", "results"), (dict,)),
    **dict.fromkeys(("seeds", "curves"), (list, tuple)),
    **dict.fromkeys(("wall_seconds", "peak_memory_mib"), (int, float)),
}


_SHOWN = 4
"""Values of one row that a page shows at once; more of them are folded away."""


def _listed(values: Sequence[tuple[str, str]]) -> str:
    """Return the HTML of one row's values: one a line, and a long list folded after the first lines."""
    lines = [html.escape(f"{detail}: {value}" if detail else value) for detail, value in values]
    first, rest = lines[:_SHOWN], lines[_SHOWN:]
    if not rest:
        return "<br>".join(first)
    return f"{'<br>'.join(first)}<details><summary>{len(rest)} more</summary>{'<br>'.join(rest)}</details>"


def _plain(value: Any) -> Any:
    """Return a copy made of dictionaries, lists, strings and numbers only."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
