"""Rows: a claim in the words and numbers that a reader sees, the same on a terminal and on a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from neuromanifold.evidence import Claim, format_with_error

VERDICTS = {"holds": "holds", "fails": "does not hold", "undecided": "undecided"}
"""Verdicts and the words for them, from good to bad."""

_BOUND = {"at least": "≥ ", "at most": "≤ "}


@dataclasses.dataclass(frozen=True)
class Row:
    """A claim made of text.

    Args:
        verdict: "holds", "fails" or "undecided".
        statement: the sentence that was decided.
        system: number of the system in the specification.
        expected: the number of the theory or the bound; "" where undecided.
        measured: the measured number with its error; "" where undecided.
        margin: how far the two lie apart, against what is allowed; "" where that has no meaning.
        reason: how the tolerance was derived, or why nothing was decided.
    """

    verdict: str
    statement: str
    system: str
    expected: str
    measured: str
    margin: str
    reason: str

    @property
    def word(self) -> str:
        """The verdict in words."""
        return VERDICTS[self.verdict]


def claim_row(claim: Claim) -> Row:
    """The row of a decided claim.

    >>> from neuromanifold.evidence import Claim
    >>> claim = Claim("The overlap agrees.", "C1", "agrees", 0.998, 0.9983, 0.0004, 0.002, "exact", True)
    >>> row = claim_row(claim)
    >>> row.word, row.expected, row.measured, row.margin
    ('holds', '0.998', '0.99830 ± 0.00040', 'differs by 0.0003, allowed 0.002')
    """
    if claim.kind == "never":
        expected, measured, margin = "no event", _events(claim.measured), ""
    else:
        expected = f"{_BOUND.get(claim.kind, '')}{claim.expected:.6g}"
        measured = format_with_error(claim.measured, claim.standard_error)
        margin = _margin(claim)
    return Row(
        "holds" if claim.holds else "fails",
        claim.statement,
        claim.system,
        expected,
        measured,
        margin,
        claim.reason,
    )


def undecided_row(statement: str, system: str, reason: str) -> Row:
    """The row of what could not be decided: an error, never a pass."""
    return Row("undecided", statement, system, "", "", "", reason)


def tally(rows: Iterable[Row]) -> str:
    """How many claims hold, do not, and could not be decided, in one sentence.

    >>> tally([undecided_row("It can be decided.", "C1", "too few samples")])
    '0 claims hold, 0 do not, 1 could not be decided'
    """
    verdicts = [row.verdict for row in rows]
    holds, fails, undecided = (verdicts.count(verdict) for verdict in VERDICTS)
    good = "1 claim holds" if holds == 1 else f"{holds} claims hold"
    return f"{good}, {fails} {'does' if fails == 1 else 'do'} not, {undecided} could not be decided"


def _events(count: float) -> str:
    return "no event" if count == 0 else f"{count:g} event{'s' if count != 1 else ''}"


def _margin(claim: Claim) -> str:
    difference = claim.measured - claim.expected
    if claim.kind in _BOUND:
        inside = (difference >= 0) == (claim.kind == "at least") or difference == 0
        return f"{'clears' if inside else 'misses'} the bound by {abs(difference):.2g}"
    return f"differs by {abs(difference):.2g}, allowed {claim.tolerance:.2g}"
