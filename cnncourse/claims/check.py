"""Compare measurements with claims: a box for the reader, an error for the tests."""

import difflib
import html
from dataclasses import dataclass
from typing import Any

from cnncourse.claims.ledger import Claim, ClaimError, declared
from cnncourse.claims.measurements import format_value, plain_value
from cnncourse.markup import inline_html

__all__ = ["MIME", "Outcome", "check", "judge", "use_budget"]

MIME = "application/vnd.cnncourse.claim+json"
"""Under which a checked claim is stored in a notebook's output, for the ledger in the appendix."""

_ORDER = ("smoke", "book", "full")
_CLASSES = {"holds": "holds", "needs a correction": "corrected", "fails": "fails", "not judged": "unjudged"}
_budget = "book"


def use_budget(budget: str) -> None:
    """Say at which budget the following checks run; claims that need a larger one are not judged.

    Args:
        budget: ``smoke``, ``book`` or ``full``.

    Raises:
        ValueError: if the name is none of these.
    """
    if budget not in _ORDER:
        raise ValueError(f"budget must be one of {', '.join(_ORDER)}, got {budget!r}")
    global _budget  # noqa: PLW0603 - one notebook, one budget
    _budget = budget


@dataclass(frozen=True)
class Outcome:
    """What comparing a measurement with a claim gave."""

    claim: Claim
    measured: str
    """The measured value as text."""
    verdict: str
    """``holds``, ``needs a correction``, ``fails`` or ``not judged``."""
    reason: str = ""
    """Why it fails, or why it was not judged."""

    def as_json(self) -> dict[str, str]:
        """Return what the appendix needs."""
        return {
            "id": self.claim.id,
            "measured": self.measured,
            "unit": self.claim.unit,
            "verdict": self.verdict,
        }

    def as_html(self) -> str:
        """Return the box shown to the reader."""
        claim = self.claim
        unit = f" {claim.unit}" if claim.unit and self.verdict != "not judged" else ""
        measured = html.escape(self.measured + unit, quote=False)
        expected = html.escape(claim.expect.beside(self.measured), quote=False)
        rows = [
            f'<p><span class="cnn-verdict">Claim: {self.verdict}.</span> {inline_html(claim.statement)}</p>',
            f'<p class="cnn-measured"><strong>Measured:</strong> {measured} '
            f'<span class="cnn-expected">({expected})</span></p>',
        ]
        if claim.correction and self.verdict == "needs a correction":
            rows.append(f"<p><strong>Correct is:</strong> {inline_html(claim.correction)}</p>")
        if self.reason:
            rows.append(f"<p>{html.escape(self.reason, quote=False)}</p>")
        where = f", {claim.where}" if claim.where else ""
        rows.append(
            f'<p class="cnn-source">Source: <span class="cnn-cite">{html.escape(claim.source)}</span>'
            f"{html.escape(where, quote=False)} · claim <code>{claim.id}</code></p>"
        )
        return (
            f'<div class="cnn-claim cnn-{_CLASSES[self.verdict]}" id="claim-{claim.id}">'
            + "".join(rows)
            + "</div>"
        )

    def __str__(self) -> str:
        return f"[{self.claim.id}] {self.verdict}: {self.claim.statement} Measured: {self.measured}"


def judge(claim_id: str, measured: Any) -> Outcome:
    """Compare a measured value with what a declared claim says.

    Args:
        claim_id: an id of ``book/claims.yml``.
        measured: as :meth:`cnncourse.claims.Expectation.is_met_by` wants it.

    Returns:
        The outcome; a claim declared as needing a correction gets that verdict when the measurement
        contradicts the statement and meets the correction, and ``fails`` otherwise.

    Raises:
        ClaimError: if the id is unknown.
        ValueError: if the measurement is of the wrong kind.
    """
    try:
        claim = declared()[claim_id]
    except KeyError:
        near = difflib.get_close_matches(claim_id, declared(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ClaimError(f"claim {claim_id!r} is not declared in book/claims.yml{hint}") from None
    if _ORDER.index(_budget) < _ORDER.index(claim.needs):
        reason = f"This needs the budget {claim.needs}; the chapter ran at {_budget}."
        return Outcome(claim, "not judged", "not judged", reason)
    value = plain_value(measured)
    met = claim.expect.is_met_by(value)
    text = format_value(value)
    if claim.corrected is None:
        reason = "" if met else f"The claim says {claim.expect.describe()}."
        return Outcome(claim, text, "holds" if met else "fails", reason)
    if met:
        return Outcome(claim, text, "fails", "The statement holds after all; its correction must go.")
    if not claim.corrected.is_met_by(value):
        return Outcome(claim, text, "fails", f"The correction says {claim.corrected.describe()}.")
    return Outcome(claim, text, "needs a correction")


def check(claim_id: str, measured: Any) -> None:
    """Compare a measured value with a declared claim, show the box, and raise when the expectation fails.

    Args:
        claim_id: an id of ``book/claims.yml``.
        measured: as :meth:`cnncourse.claims.Expectation.is_met_by` wants it.

    Raises:
        ClaimError: if the id is unknown or the expectation fails.
        ValueError: if the measurement is of the wrong kind.
    """
    from IPython.core.getipython import get_ipython

    outcome = judge(claim_id, measured)
    if get_ipython() is None:
        print(outcome)
    else:
        from IPython.display import display

        bundle = {"text/html": outcome.as_html(), "text/plain": str(outcome), MIME: outcome.as_json()}
        display(bundle, raw=True)
    if outcome.verdict == "fails":
        raise ClaimError(f"{outcome}. {outcome.reason}")
