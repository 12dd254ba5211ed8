import html
import itertools
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from cnncourse import figures, notebook


def draw(n, width=1, shape="line"):
    figure, ax = figures.subplots(width=3, height=2)
    ax.plot(np.arange(n + 1), np.arange(n + 1) % 2, linewidth=width)
    ax.set_title(f"{n} {width} {shape}")
    return figure


VALUES = {"n": [1, 2, 3], "width": [1, 4], "shape": ["line", "dots"]}


def player(values=None, **options):
    options = {"name": "tent", "alt": "a line", "caption": "Move *n*.", **options}
    return notebook.player_html(draw, values or VALUES, **options)


def parsed(text):
    # range inputs stand without an end tag in HTML; `hidden` without a value
    text = re.sub(r"(<input [^>]*)>", r"\1/>", text)
    return ElementTree.fromstring(text.replace(" hidden>", ' hidden="">'))


def frames(root):
    return [part for part in root.iter("div") if "cnn-frame" in part.get("class", "").split()]


def title(frame):
    return " ".join("".join(text.itertext()) for text in frame.iter("{http://www.w3.org/2000/svg}text"))


def shown(root):
    return [index for index, frame in enumerate(frames(root)) if frame.get("hidden") is None]


def moved(root, positions):
    """What the page's one line of script computes: the frame that positions of the sliders show."""
    inputs = list(root.iter("input"))
    assert len(inputs) == len(positions)
    return sum(
        position * int(slider.get("data-stride")) for position, slider in zip(positions, inputs, strict=True)
    )


def test_there_is_one_frame_for_each_combination():
    assert len(frames(parsed(player()))) == 3 * 2 * 2


def test_every_position_of_the_sliders_shows_its_own_frame():
    root = parsed(player())
    seen = set()
    for positions in itertools.product(range(3), range(2), range(2)):
        index = moved(root, positions)
        seen.add(index)
        values = [options[position] for options, position in zip(VALUES.values(), positions, strict=True)]
        assert title(frames(root)[index]).endswith(" ".join(map(str, values)))
    assert seen == set(range(12))


def test_the_script_does_this_arithmetic_and_needs_nothing_from_elsewhere():
    text = player()
    (script,) = set(re.findall(r'oninput="([^"]*)"', text))
    script = html.unescape(script)
    assert "i+=r.value*r.dataset.stride" in script
    assert "f.hidden=j!=i" in script
    assert "\n" not in script
    assert "<script" not in text
    assert not re.findall(r"https?://(?!www\.w3\.org/)", text)


def test_the_first_frame_is_shown_at_first():
    root = parsed(player())
    assert shown(root) == [0]
    assert [slider.get("value") for slider in root.iter("input")] == ["0", "0", "0"]


def test_a_start_is_shown_and_told_by_sliders_and_labels():
    root = parsed(player(start={"n": 2, "shape": "dots"}))
    inputs = list(root.iter("input"))
    positions = [int(slider.get("value")) for slider in inputs]
    assert positions == [1, 0, 1]
    assert shown(root) == [moved(root, positions)]
    assert [slider.get("aria-valuetext") for slider in inputs] == ["2", "1", "dots"]
    assert [output.text for output in root.iter("output")] == ["2", "1", "dots"]


def test_sliders_run_over_all_values_and_name_them():
    inputs = list(parsed(player()).iter("input"))
    for slider, options in zip(inputs, VALUES.values(), strict=True):
        assert (slider.get("type"), slider.get("min"), slider.get("step")) == ("range", "0", "1")
        assert slider.get("max") == str(len(options) - 1)
        assert json.loads(slider.get("data-labels")) == [str(option) for option in options]


def test_labels_may_carry_formulas_and_quotes():
    text = player({"n": [1, 2]}, labels={"n": 'iterate $n$ "<"'})
    label = next(parsed(text).iter("label"))
    assert "".join(label.find("span").itertext()) == 'iterate \\(n\\) "<"'


def test_the_alt_text_may_follow_the_sliders():
    text = player({"n": [1, 2]}, alt=lambda n: f"{n} pieces")
    assert re.findall(r'aria-label="([^"]*)"', text) == ["1 pieces", "2 pieces"]


def test_frames_share_no_id_with_each_other_or_another_figure():
    text = player() + figures.figure_html(draw(1), name="tent-1", alt="a", caption="c")
    names = re.findall(r'\bid="([^"]+)"', text)
    assert names
    assert len(names) == len(set(names))
    references = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text))
    assert {first or second for first, second in references} <= set(names)


