"""What every page ships: the course's style sheets instead of icon fonts, one search, no foreign host."""

from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config

from cnncourse.markup import STYLE_SHEET

__all__ = ["setup_pages"]

_HERE = Path(__file__).parent


def _configure(app: Sphinx, config: Config) -> None:
    config.templates_path.insert(0, str(_HERE / "templates"))
    config.html_static_path += [str(_HERE / "static"), str(STYLE_SHEET)]
    # Changed here, in place: set in _config.yml they would drop the repository's address and the Colab button.
    config.html_theme_options |= {"navbar_persistent": [], "navbar_center": [], "navbar_end": []}
    config.html_favicon = str(_HERE / "static" / "favicon.svg")
    config.html_context.setdefault("default_mode", "auto")


def _mend_roles(
    _app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: nodes.document | None
) -> None:
    """Take a role from bibliographies that their entries do not fit, so that screen readers read them as text."""
    if "body" in context:
        context["body"] = context["body"].replace(
            '<div role="list" class="citation-list">', '<div class="citation-list">'
        )


def setup_pages(app: Sphinx) -> None:
    """Register templates, style sheets and the trimming of pages with Sphinx."""
    app.connect("config-inited", _configure, priority=900)
    for sheet in ("course.css", "layout.css", "icons.css"):
        app.add_css_file(sheet, priority=900)
    app.connect("html-page-context", _mend_roles)
    # Jupyter Book passes this option even when the extension it belongs to is not loaded.
    app.add_config_value("comments_config", {}, "env")
