"""The appendix of claims: what ``book/claims.yml`` declares beside what the notebooks measured."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cnncourse.book.citations import citation, link
from cnncourse.book.course import Course
from cnncourse.book.inline import inline_nodes
from cnncourse.claims import MIME, Claim, read_ledger
from cnncourse.markup import inline_html

__all__ = ["ClaimsLedger", "stored_claims"]

_CLASSES = {"holds": "cnn-holds", "needs a correction": "cnn-corrected"}


def stored_claims(notebook: Path) -> dict[str, dict[str, Any]]:
    """Return the outcomes of the claims checked in a notebook, by id, from its stored outputs.

    Args:
        notebook: an ``.ipynb`` file.

    Returns:
        Claim id to what :meth:`cnncourse.claims.Outcome.as_json` gave; empty if there is no such file.
    """
    found: dict[str, dict[str, Any]] = {}
    if notebook.is_file():
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            for output in cell.get("outputs", []):
                outcome = output.get("data", {}).get(MIME)
                if outcome is not None:
                    found.setdefault(outcome["id"], outcome)
    return found


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


class ClaimsLedger(SphinxDirective):
    """``{claims-ledger}``: every claim with source, measured value, verdict and a link to its place."""

    def run(self) -> list[nodes.Node]:
        """Return a summary, then the claims chapter by chapter in the order of the table of contents."""
        course = Course(Path(self.env.srcdir))
        path = course.root / "book" / "claims.yml"
        self.env.note_dependency(str(path))
        claims = read_ledger(path)
        result: list[nodes.Node] = []
        verdicts: Counter[str] = Counter()
        for slug, notebook in course.notebooks.items():
            declared = [claim for claim in claims.values() if claim.chapter == slug]
            if not declared:
                continue
            self.env.note_dependency(str(notebook))
            outcomes = stored_claims(notebook)
            verdicts.update(
                outcomes.get(claim.id, {}).get("verdict", "not yet measured") for claim in declared
            )
            page = notebook.relative_to(course.root).with_suffix("").as_posix()
            heading = nodes.rubric("", "", link(self.env, page, kind="doc"), classes=["cnn-ledger-chapter"])
            result += [heading, *(self._entry(claim, outcomes.get(claim.id)) for claim in declared)]
        counts = "; ".join(f"{_sentence(verdict)}: {count}" for verdict, count in sorted(verdicts.items()))
        return [nodes.paragraph("", f"{verdicts.total()} claims. {counts}."), *result]

    def _entry(self, claim: Claim, outcome: dict[str, Any] | None) -> nodes.Node:
        verdict = outcome["verdict"] if outcome else "not yet measured"
        box = nodes.container(classes=["cnn-claim", _CLASSES.get(verdict, "cnn-unjudged")])
        box += nodes.paragraph(
            "",
            "",
            nodes.inline("", f"{_sentence(verdict)}. ", classes=["cnn-verdict"]),
            *inline_nodes(inline_html(claim.statement)),
        )
        if claim.correction:
            correct = nodes.strong("", "Correct is: ")
            box += nodes.paragraph("", "", correct, *inline_nodes(inline_html(claim.correction)))
        if outcome:
            unit = f" {outcome['unit']}" if outcome.get("unit") else ""
            measured = nodes.Text(f"{outcome['measured']}{unit} ({claim.expect.beside(outcome['measured'])})")
            box += nodes.paragraph("", "", nodes.strong("", "Measured: "), measured, classes=["cnn-measured"])
        source = nodes.paragraph("", "Source: ", classes=["cnn-source"])
        source += citation(self.env, self.state.document, claim.source)
        source += nodes.Text(f", {claim.where} · claim " if claim.where else " · claim ")
        source += nodes.literal("", claim.id)
        if outcome:
            source += [nodes.Text(" · "), link(self.env, f"claim-{claim.id}", "see where it is measured")]
        box += source
        return box
