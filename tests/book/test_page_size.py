"""What the real pages ship: at most 0.6 of Jupyter Book's default build, figures and notebooks within their limits."""

import pytest

from cnncourse.book.course import Course
from cnncourse.book.normalise import figure_bytes
from cnncourse.book.refresh import MAX_FIGURE_BYTES, MAX_NOTEBOOK_BYTES
from cnncourse.book.storage import read_notebook
from cnncourse.book.weigh import default_build, page_weight
from cnncourse.paths import course_root

pytestmark = pytest.mark.xdist_group("book")

COURSE = Course(course_root())


@pytest.fixture(scope="module")
def default_book(tmp_path_factory):
    """Build the book as Jupyter Book does by default and return its folder."""
    return default_build(COURSE, tmp_path_factory.mktemp("default"))


@pytest.mark.parametrize("slug", COURSE.notebooks)
def test_size_of_a_page_against_the_default_build(built_book, default_book, slug):
    page = COURSE.notebooks[slug].relative_to(COURSE.root).with_suffix(".html")
    own, default = page_weight(built_book / page), page_weight(default_book / page)
    assert default.text > 500_000, "the default build is what it was compared with: it carries Font Awesome"
    assert own.text <= 0.6 * default.text


@pytest.mark.parametrize("slug", COURSE.notebooks)
def test_size_of_figures_and_notebook(slug):
    path = COURSE.notebooks[slug]
    assert 0 < figure_bytes(read_notebook(path)) <= MAX_FIGURE_BYTES
    assert path.stat().st_size <= MAX_NOTEBOOK_BYTES
