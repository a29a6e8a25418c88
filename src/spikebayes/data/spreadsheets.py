"""Text that a spreadsheet would run as a formula, written so that it does not, and read back as it was.

Reference: OWASP, CSV Injection: a leading apostrophe keeps a cell text.
"""

from __future__ import annotations

from spikebayes.data.cells import number

STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide signs too


def shielded(cell: object) -> object:
    """``cell``, behind an apostrophe if it is text that a spreadsheet would run; numbers stay as they are.

    Example:
        >>> shielded("=1+1"), shielded("-1.5"), shielded("red")
        ("'=1+1", '-1.5', 'red')
    """
    return f"'{cell}" if isinstance(cell, str) and _runs(cell) else cell


def unshielded(cell: str) -> str:
    """What :func:`shielded` was given.

    Example:
        >>> unshielded("'=1+1"), unshielded("'tis")
        ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _runs(cell) else cell


def _runs(text: str) -> bool:
    """Whether text runs once its apostrophes are gone: text that has some of its own gets one more."""
    bare = text.lstrip("'")
    return bare.startswith(STARTS) and number(bare) is None
