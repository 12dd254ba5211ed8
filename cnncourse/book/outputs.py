"""Notebook outputs become parts of the book: numbered figures, claim boxes that can be linked and cited."""

import json
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from cnncourse.book.citations import citation
from cnncourse.book.inline import inline_nodes

__all__ = ["CourseOutputs", "drop_unshown_outputs"]

_FIGURE = re.compile(
    r'\s*<figure class="(?P<classes>cnn-(?:figure|player)[^"]*)" id="(?P<id>fig-[a-z0-9-]+)"[^>]*>'
    r"(?P<body>.*?)<figcaption>(?P<caption>.*?)</figcaption>\s*</figure>\s*",
    re.DOTALL,
)
_CLAIM = re.compile(r'(<div class="cnn-claim[^"]*")\s+id="(claim-[a-z0-9-]+)"')
_CITE = re.compile(r'<span class="cnn-cite">([^<]+)</span>')
_UNSHOWN = re.compile(r"application/vnd\.(cnncourse\.|jupyter\.widget)")


def drop_unshown_outputs(app: Sphinx, docname: str, source: list[str]) -> None:
    """Hide from Sphinx what a notebook stores for programs: claim records, widget views (event ``source-read``)."""
    if app.env.doc2path(docname).endswith(".ipynb"):
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                for mime in [mime for mime in data if _UNSHOWN.match(mime)]:
                    del data[mime]
        notebook["metadata"].pop("widgets", None)
        source[0] = json.dumps(notebook)


def _raw(html: str) -> nodes.raw:
    return nodes.raw("", html, format="html")


class CourseOutputs(SphinxTransform):
    """Replace the raw HTML of figures, players and claims by nodes that can be numbered, linked and cited."""

    default_priority = 400  # type: ignore[assignment]  # after the gated exercises are merged (10), before anchors are resolved (879)

    def apply(self, **_kwargs: Any) -> None:
        """Walk over the outputs of the document."""
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            html = next((child for child in bundle.children if child.get("mime_type") == "text/html"), None)
            raw = html.children[0] if html is not None and html.children else None
            if not isinstance(raw, nodes.raw):
                continue
            if match := _FIGURE.fullmatch(raw.astext()):
                bundle.replace_self(self._figure(match, bundle))
            elif _CLAIM.search(raw.astext()):
                bundle.replace_self(self._claim(raw.astext(), bundle))

    def _target(self, node: nodes.Element, name: str, bundle: nodes.Element) -> None:
        node["names"] = [name]
        node["ids"] = [name]
        node.source, node.line = bundle.source, bundle.line
        self.document.note_explicit_target(node, node)

    def _figure(self, match: re.Match[str], bundle: nodes.Element) -> nodes.figure:
        figure = nodes.figure(classes=match["classes"].split())
        figure += _raw(match["body"])
        figure += nodes.caption("", "", *inline_nodes(match["caption"]))
        self._target(figure, match["id"], bundle)
        return figure

    def _claim(self, html: str, bundle: nodes.Element) -> nodes.container:
        anchor = _CLAIM.search(html)
        assert anchor is not None  # the caller looked
        box = nodes.container(classes=["cnn-claim-anchor"])
        self._target(box, anchor[2], bundle)
        parts = _CITE.split(_CLAIM.sub(r"\1", html))
        for index, part in enumerate(parts):
            if index % 2:
                box += citation(self.env, self.document, part.strip())
            else:
                box += _raw(part)
        return box
