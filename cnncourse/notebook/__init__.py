"""What chapters import: set-up, budgets, sliders and self-checks."""

from cnncourse.notebook.feedback import Feedback, right, unanswered, wrong
from cnncourse.notebook.session import BUDGETS, Session, begin, resolve_budget
from cnncourse.notebook.slider import player_html, slider

__all__ = [
    "BUDGETS",
    "Feedback",
    "Session",
    "begin",
    "player_html",
    "resolve_budget",
    "right",
    "slider",
    "unanswered",
    "wrong",
]