def test_at_most_twelve_frames_are_printed_spread_over_all():
    for count in (2, 12, 13, 25, 40):
        empty = notebook.player_html(
            lambda n: figures.new_figure(1, 1), {"n": range(count)}, name="tent", alt="a", caption="c"
        )
        root = parsed(empty)
        printed = [
            index for index, frame in enumerate(frames(root)) if "cnn-printed" in frame.get("class").split()
        ]
        assert printed[0] == 0
        assert len(printed) <= 12
        assert set(np.diff(printed)) == {-(-count // 12)}


def test_printed_frames_say_what_they_show():
    frame = frames(parsed(player(labels={"n": "iterate"})))[-1]
    label = next(part for part in frame.iter("div") if part.get("class") == "cnn-frame-label")
    assert label.text == "iterate: 3, width: 4, shape: dots"


def test_values_may_be_any_sequence():
    assert len(frames(parsed(player({"n": range(1, 4)}, start={"n": 3})))) == 3


def test_the_player_is_deterministic():
    assert player() == player()


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({"n": [1]}, {}, r"at least two values, got \{'n': \[1\]\}"),
        ({"n": [1, 2, 1]}, {}, r"must differ from each other, got n=\[1, 2, 1\]"),
        ({"n": [1, 2]}, {"start": {"n": 3}}, r"start must name one of the slider's values, got n=3"),
        ({"n": [1, 2]}, {"start": {"m": 1}}, r"start must name one of the slider's values, got m=1"),
        ({"n": [1, 2]}, {"labels": {"m": "iterate"}}, r"labels must name a slider \(n\), got 'm'"),
        ({"n": [1, 2]}, {"name": "Tent"}, r"lower-case words joined by hyphens, got 'Tent'"),
        ({"n": [1, 2]}, {"alt": " "}, r"alt text must say what is to be seen"),
        ({"n": [1, 2]}, {"alt": lambda n: ""}, r"alt text must say what is to be seen"),
        ({"n": [1, 2]}, {"caption": ""}, r"caption must say what to try in 'tent'"),
    ],
)
def test_what_no_slider_can_show_is_refused(values, options, message):
    with pytest.raises(ValueError, match=message):
        player(values, **options)


def test_a_slider_needs_values():
    with pytest.raises(ValueError, match="a name with at least two values"):
        notebook.player_html(draw, {}, name="tent", alt="a", caption="c")


@pytest.fixture
def displayed(monkeypatch):
    """Show a slider and return its bundle, and the widget behind it."""

    def show(**options):
        bundles, widgets = [], []
        live = notebook.player_html.__globals__["_live_widget"]

        def kept(*args, **kwargs):
            widgets.append(live(*args, **kwargs))
            return widgets[-1]

        monkeypatch.setitem(notebook.slider.__globals__, "_live_widget", kept)
        monkeypatch.setitem(
            notebook.slider.__globals__, "display", lambda bundle, raw: bundles.append(bundle)
        )
        options = {"name": "tent", "alt": "a line", "caption": "Move n.", **options}
        notebook.slider(draw, {"n": [1, 2, 3]}, **options)
        return bundles[0], widgets[0]

    return show


def test_one_output_has_both_lives(displayed):
    bundle, _widget = displayed()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/html"] == player({"n": [1, 2, 3]}, caption="Move n.")
    assert bundle["text/plain"] == "[Interactive figure tent: Move n.]"


def test_the_live_widget_redraws(displayed):
    _bundle, widget = displayed(labels={"n": "iterate $n$"}, start={"n": 2}, alt=lambda n: f"{n} pieces")
    control, picture = widget.children
    assert (control.value, control.description) == (2, "iterate n")
    assert 'aria-label="2 pieces"' in picture.value
    control.value = 3
    assert 'aria-label="3 pieces"' in picture.value
    assert 'id="tent_live-' in picture.value


def test_the_live_widget_may_go_further(displayed):
    _bundle, widget = displayed(live={"n": [1, 2, 3, 4, 5]})
    assert [value for _label, value in widget.children[0].options] == [1, 2, 3, 4, 5]


def test_a_live_range_must_hold_the_start(displayed):
    with pytest.raises(ValueError, match="start must name one of the slider's values, got n=1"):
        displayed(start={"n": 1}, live={"n": [2, 3]})
    with pytest.raises(ValueError, match="live must name a slider"):
        displayed(live={"m": [2, 3]})
