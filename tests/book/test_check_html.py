"""The check of the product finds each fault that a reader would meet, and only those."""

import pytest

from cnncourse.book.check import check_html
from cnncourse.book.course import Course

LONG = "A page needs words. " * 20


def page(body, head=""):
    return f"<html><head>{head}</head><body><main><article>{body}</article></main></body></html>"


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "course"
    (root / "book").mkdir(parents=True)
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/intro\nparts:\n- chapters:\n  - file: book/one\n"
    )
    (root / "_config.yml").write_text("repository:\n  url: https://github.com/a/b\n  branch: main\n")
    (root / "book" / "intro.md").write_text("# Intro\n")
    (root / "book" / "one.ipynb").write_text("{}")
    html = tmp_path / "html"
    (html / "book").mkdir(parents=True)
    (html / "style.css").write_text("")
    style = '<link rel="stylesheet" href="../style.css">'
    colab = "https://colab.research.google.com/github/a/b/blob/main/book/one.ipynb"
    (html / "book" / "intro.html").write_text(
        page(f'<h1>Intro</h1>{LONG}<a href="one.html#top">next</a>', style)
    )
    (html / "book" / "one.html").write_text(
        page(
            f'<h1 id="top">One</h1>{LONG}<a href="{colab}">Colab</a><a href="https://example.org/x">out</a>',
            style,
        )
    )
    return html, Course(root)


def spoil(html, old, new):
    path = html / "book" / "intro.html"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sound_book_has_no_faults(site):
    assert check_html(*site) == []


def test_a_missing_page_is_found(site):
    (site[0] / "book" / "one.html").unlink()
    assert "book/one: the page is missing" in check_html(*site)


def test_an_empty_page_is_found(site):
    spoil(site[0], LONG, "")
    assert any("intro: the page is empty" in fault for fault in check_html(*site))


def test_a_page_without_a_heading_is_found(site):
    spoil(site[0], "<h1>Intro</h1>", "")
    assert any("intro: the page is empty" in fault for fault in check_html(*site))


@pytest.mark.parametrize(
    "output",
    [
        '<div class="output traceback"><pre>NameError</pre></div>',
        '<div class="cell_output"><pre>Traceback (most recent call last):</pre></div>',
    ],
)
def test_a_traceback_is_found(site, output):
    spoil(site[0], LONG, LONG + output)
    assert check_html(*site) == ["book/intro: an output shows a traceback"]


def test_a_traceback_quoted_in_the_text_is_no_fault(site):
    spoil(site[0], LONG, LONG + "<p>Traceback (most recent call last) means an error.</p>")
    assert check_html(*site) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("one.html#top", "two.html", "the link two.html leads nowhere"),
        ("one.html#top", "one.html#bottom", "the link one.html#bottom leads to an anchor that is not there"),
        ("one.html#top", "#here", "the link #here leads to an anchor that is not there"),
        ("../style.css", "https://cdn.example.org/style.css", "would be loaded from another host"),
        ("../style.css", "../missing.css", "the file ../missing.css is not there"),
        ("<h1>", '<script src="//cdn.example.org/x.js"></script><h1>', "would be loaded from another host"),
        (
            "one.html#top",
            "https://colab.research.google.com/github/a/b/blob/main/book/none.ipynb",
            "names no notebook",
        ),
    ],
)
def test_a_dead_link_or_foreign_file_is_found(site, old, new, fault):
    spoil(site[0], old, new)
    faults = check_html(*site)
    assert len(faults) == 1
    assert faults[0].startswith("book/intro: ")
    assert fault in faults[0]
