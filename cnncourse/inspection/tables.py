"""Small tables as text and as HTML: the first column to the left, the others to the right."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from html import escape
from typing import Any, ClassVar, Generic, Protocol, TypeVar


class Named(Protocol):
    """A row that knows its layer."""

    @property
    def name(self) -> str:
        """Dotted name of the layer."""


Row = TypeVar("Row", bound=Named)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with aligned columns.

    Args:
        header: column titles.
        rows: cells, one sequence a row, as many as there are titles.

    Returns:
        Lines without trailing blanks, joined by newlines.
    """
    lines = [tuple(header), *map(tuple, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        return "  ".join([first, *(c.rjust(w) for c, w in zip(cells[1:], widths[1:], strict=True))]).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(lines[0]), rule, *map(line, lines[1:])])


def html_table(header: Sequence[str], rows: Sequence[Sequence[str]], css_class: str) -> str:
    """Return a table as HTML; the style sheet of the page decides how it looks.

    Args:
        header: column titles.
        rows: cells, one sequence a row; text, escaped here.
        css_class: class of the ``<table>``.

    Returns:
        One ``<table>`` element.
    """
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in header)
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f'<table class="{escape(css_class, quote=True)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


class LayerTable(Generic[Row]):
    """Rows of a network, one a layer, in the order of the forward pass; prints as a table."""

    rows: tuple[Row, ...]
    css_class: ClassVar[str]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Row:
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(f"no layer {name!r}; there are {[row.name for row in self.rows]}")

    def column(self, field: str) -> list[Any]:
        """Return one number of every row, for a figure.

        Args:
            field: name of a field or property of the rows, such as ``"name"``.

        Returns:
            A list as long as the table.

        Raises:
            ValueError: if the rows have no such field.
        """
        if not all(hasattr(row, field) for row in self.rows):
            known = [one.name for one in fields(self.rows[0])]  # type: ignore[arg-type]
            raise ValueError(f"the rows have no field {field!r}; they have {', '.join(known)}")
        return [getattr(row, field) for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """Return everything as numbers, strings and lists, ready for JSON."""
        plain: dict[str, Any] = _plain(asdict(self))  # type: ignore[call-overload]
        return plain

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        raise NotImplementedError

    def __str__(self) -> str:
        return text_table(*self._cells())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), css_class=f"cnn-table {self.css_class}")


def _plain(value: Any) -> Any:
    """Turn tuples into lists, all the way down."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, (tuple, list)) else value


def short_number(value: float | None) -> str:
    """Return a number in three significant digits, ``""`` for none."""
    return "" if value is None else f"{value:.3g}"
