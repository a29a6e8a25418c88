"""Names of cell lines and drugs: one spelling for what the tables spell differently."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from spikebayes.data.columns import listed
from spikebayes.errors import DataError

# key of a screened line: key under which its expression was published
HAND_MATCHES = {"HL60TB": "HL60", "UO31": "U031"}


def line_key(name: str) -> str:
    """What the spellings of one cell line share: upper case, letters and digits, without the supplier.

    Example:
        >>> line_key("A549/ATCC"), line_key("Hs-578-T") == line_key("HS 578T")
        ('A549', True)
    """
    return re.sub(r"[^A-Z0-9]", "", name.upper().replace("/ATCC", ""))


def known_key(name: str, known: Container[str], by_hand: bool) -> str | None:
    """The key in ``known`` that a screened cell line goes by, a hand match included if asked; None without one.

    Example:
        >>> known_key("UO-31", {"U031"}, by_hand=True)
        'U031'
    """
    key = line_key(name)
    if key not in known and by_hand:
        key = HAND_MATCHES.get(key, key)
    return key if key in known else None


def nsc_numbers(names: Sequence[str], column: str, path: Path) -> np.ndarray:
    """``[rows]`` int64 NSC numbers, which is how the NCI numbers compounds.

    Raises:
        DataError: something that is no whole number.
    """
    bad = [name for name in names if not re.fullmatch(r"[0-9]{1,18}", name)]
    if bad:
        raise DataError(
            f"{path}: {len(bad)} of {len(names)} values of {column} are not NSC numbers: {listed(map(repr, bad))}"
        )
    return np.array([int(name) for name in names], dtype=np.int64)


def drug_name(nsc: int) -> str:
    """``NSC.740`` for 740, as the published descriptor tables have it."""
    return f"NSC.{nsc}"
