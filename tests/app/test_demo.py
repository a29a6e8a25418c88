"""The demo, once and whole."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from sklearn.datasets import load_diabetes

from spikebayes.app.demo import run_demo
from spikebayes.app.run_folder import load_run
from spikebayes.data.tables import split_rows


@pytest.mark.slow
def test_the_demo_leaves_a_report_predictions_and_a_run(tmp_path: Path) -> None:
    said = io.StringIO()
    run_demo(tmp_path / "demo", 0, Console(file=said, width=1000))
    out = tmp_path / "demo"
    assert {p.name for p in out.iterdir()} == {"report.html", "predictions.csv", "run.json", "run.safetensors"}

    made = pd.read_csv(out / "predictions.csv")
    assert list(made.columns) == [
        "row",
        *("mean", "model_std", "noise_std", "std", "lower", "upper"),
        "observed",
    ]
    patients = load_diabetes(as_frame=True, scaled=False).frame
    test = split_rows(len(patients), 0.2, 0)[1].numpy()
    assert made["observed"].tolist() == patients["target"].iloc[test].tolist()
    assert np.corrcoef(made["mean"], made["observed"])[0, 1] > 0.55
    covered = made["observed"].between(made["lower"], made["upper"])
    assert covered.mean() > 0.8

    page = (out / "report.html").read_text()
    assert "Diabetes progression" in page
    assert "<svg" in page
    text = said.getvalue()
    assert "Kept: on these 88 rows the spiking network predicts what the classical network predicts." in text
    assert "Under the same masks the two differ by 0.0" in text
    assert f"First patient: {made['mean'][0]:.0f} +- {made['model_std'][0]:.0f}" in text

    lines = {line.split("│")[1].strip(): line.split("│")[2:4] for line in text.splitlines() if line.count("│") == 4}
    assert [cell.split()[1] for cell in lines["a sample takes"]] == ["steps", "ticks"]
    assert [cell.strip() for cell in lines["posterior"]] == ["kept", "kept"]
    assert all(50 < float(cell) < 62 for name in ("classical", "spiking") for cell in lines[f"RMSE, {name}"])
    spikes = [float(cell) for cell in lines["spikes per neuron and sample"]]
    assert spikes[0] > 2 * spikes[1] > 0

    run = load_run(out)
    again = run.predict(patients.iloc[test], network=run.network(), samples=100, seed=2)
    np.testing.assert_allclose(made["mean"], again.mean[:, 0], rtol=1e-5)
    np.testing.assert_allclose(made["upper"], again.upper[:, 0], rtol=1e-5)
