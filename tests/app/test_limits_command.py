"""What a run asks of chips."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from problems import table
from spikebayes import Digits, convert
from spikebayes.app.cli import main
from spikebayes.errors import ConfigError
from spikebayes.evaluate import CHIPS, demand, latency
from spikebayes.evaluate.energy.hardware_limits import AKIDA, LOIHI_2, SPECK, TRUENORTH
from spikebayes.nn import zoo


def test_a_table_of_chips(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(60)[["a", "b", "y"]].to_csv(tmp_path / "t.csv", index=False)
    given = ["fit", str(tmp_path / "t.csv"), "--target", "y", "--hidden", "300", "8", "--epochs", "2"]
    assert main([*given, "--noise", "constant", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    asked = ["limits", str(tmp_path / "run"), "--samples", "10", "--steps", "50", "--burn-in", "20"]
    assert main([*asked, "--json", str(tmp_path / "l.json")]) == 0
    said = capsys.readouterr().out
    assert main(["limits", str(tmp_path / "run"), "--samples", "0"]) == 2
    assert "samples must be a whole number, at least 1; got 0" in capsys.readouterr().err
    assert "308 neurons with at most 300 synapses" in said
    assert "the first sample takes 50 steps, 10 take 500" in said
    (small,) = (line for line in said.splitlines() if " is too small: " in line)
    assert small.startswith("TrueNorth, one chip")
    assert small.endswith("fan-in 300 > 256")
    assert all(f"{chip.name}: {chip.source}" in said for chip in CHIPS)
    stored = json.loads((tmp_path / "l.json").read_text("utf-8"))
    by_name = {chip["name"]: chip for chip in stored["chips"]}
    assert by_name[TRUENORTH.name]["ms"] == [50, 500]
    assert by_name[LOIHI_2.name]["ms"] == pytest.approx([0.01, 0.1])
    assert by_name[SPECK.name]["ms"] == [None, None]
    assert main(["limits", str(tmp_path / "run"), "--json", str(tmp_path / "run" / "run.json")]) == 2


def test_kernels_are_stored_once_where_chips_share_them() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, bias=False), zoo.SoftLIF(), zoo.Permadrop(0.1), nn.Flatten(), nn.Linear(72, 1)
    )
    needed = demand(convert(model, torch.randn(2, 1, 8, 8)))
    assert needed.memory(SPECK) == needed.weights == 2 * 9 + 72
    assert needed.memory(AKIDA) == -(-needed.weights // 2)
    assert needed.memory(TRUENORTH) == needed.synapses == 72 * 9


def test_windows_give_a_sample_each() -> None:
    torch.manual_seed(0)
    x = torch.randn(100, 4)
    coded = convert(zoo.mlp(4, 1, [8, 8], activation=nn.ReLU), x, code=Digits(4, 4), calibrate=x)
    ticks, depth = 12, max(coded.depths.values())
    takes = latency(coded, 100)
    assert (takes.sample, takes.prediction) == ((1 + depth) * ticks, (100 + depth) * ticks)
    with pytest.raises(ConfigError, match="samples"):
        latency(coded, 0)


def test_a_code_needs_a_longer_table(here: Path, refused: Callable[..., str]) -> None:
    refused(
        "limits", "run", "--code", "Digits(4,4)", says="there are 54: train on a longer table, or take the code lif"
    )
