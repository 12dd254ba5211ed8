"""What every piece of HTML of the course shares: inline mark-up of captions, claims and hints, and the style sheet."""

import html
import re
from pathlib import Path

STYLE_SHEET = Path(__file__).with_name("course.css")
"""Look of figures, players, claims and feedback, for the book's pages and for live notebooks alike."""

_TOKEN = re.compile(r"`(?P<code>[^`]+)`|\$(?P<math>[^$]+)\$|(?<!\w)\*(?P<em>[^*\s][^*]*)\*(?!\w)")


def inline_html(text: str) -> str:
    r"""Return ``text`` as HTML: everything escaped, three kinds of inline mark-up translated.

    Formulas become ``\(…\)`` in a span that both Sphinx's MathJax and Jupyter typeset.

    Args:
        text: plain text in which backticks enclose code, dollar signs a formula, asterisks emphasis.

    Returns:
        HTML that is safe inside a paragraph.
    """
    parts, end = [], 0
    for match in _TOKEN.finditer(text):
        parts.append(html.escape(text[end : match.start()], quote=False))
        if match["code"]:
            parts.append(f"<code>{html.escape(match['code'], quote=False)}</code>")
        elif match["math"]:
            formula = html.escape(match["math"], quote=False)
            parts.append(f'<span class="math notranslate nohighlight">\\({formula}\\)</span>')
        else:
            parts.append(f"<em>{html.escape(match['em'], quote=False)}</em>")
        end = match.end()
    parts.append(html.escape(text[end:], quote=False))
    return "".join(parts)
