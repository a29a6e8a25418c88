"""gamma falls geometrically, and reaches its end with epochs to spare."""

from __future__ import annotations

import math
import os
import resource
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.nn import LIFRate, SoftLIF
from spikebayes.training.callbacks import LATER, Asked, WholeCheckpoints, annealing_epochs, has
from spikebayes.training.sharpening import annealed_gamma

WIDTHS = st.floats(1e-4, 1.0)


@given(WIDTHS, WIDTHS, st.floats(0, 1))
def test_gamma_is_a_straight_line_in_its_logarithm(a: float, b: float, progress: float) -> None:
    start, end = max(a, b), min(a, b)
    expected = (1 - progress) * math.log(start) + progress * math.log(end)
    assert math.log(annealed_gamma(start, end, progress)) == pytest.approx(expected, abs=1e-9)


@given(WIDTHS, st.floats(0.01, 1), st.floats(-3, 3), st.floats(0, 3))
def test_gamma_never_rises_and_stays_between_its_ends(start: float, share: float, at: float, later: float) -> None:
    end = start * share
    first, second = annealed_gamma(start, end, at), annealed_gamma(start, end, at + later)
    assert end * (1 - 1e-12) <= second <= first * (1 + 1e-12) <= start * (1 + 1e-11)


@given(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True), st.integers(2, 1000))
def test_epochs_are_left_after_the_annealing(share: float, epochs: int) -> None:
    falling = annealing_epochs(share, epochs)
    assert 1 <= falling < epochs
    assert abs(falling - share * epochs) <= 1  # half for rounding, one where an end is kept free


def test_has_finds_modules_of_a_kind_within_others() -> None:
    assert has(nn.Sequential(nn.Linear(1, 1), nn.Sequential(SoftLIF())), SoftLIF)
    assert not has(nn.Sequential(nn.Linear(1, 1), LIFRate()), SoftLIF)


def test_settings_that_a_checkpoint_does_not_know_are_not_compared() -> None:
    """It is from before they were noted; what it knows and fit no longer notes differs all the same."""
    asked = Asked({"epochs": 9, "scaling": "checksum 0"})
    assert asked.changed({"epochs": 9}) == []
    assert asked.changed({"epochs": 9, "scaling": None}) == ["scaling (None, and now checksum 0)"]
    assert asked.changed({"epochs": 9, "cycle": 2}) == ["cycle (2, and now None)"]


def test_a_full_disk_keeps_the_last_checkpoint(tmp_path: Path) -> None:
    """The system refuses to let a file grow beyond 64 KiB, as a full disk does in the middle of a write."""
    path, writer = tmp_path / "last.ckpt", WholeCheckpoints()
    writer.save_checkpoint({"a": torch.ones(3)}, str(path))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limits[1]))
    try:
        with pytest.raises(ConfigError, match=f"cannot write {path}: File too large; make room"):
            writer.save_checkpoint({"a": torch.ones(100_000)}, str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["last.ckpt"]
    assert writer.load_checkpoint(str(path), weights_only=True)["a"].tolist() == [1, 1, 1]


def test_a_checkpoint_waits_for_the_second_after_the_one_before_and_for_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, writer, now = tmp_path / "last.ckpt", WholeCheckpoints(), 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    value = torch.zeros(1)

    def saved() -> float:
        writer.save_checkpoint({"a": value}, path, storage_options=LATER)
        return writer.load_checkpoint(path, weights_only=True)["a"].item()

    assert saved() == 0  # the first does not wait
    now += LATER / 2
    value.fill_(1)
    assert saved() == 0
    value.fill_(2)  # what waits is what it was
    writer.teardown()
    assert writer.load_checkpoint(path, weights_only=True)["a"].item() == 1
    now += LATER
    assert saved() == 2
