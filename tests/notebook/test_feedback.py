import pytest

from cnncourse.notebook import Feedback, right, unanswered, wrong


@pytest.mark.parametrize(
    ("make", "verdict", "heading"),
    [(right, "right", "Right."), (wrong, "wrong", "Not yet."), (unanswered, "unanswered", "No answer yet.")],
)
def test_feedback_says_its_verdict_in_words(make, verdict, heading):
    feedback = make("Use `relu` & count: $a < b$.")
    assert feedback.verdict == verdict
    assert str(feedback) == repr(feedback) == f"{heading} Use `relu` & count: $a < b$."
    text = feedback._repr_html_()
    assert f'class="cnn-feedback cnn-{verdict}"' in text
    assert f'<span class="cnn-verdict">{heading}</span>' in text
    assert "<code>relu</code> &amp; count: " in text
    assert "\\(a &lt; b\\)" in text


def test_an_open_cell_is_told_what_to_do():
    assert "Replace the `...` above" in unanswered().message


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="verdict must be one of right, wrong, unanswered, got 'perhaps'"):
        Feedback("perhaps", "m")
