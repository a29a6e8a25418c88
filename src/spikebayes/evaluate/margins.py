"""What counts as no difference: the margins of a comparison, and its three possible outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked


class Outcome(StrEnum):
    """The outcome of a comparison; compares equal to the strings "kept", "not kept" and "undecided"."""

    KEPT = "kept"
    NOT_KEPT = "not kept"
    UNDECIDED = "undecided"


@checked
@dataclass(frozen=True)
class Margins:
    """Differences up to which the predictive distribution counts as kept. "std" is a row's common standard deviation.

    Args:
        offset: of the mean, averaged over rows with its sign, in std.
        spread: of the ratio of spreads, averaged over rows: 0.05 allows 0.95 to 1.05.
        rows: the least share of rows that must lie within the margins below.
        row_offset: of the mean on a row, in std.
        row_spread: factor between the spreads on a row.
        paired: root mean square difference on a row, in std, where both sides used the same masks; it stands in
            the place of ``row_offset`` and ``row_spread``.
        tolerance: differences that count as none: this share of the spread of the predictions over rows, or of the
            observations' noise where it is known; in probability for classes.

    Raises:
        ConfigError: a margin that is not positive, or a share or factor out of range.

    Example:
        >>> Margins(offset=0.2).allowed(120)  # 2 % of 120 rows
        2
    """

    offset: float = 0.1
    spread: float = 0.05
    rows: float = 0.98
    row_offset: float = 0.5
    row_spread: float = 1.5
    paired: float = 0.2
    tolerance: float = 1e-3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < math.inf:
                raise ConfigError(f"the margin {field.name} must be a positive number; got {value}")
        if self.spread >= 1 or self.rows > 1:
            raise ConfigError(
                f"the margin spread must be below 1 and rows at most 1; got spread {self.spread}, rows {self.rows}"
            )
        if self.row_spread <= 1:
            raise ConfigError(f"the margin row_spread is a factor and must be above 1; got {self.row_spread}")

    def allowed(self, rows: int) -> int:
        """How many of this number of rows may lie beyond the margins."""
        return math.floor((1 - self.rows) * rows + 1e-9)
