"""The pages as readers meet them: at a desk, in the dark, on a phone, by keyboard, on paper, on a plane."""

import re
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from cnncourse.book.course import Course
from cnncourse.paths import course_root

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("book")]

COURSE = Course(course_root())
PAGES = COURSE.pages
CHAPTERS = [path.relative_to(COURSE.root).with_suffix("").as_posix() for path in COURSE.notebooks.values()]
SETTLED = "() => !window.MathJax || !MathJax.startup || MathJax.startup.promise.then(() => true)"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def shelf(browser, address):
    """Open each page once, wait until its formulas are typeset, and keep what it asked for and complained of."""
    opened = {}

    def page_named(name, *, scheme="light", viewport=DESK):
        if name not in opened:
            context = browser.new_context(viewport=DESK, color_scheme="light")
            context.set_default_timeout(120_000)  # a long chapter on two busy cores takes its time to typeset
            page = context.new_page()
            page.asked, page.said, page.scheme = [], [], "light"
            page.on("request", lambda request: page.asked.append(request.url))
            page.on("console", lambda message: message.type == "error" and page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.goto(f"{address}/{name}.html", wait_until="networkidle")
            page.wait_for_function(SETTLED)
            page.first_said, page.first_asked = list(page.said), list(page.asked)
            opened[name] = page
        page = opened[name]
        page.emulate_media(media="screen")
        page.set_viewport_size(viewport)
        if page.scheme != scheme:
            page.evaluate("scheme => { document.documentElement.dataset.theme = scheme }", scheme)
            page.wait_for_timeout(400)  # colours fade from one theme to the other
            page.scheme = scheme
        return page

    return page_named


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_only_its_own_host_and_reports_no_error(shelf, address, name):
    page = shelf(name)
    hosts = {urlsplit(url).netloc for url in page.first_asked if not url.startswith("data:")}
    assert hosts == {urlsplit(address).netloc}
    assert page.first_said == []


@pytest.mark.parametrize("name", PAGES)
def test_formulas_are_typeset(shelf, name):
    page = shelf(name)
    waiting = page.locator(".math").count()
    assert page.locator(".math mjx-container").count() == waiting
    assert page.locator("mjx-merror").count() == 0
    # In code a dollar is a dollar.
    prose = page.locator("article").evaluate(
        "article => { const copy = article.cloneNode(true);"
        " copy.querySelectorAll('pre, code').forEach(code => code.remove()); return copy.innerText }"
    )
    assert not re.search(r"\\\(|\\\)|\$[^$\n]{1,80}\$", prose)


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapters_have_formulas(shelf, name):
    assert shelf(name).locator("mjx-container").count() > 10


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wider_than_a_phone(shelf, name):
    page = shelf(name, viewport=PHONE)
    wide = page.evaluate("""() => [document.documentElement.scrollWidth, [...document.querySelectorAll('main *')]
        .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
        .slice(0, 5).map(e => e.outerHTML.slice(0, 120))]""")
    assert wide[0] <= PHONE["width"], wide[1]
    cut = page.evaluate("""() => [...document.querySelectorAll('article p mjx-container:not([display])')]
        .filter(m => m.checkVisibility()
            && m.getBoundingClientRect().right > m.closest('p').getBoundingClientRect().right + 4)
        .map(m => m.closest('p').innerText.slice(0, 80))""")
    assert cut == []  # a formula within a line neither breaks nor scrolls


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_no_serious_fault(shelf, name, scheme):
    # The parts of a drawing are one picture for axe, with the name that its svg element carries.
    found = (
        Axe()
        .run(shelf(name, scheme=scheme), context={"exclude": [["figure svg > *"]]})
        .response["violations"]
    )
    serious = [
        f"{fault['id']}: {fault['help']} at {[node['target'] for node in fault['nodes']][:5]}"
        for fault in found
        if fault["impact"] in ("serious", "critical")
    ]
    assert serious == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_text_in_figures_stands_out(shelf, name, scheme):
    """Text in a figure has a contrast of 4.5 to 1 with the page, in both themes."""
    page = shelf(name, scheme=scheme)
    colours = page.evaluate(
        "() => [...document.querySelectorAll('figure svg text')].map(t => [getComputedStyle(t).fill, t.textContent])"
    )
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colours
    assert [(colour, text) for colour, text in colours if contrast(colour, ground) < 4.5][:5] == []


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_theme_follows_the_system_until_the_reader_chooses(browser, address, scheme):
    page = browser.new_context(color_scheme=scheme).new_page()
    page.goto(f"{address}/{CHAPTERS[0]}.html")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    seen = set()
    for _ in range(3):
        page.locator(".theme-switch-button:visible").first.click()
        seen.add(page.evaluate("document.documentElement.dataset.theme"))
    assert seen == {"light", "dark"}


def visible_frames(player):
    return player.evaluate("p => [...p.querySelectorAll('.cnn-frame')].map(f => f.checkVisibility())")


@pytest.mark.parametrize("name", CHAPTERS)
def test_sliders_move_by_keyboard_and_mouse(shelf, name):
    page = shelf(name)
    players = page.locator("figure.cnn-player")
    assert players.count() >= 1
    for player in players.all():
        for slider in player.locator("input[type=range]").all():
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


@pytest.mark.parametrize("name", CHAPTERS)
def test_players_print_several_frames_and_no_controls(shelf, name):
    page = shelf(name)
    page.emulate_media(media="print")
    for player in page.locator("figure.cnn-player").all():
        assert player.locator(".cnn-printed").count() >= 2
        assert all(frame.is_visible() for frame in player.locator(".cnn-printed").all())
        assert not player.locator("input").first.is_visible()


def test_there_is_one_search_field_and_it_finds_the_sawtooth(browser, address):
    page = browser.new_page()
    page.goto(f"{address}/{PAGES[0]}.html")
    fields = page.locator("input[type=search], input[name=q]")
    assert fields.count() == 1
    page.locator(".search-button-field").first.click()
    fields.fill("sawtooth")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html?q=sawtooth*")
    page.locator("#search-results li a[href*='depth_separation']").first.wait_for()
    assert page.locator("input[type=search]:visible, input[name=q]:visible").count() <= 1


@pytest.mark.parametrize("name", [PAGES[0], *CHAPTERS])
def test_every_icon_is_drawn_and_every_control_named(shelf, name):
    page = shelf(name)
    icons = page.evaluate(
        """() => [...document.querySelectorAll('.fa-solid, .fa-brands, .fa-regular, .fas, .fab, .far')]
             .filter(i => i.checkVisibility())
             .map(i => [i.className, getComputedStyle(i, '::before').maskImage])"""
    )
    assert len(icons) >= 5
    assert [name for name, mask in icons if not mask.startswith("url(")] == []
    assert [url for url in page.asked if "fontawesome" in url.lower()] == []
    unnamed = page.evaluate(
        """() => [...document.querySelectorAll('button, a.btn')].filter(b => b.checkVisibility()
             && !(b.innerText.trim() || b.title || b.getAttribute('aria-label')
                  || b.querySelector('svg title'))).map(b => b.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_opens_in_colab(shelf, name):
    links = shelf(name).locator("a[href*='colab.research.google.com']")
    hosted = COURSE.repository.removeprefix("https://github.com/")
    wanted = f"/github/{hosted}/blob/{COURSE.branch}/{name}.ipynb"
    assert wanted in {urlsplit(link.get_attribute("href")).path for link in links.all()}
