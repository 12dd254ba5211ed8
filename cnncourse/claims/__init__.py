"""The ledger of claims: declared once, measured in chapters, verified by tests."""

from cnncourse.claims.check import MIME, Outcome, check, judge, use_budget
from cnncourse.claims.expectations import Expectation, parse_expectation
from cnncourse.claims.ledger import Claim, ClaimError, declared, read_ledger
from cnncourse.claims.measurements import format_value

__all__ = [
    "MIME",
    "Claim",
    "ClaimError",
    "Expectation",
    "Outcome",
    "check",
    "declared",
    "format_value",
    "judge",
    "parse_expectation",
    "read_ledger",
    "use_budget",
]
