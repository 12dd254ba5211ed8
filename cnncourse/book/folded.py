"""Folded solutions and admonitions as ``<details>``: they open by keyboard and without a script."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator
from sphinx_exercise.nodes import solution_node

__all__ = ["FoldDropdowns", "setup_folding"]


class details(nodes.Element):  # noqa: N801 - docutils names nodes in lower case
    """A block that opens when its summary is chosen."""


class summary(nodes.TextElement):  # noqa: N801
    """The line of a :class:`details` that is always shown."""


def _open_details(self: HTML5Translator, node: details) -> None:
    self.body.append(self.starttag(node, "details"))


def _close_details(self: HTML5Translator, _node: details) -> None:
    self.body.append("</div></details>\n")


def _open_summary(self: HTML5Translator, node: summary) -> None:
    self.body.append(self.starttag(node, "summary", ""))


def _close_summary(self: HTML5Translator, _node: summary) -> None:
    self.body.append('</summary><div class="cnn-folded">\n')


class FoldDropdowns(SphinxPostTransform):
    """Turn every solution and admonition of class ``dropdown`` into ``<details>``."""

    default_priority = 300  # type: ignore[assignment]  # after sphinx-exercise has put numbers into titles (20 to 22)
    formats = ("html",)

    def run(self, **_kwargs: Any) -> None:
        """Walk over the document."""
        for number, node in enumerate(list(self.document.findall(solution_node))):
            for section in node.findall(nodes.section):
                if "solution-content" in section["ids"]:  # the same on every solution: not an identifier
                    section.replace_self(nodes.container("", *section.children, ids=[f"solution-{number}"]))
        for node in list(self.document.findall(nodes.Admonition)):
            if isinstance(node, nodes.Element) and "dropdown" in node.get("classes", ()):
                self._fold(node)

    def _fold(self, node: nodes.Element) -> None:
        title, *content = node.children
        fold = details(ids=node["ids"], names=node["names"])  # type: ignore[no-untyped-call]
        kinds = [name for name in node["classes"] if name != "dropdown"]
        fold["classes"] = ["admonition", *kinds]
        # A link inside a summary would be a control inside a control.
        fold += summary("", title.astext(), classes=["admonition-title"])  # type: ignore[no-untyped-call]
        fold += content
        node.replace_self(fold)


def setup_folding(app: Sphinx) -> None:
    """Register nodes and transform with Sphinx."""
    app.add_node(details, html=(_open_details, _close_details))
    app.add_node(summary, html=(_open_summary, _close_summary))
    app.add_post_transform(FoldDropdowns)
