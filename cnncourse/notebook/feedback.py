"""What a self-check answers: right, wrong and why, or not answered yet."""

from dataclasses import dataclass

from cnncourse.markup import inline_html

__all__ = ["Feedback", "right", "unanswered", "wrong"]

_HEADINGS = {"right": "Right.", "wrong": "Not yet.", "unanswered": "No answer yet."}


@dataclass(frozen=True)
class Feedback:
    """The answer of a self-check; as the last value of a cell it is shown as a box."""

    verdict: str
    """``right``, ``wrong`` or ``unanswered``."""
    message: str
    """What is right, or which mistake this looks like and a hint; inline mark-up is understood."""

    def __post_init__(self) -> None:
        if self.verdict not in _HEADINGS:
            raise ValueError(f"verdict must be one of {', '.join(_HEADINGS)}, got {self.verdict!r}")

    def __str__(self) -> str:
        return f"{_HEADINGS[self.verdict]} {self.message}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return (
            f'<div class="cnn-feedback cnn-{self.verdict}" role="status"><p><span class="cnn-verdict">'
            f"{_HEADINGS[self.verdict]}</span> {inline_html(self.message)}</p></div>"
        )


def right(message: str) -> Feedback:
    """Return the feedback for a right answer; the message says why it is right."""
    return Feedback("right", message)


def wrong(message: str) -> Feedback:
    """Return the feedback for a wrong answer; the message names the likely mistake and gives a hint."""
    return Feedback("wrong", message)


def unanswered(message: str = "Replace the `...` above and run this cell again.") -> Feedback:
    """Return the feedback while the cell still holds ``...``."""
    return Feedback("unanswered", message)
