"""Small tables as text and as HTML: the first column to the left, the others to the right."""

from collections.abc import Sequence
from html import escape


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
