import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.markup import inline_html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("replace `...` here", "replace <code>...</code> here"),
        ("`a<b`", "<code>a&lt;b</code>"),
        ("the *deep* one", "the <em>deep</em> one"),
        ("$2^n$ pieces", '<span class="math notranslate nohighlight">\\(2^n\\)</span> pieces'),
        ("$a<b$", '<span class="math notranslate nohighlight">\\(a&lt;b\\)</span>'),
        ("`*x*` and `$y$`", "<code>*x*</code> and <code>$y$</code>"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("2*3*4", "2*3*4"),
        ("one $ sign", "one $ sign"),
        ("quotes \" and '", "quotes \" and '"),
        ("", ""),
    ],
)
def test_inline_markup(text, expected):
    assert inline_html(text) == expected


@given(st.text())
def test_only_our_own_tags_come_out_whatever_goes_in(text):
    tags = re.findall(r"<[^>]*>", inline_html(text))
    ours = {"<code>", "</code>", "<em>", "</em>", '<span class="math notranslate nohighlight">', "</span>"}
    assert set(tags) <= ours


@given(st.text(st.characters(exclude_characters="`$*")))
def test_text_without_markup_is_only_escaped(text):
    assert inline_html(text) == html.escape(text, quote=False)
