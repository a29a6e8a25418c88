"""What a paper claims, and what was found here: one line for each claim, with its standard error and a judgement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from studies.results import markdown_table

SURE = 2.0  # standard errors from which on a difference counts


class Outcome(StrEnum):
    """Of a claim."""

    REPRODUCED = "reproduced"
    IN_PART = "in part"
    NOT = "not reproduced"
    UNTESTED = "not tested"


@dataclass(frozen=True)
class Claim:
    """A line of the table.

    Args:
        claim: in words. paper, ours: figures in words, ours with its standard error.
        outcome: what follows.
        why: a few words where the outcome needs them.
    """

    claim: str
    paper: str
    ours: str
    outcome: Outcome
    why: str = ""


def claims_table(claims: Sequence[Claim], errors: str) -> list[str]:
    """The section of a page.

    Args:
        claims: its lines.
        errors: a sentence on what the standard errors are taken over.
    """
    rows = [[c.claim, c.paper, c.ours, f"{c.outcome}: {c.why}" if c.why else c.outcome.value] for c in claims]
    counts = [f"{sum(c.outcome is o for c in claims)} {o}" for o in Outcome if any(c.outcome is o for c in claims)]
    return [
        "## Claim by claim",
        f"{errors} In all: {', '.join(counts)}.",
        markdown_table(["claim", "paper", "here", "outcome"], rows),
    ]


def share_error(share: float, count: int) -> float:
    """Standard error of a share of so many independent rows.

    Example:
        >>> round(share_error(0.0132, 10_000), 5)
        0.00114
    """
    return math.sqrt(max(share * (1 - share), 0.0) / count)


def larger(difference: float, error: float) -> Outcome:
    """Whether a difference is above 0 by more than chance.

    Example:
        >>> larger(0.3, 0.1).value, larger(0.1, 0.1).value
        ('reproduced', 'not reproduced')
    """
    return Outcome.REPRODUCED if difference > SURE * error else Outcome.NOT
