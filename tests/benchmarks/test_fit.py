"""The bench of ``fit``: every competitor trains, and all of them are in its table."""

from __future__ import annotations

import pytest

from benchmarks import fit


@pytest.mark.slow
def test_the_table_has_every_competitor(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["--only", "10-100-100-1, ReLU", "--epochs", "2", "--repeats", "1", "--count", "1"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in (fit.PLAIN, "scikit-learn", "2 epochs, 1 rounds"))


def test_an_unknown_network_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert fit.main(["--only", "none"]) == 2
    assert "none" in capsys.readouterr().err
