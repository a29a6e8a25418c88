"""The command line in tests: how fit is called, and what a folder holds."""

from __future__ import annotations

from pathlib import Path

BRIEF = ["--samples", "4", "--steps", "30", "--burn_in", "10"]


def fit(folder: Path, *more: str) -> list[str]:
    """A short training on a folder's ``t.csv``, into its ``run``."""
    place = ["--data", str(folder / "t.csv"), "--out", str(folder / "run")]
    return ["fit", *place, "--target", "y", "--epochs", "3", "--hidden", "[8]", *more]


def content(folder: Path) -> dict[str, bytes]:
    """What every file below a folder holds."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
