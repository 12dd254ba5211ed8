"""The pages as readers meet them: at a desk, in the dark, on a phone, by keyboard, on paper, on a plane."""

import re
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from cnncourse.book.course import Course
from cnncourse.paths import course_root

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]

PAGES = Course(course_root()).pages
CHAPTERS = list(Course(course_root()).notebooks)
SETTLED = "() => !window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)"


@contextmanager
def opened(browser, url, *, width=1280, height=900, scheme="light"):
    """Open a page in a fresh context and wait until its formulas are typeset; record what it asks and says."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.asked, page.said = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: message.type == "error" and page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(url, wait_until="load")
    page.wait_for_function(SETTLED)
    try:
        yield page
    finally:
        context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_only_its_own_host_and_reports_no_error(browser, address, name):
    with opened(browser, f"{address}/{name}.html") as page:
        page.wait_for_load_state("networkidle")
        hosts = {urlsplit(url).netloc for url in page.asked if not url.startswith("data:")}
        assert hosts == {urlsplit(address).netloc}
        assert page.said == []


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_typeset(browser, address, name):
    with opened(browser, f"{address}/{name}.html") as page:
        waiting = page.locator(".math").count()
        typeset = page.locator(".math mjx-container").count()
        assert typeset == waiting
        assert page.locator("mjx-merror").count() == 0
        text = page.locator("article").inner_text()
        assert not re.search(r"\\\(|\\\)|\$[^$\n]{1,80}\$", text)


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(browser, address, name):
    with opened(browser, f"{address}/{name}.html", width=360, height=740) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(browser, address, name, scheme):
    with opened(browser, f"{address}/{name}.html", scheme=scheme) as page:
        assert page.evaluate("document.documentElement.dataset.theme") == scheme
        found = Axe().run(page).response["violations"]
        serious = [
            f"{fault['id']}: {fault['help']} at {[node['target'] for node in fault['nodes']][:5]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]
        assert serious == []


@pytest.mark.parametrize("slug", CHAPTERS)
def test_figures_change_their_ink_with_the_theme(browser, address, course, slug):
    """Text in a figure must stand out from the page by 4.5 to 1 in both themes."""
    relative = course.notebooks[slug].relative_to(course.root).with_suffix(".html").as_posix()
    for scheme in ("light", "dark"):
        with opened(browser, f"{address}/{relative}", scheme=scheme) as page:
            colours = page.evaluate(
                """() => [...document.querySelectorAll('figure svg text')].map(t => getComputedStyle(t).fill)"""
            )
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert colours
            dull = {colour for colour in colours if contrast(colour, ground) < 4.5}
            assert dull == set()


def luminance(colour):
    numbers = [float(number) / 255 for number in re.findall(r"[\d.]+", colour)[:3]]
    linear = [n / 12.92 if n <= 0.04045 else ((n + 0.055) / 1.055) ** 2.4 for n in numbers]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


def visible_frames(player):
    return player.evaluate("p => [...p.querySelectorAll('.cnn-frame')].map(f => !f.hidden)")


@pytest.mark.parametrize("slug", CHAPTERS)
def test_sliders_move_by_keyboard_and_mouse(browser, address, course, slug):
    relative = course.notebooks[slug].relative_to(course.root).with_suffix(".html").as_posix()
    with opened(browser, f"{address}/{relative}") as page:
        players = page.locator("figure.cnn-player")
        assert players.count() >= 1
        for index in range(players.count()):
            player = players.nth(index)
            sliders = player.locator("input[type=range]")
            for position in range(sliders.count()):
                slider = sliders.nth(position)
                slider.scroll_into_view_if_needed()
                slider.focus()
                page.keyboard.press("Home")
                first = visible_frames(player)
                assert first.count(True) == 1
                page.keyboard.press("ArrowRight")
                second = visible_frames(player)
                assert second.count(True) == 1
                assert second != first
                labels = slider.evaluate("r => JSON.parse(r.dataset.labels)")
                assert slider.get_attribute("aria-valuetext") == labels[1]
                assert slider.locator("xpath=following-sibling::output").inner_text() == labels[1]
                box = slider.bounding_box()
                page.mouse.click(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)
                assert slider.get_attribute("aria-valuetext") == labels[-1]
                assert visible_frames(player).count(True) == 1


@pytest.mark.parametrize("slug", CHAPTERS)
def test_players_print_several_frames_and_no_controls(browser, address, course, slug):
    relative = course.notebooks[slug].relative_to(course.root).with_suffix(".html").as_posix()
    with opened(browser, f"{address}/{relative}") as page:
        page.emulate_media(media="print")
        for player in page.locator("figure.cnn-player").all():
            assert player.locator(".cnn-printed").count() >= 2
            assert all(frame.is_visible() for frame in player.locator(".cnn-printed").all())
            assert not player.locator("input").first.is_visible()


def test_there_is_one_search_field_and_it_finds_the_sawtooth(browser, address):
    with opened(browser, f"{address}/{PAGES[0]}.html") as page:
        fields = page.locator("input[type=search], input[name=q]")
        assert fields.count() == 1
        page.locator(".search-button-field").first.click()
        fields.fill("sawtooth")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=sawtooth*")
        results = page.locator("#search-results li a")
        results.first.wait_for()
        assert any("depth_separation" in link.get_attribute("href") for link in results.all())
        assert page.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_icon_is_drawn_and_named(browser, address, scheme):
    with opened(browser, f"{address}/{PAGES[2]}.html", scheme=scheme) as page:
        icons = page.evaluate(
            """() => [...document.querySelectorAll('.fa-solid, .fa-brands, .fa-regular')]
                 .filter(i => i.checkVisibility())
                 .map(i => [i.className, getComputedStyle(i, '::before').maskImage])"""
        )
        assert len(icons) >= 5
        assert [name for name, mask in icons if not mask.startswith("url(")] == []
        fonts = [url for url in page.asked if "fontawesome" in url.lower()]
        assert fonts == []
        unnamed = page.evaluate(
            """() => [...document.querySelectorAll('button, a.btn')].filter(b => b.checkVisibility()
                 && !(b.innerText.trim() || b.title || b.getAttribute('aria-label'))).length"""
        )
        assert unnamed == 0


@pytest.mark.parametrize("slug", CHAPTERS)
def test_a_chapter_opens_in_colab(browser, address, course, slug):
    relative = course.notebooks[slug].relative_to(course.root)
    with opened(browser, f"{address}/{relative.with_suffix('.html').as_posix()}") as page:
        links = page.locator("a[href*='colab.research.google.com']")
        hosted = course.repository.removeprefix("https://github.com/")
        wanted = f"/github/{hosted}/blob/{course.branch}/{relative.as_posix()}"
        assert wanted in {urlsplit(link.get_attribute("href")).path for link in links.all()}
