"""In a notebook: what is shown is what is there, and names bring no markup."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import spikebayes as sb

HOSTILE = "<b>&y</b>"


@pytest.fixture(scope="module")
def fitted() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 30), sb.nn.SoftLIF(), sb.nn.Permadrop(0.2), nn.Linear(30, 2))
    x = torch.randn(200, 3)
    return sb.fit(model, x[60:], x[60:, :1], validation=(x[:60], x[:60, :1]), epochs=3, names=(HOSTILE,)), x


def test_what_a_notebook_shows(fitted: Any) -> None:
    made, x = fitted
    network = made.network()
    classical = made.predict(x[:12], samples=20)
    spiking = made.predict(x[:12], network=network, samples=20, seed=1)
    verdict = sb.compare(classical, spiking)
    bill = sb.energy(network, x[:4], samples=3, model=made.model)
    shown = {"spiking": spiking, "verdict": verdict, "network": network, "fitted": made, "energy": bill}
    pages = {name: each._repr_html_() for name, each in shown.items()}
    for page in pages.values():
        assert page.startswith("<div><strong>")
        assert page.endswith("</div>")
        assert "<b>" not in page
    assert pages["spiking"].split("</thead>")[1].count("<tr>") == 10
    assert "regression: 20 samples x 12 rows x 1 outputs (the first 10 rows)" in pages["spiking"]
    assert f"<td>{spiking.mean[9, 0].item():.6f}</td>" in pages["spiking"]
    assert verdict.outcome in pages["verdict"].lower()
    assert "<th>mean offset</th>" in pages["verdict"]
    assert f"{network.neurons} neurons" in pages["network"]
    assert "joules per predicted row" in pages["energy"]
    assert f"<th>epochs</th><td>{made.history['epochs']}</td>" in pages["fitted"]


def test_arviz_finds_chain_draw_and_row(fitted: Any) -> None:
    xarray = pytest.importorskip("xarray", reason="the extra [xarray] is not installed")
    made, x = fitted
    p = made.predict(x[:5], samples=7, seed=3)
    found = p.to_xarray()["posterior"]
    assert isinstance(found.to_dataset(), xarray.Dataset)
    assert dict(found.sizes) == {"chain": 1, "draw": 7, "row": 5, "output": 1}
    assert found["prediction"].sel(output=HOSTILE).values == pytest.approx(p.samples[None, ..., 0].numpy())
    assert found.attrs["seed"] == "3"
    draw = sb.Draw(0, "row", torch.arange(4))
    classes = sb.Predictive(torch.rand(6, 4, 3).softmax(-1), draw, sb.Task.CLASSIFICATION)
    one = classes.to_xarray()["posterior"]["probability"]
    assert one.dims == ("chain", "draw", "row", "class")
    assert one.sel(draw=2, row=3, chain=0).values == pytest.approx(classes.samples[2, 3].numpy())
