import json
import sys

import pytest

from cnncourse import claims
from cnncourse.claims import ClaimError, Outcome, read_ledger

LEDGER = """\
- {id: teeth, chapter: a, statement: It has $2^n$ <teeth>., source: t2016, where: p. 3, unit: teeth,
   expect: {equals: 8}, verdict: needs a correction, correction: It has *half*., corrected: {equals: 4}}
- {id: pieces, chapter: a, statement: It has `8` pieces., source: t2016, expect: {equals: 8}, verdict: holds}
- {id: accuracy, chapter: b, statement: It learns., source: l1998, needs: book, verdict: holds,
   expect: {seeds: 3, mean_at_least: 0.9}}
- {id: full-accuracy, chapter: b, statement: It learns it all., source: l1998, needs: full, verdict: holds,
   expect: {at_least: 0.98}}
"""

CHECK = sys.modules["cnncourse.claims.check"]  # `claims.check` is the function of that name


@pytest.fixture(autouse=True)
def ledger(tmp_path, monkeypatch):
    path = tmp_path / "claims.yml"
    path.write_text(LEDGER, encoding="utf-8")
    known = read_ledger(path)
    monkeypatch.setattr(CHECK, "declared", lambda: known)
    claims.use_budget("book")
    yield
    claims.use_budget("book")


@pytest.mark.parametrize(
    ("claim", "measured", "verdict", "reason"),
    [
        ("pieces", 8, "holds", ""),
        ("pieces", 7, "fails", "The claim says equals 8."),
        # a claim that needs a correction: the statement is refuted and the correction met, or it fails
        ("teeth", 4, "needs a correction", ""),
        ("teeth", 8, "fails", "The statement holds after all; its correction must go."),
        ("teeth", 5, "fails", "The correction says equals 4."),
    ],
)
def test_verdicts(claim, measured, verdict, reason):
    outcome = claims.judge(claim, measured)
    assert (outcome.verdict, outcome.reason) == (verdict, reason)
    assert outcome.measured == str(measured)


def test_a_statement_and_its_correction_may_not_both_hold(tmp_path, monkeypatch):
    path = tmp_path / "both.yml"
    path.write_text(
        "- {id: both, chapter: a, statement: s, source: t, expect: {at_least: 1}, \n"
        "   verdict: needs a correction, correction: c, corrected: {at_least: 2}}\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(CHECK, "declared", lambda: read_ledger(path))
    assert claims.judge("both", 3).verdict == "fails"


@pytest.mark.parametrize(
    ("budget", "judged"),
    [
        ("smoke", {"pieces"}),
        ("book", {"pieces", "accuracy"}),
        ("full", {"pieces", "accuracy", "full-accuracy"}),
    ],
)
def test_a_claim_is_judged_from_its_budget_up(budget, judged):
    claims.use_budget(budget)
    measured = {"pieces": 8, "accuracy": [0.95, 0.96, 0.97], "full-accuracy": 0.99}
    outcomes = {name: claims.judge(name, value) for name, value in measured.items()}
    assert {name for name, outcome in outcomes.items() if outcome.verdict == "holds"} == judged
    for name in set(measured) - judged:
        assert outcomes[name].verdict == "not judged"
        assert f"the chapter ran at {budget}" in outcomes[name].reason


def test_what_is_not_judged_may_be_anything():
    claims.use_budget("smoke")
    assert claims.judge("accuracy", None).verdict == "not judged"
    claims.check("accuracy", [float("nan")])


def test_an_unknown_budget_is_refused():
    with pytest.raises(ValueError, match="budget must be one of smoke, book, full, got 'auto'"):
        claims.use_budget("auto")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("piecs", r"claim 'piecs' is not declared in book/claims.yml; did you mean 'pieces'\?"),
        ("zebra", r"claim 'zebra' is not declared in book/claims.yml$"),
    ],
)
def test_an_unknown_claim_is_refused_with_the_nearest(name, message):
    with pytest.raises(ClaimError, match=message):
        claims.judge(name, 1)


def test_checking_says_the_outcome_and_raises_when_it_fails(capsys):
    claims.check("pieces", 8)
    assert capsys.readouterr().out == "[pieces] holds: It has `8` pieces. Measured: 8\n"
    with pytest.raises(ClaimError, match=r"\[pieces\] fails: .* Measured: 9. The claim says equals 8."):
        claims.check("pieces", 9)
    assert "fails" in capsys.readouterr().out  # the box stays in view


def test_in_a_notebook_checking_shows_a_box_and_stores_the_outcome(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.core.getipython.get_ipython", object)
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    claims.check("teeth", 4)
    (bundle,) = shown
    assert set(bundle) == {"text/html", "text/plain", claims.MIME}
    stored = json.loads(json.dumps(bundle[claims.MIME]))
    assert stored == {"id": "teeth", "measured": "4", "unit": "teeth", "verdict": "needs a correction"}


def test_the_box_says_everything_and_escapes_it():
    box = claims.judge("teeth", 4).as_html()
    assert '<div class="cnn-claim cnn-corrected" id="claim-teeth">' in box
    assert "Claim: needs a correction." in box
    assert "\\(2^n\\)" in box
    assert "&lt;teeth&gt;" in box
    assert "<teeth>" not in box
    assert "</strong> 4 teeth " in box
    assert "(the claim says: equals 8)" in box
    assert "Correct is:</strong> It has <em>half</em>." in box
    assert '<span class="cnn-cite">t2016</span>, p. 3' in box
    assert "<code>teeth</code>" in box


@pytest.mark.parametrize(
    ("verdict", "css"),
    [
        ("holds", "cnn-holds"),
        ("needs a correction", "cnn-corrected"),
        ("fails", "cnn-fails"),
        ("not judged", "cnn-unjudged"),
    ],
)
def test_every_verdict_has_its_look(verdict, css):
    claim = claims.judge("pieces", 8).claim
    assert f'class="cnn-claim {css}"' in Outcome(claim, "8", verdict).as_html()


def test_a_box_that_needs_no_correction_shows_none():
    assert "Correct is" not in claims.judge("pieces", 8).as_html()
    assert "Correct is" not in claims.judge("teeth", 8).as_html()
