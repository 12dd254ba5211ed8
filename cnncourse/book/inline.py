"""The inline HTML of captions and claims, as docutils nodes."""

from html.parser import HTMLParser

from docutils import nodes

__all__ = ["inline_nodes"]

_ELEMENTS: dict[str, type[nodes.TextElement]] = {
    "em": nodes.emphasis,
    "i": nodes.emphasis,
    "strong": nodes.strong,
    "b": nodes.strong,
    "code": nodes.literal,
    "sub": nodes.subscript,
    "sup": nodes.superscript,
}


class _Inline(HTMLParser):
    """Collect docutils nodes; unknown elements give their text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = nodes.inline()
        self.stack: list[tuple[str, nodes.TextElement]] = [("", self.root)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        classes = (dict(attrs).get("class") or "").split()
        if tag == "span" and "math" in classes:
            element: nodes.TextElement = nodes.math()
        elif tag in _ELEMENTS:
            element = _ELEMENTS[tag]()
        else:
            return
        self.stack[-1][1].append(element)
        self.stack.append((tag, element))

    def handle_endtag(self, tag: str) -> None:
        if self.stack[-1][0] == tag:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        parent = self.stack[-1][1]
        if isinstance(parent, nodes.math):
            data = data.removeprefix(r"\(").removesuffix(r"\)")
        parent.append(nodes.Text(data))


def inline_nodes(html: str) -> list[nodes.Node]:
    r"""Return docutils nodes for inline HTML as :func:`cnncourse.markup.inline_html` writes it.

    Args:
        html: text with ``em``, ``strong``, ``code`` and ``span class="math"`` around ``\(…\)``.

    Returns:
        Text, emphasis, literal and math nodes, in order.
    """
    parser = _Inline()
    parser.feed(html.strip())
    parser.close()
    return list(parser.root.children)
