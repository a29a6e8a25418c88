"""Bars in a terminal and in a notebook: what they count, and what is left of them after an error."""

from __future__ import annotations

import pytest
import torch
from rich.console import Console
from torch import nn

from spikebayes import fit
from spikebayes.machine import progress
from spikebayes.machine.progress import Bar, in_notebook, track
from spikebayes.nn import Permadrop, SoftLIF


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """As rich sees a kernel that has no ipywidgets."""
    monkeypatch.setattr(progress, "_console", lambda: Console(stderr=True, force_jupyter=True))
    monkeypatch.setattr(progress, "find_spec", lambda _name: None)


def test_outside_of_a_notebook_rich_draws(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    assert list(track(range(3), "counting", show=True)) == [0, 1, 2]
    assert "counting" in capsys.readouterr().err


@pytest.mark.usefixtures("notebook")
def test_in_a_notebook_without_widgets_the_bar_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert in_notebook()
    assert list(track(range(3), "counting", show=True)) == [0, 1, 2]
    with Bar("rows", 10, before=4) as bar:
        bar.advance(6)
    said = capsys.readouterr().err
    assert "counting: 100%" in said
    assert "rows: 100%" in said
    assert "10/10" in said


@pytest.mark.usefixtures("notebook")
def test_a_bar_is_closed_by_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), Bar("rows", 10):
        raise ZeroDivisionError
    assert capsys.readouterr().err.split("\r")[-1].strip() == ""


@pytest.mark.usefixtures("notebook")
def test_in_a_notebook_fit_counts_epochs_on_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(60, 2)
    model = nn.Sequential(nn.Linear(2, 8), SoftLIF(), Permadrop(0.1), nn.Linear(8, 1))
    fit(model, x[:40], x[:40, :1], validation=(x[40:], x[40:, :1]), epochs=3, error=None, progress=True)
    said = capsys.readouterr().err
    assert "training: 100%" in said
    assert "3/3" in said
    assert said.count("\n") == 1
