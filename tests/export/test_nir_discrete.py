"""Networks trained for the neurons of NIR: files say what was simulated, and keep the posterior."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikebayes import ConversionError, Hann, Timing, convert, export, fit, simulate
from spikebayes.data import load_split, split_rows
from spikebayes.nn import DiscreteSoftLIF, zoo

nir = pytest.importorskip("nir")


def portable(**options: Any) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = zoo.discrete(4, 2, (24, 16), 0.25, unit=partial(DiscreteSoftLIF, 1e-3, **options))
    return model.eval(), torch.randn(6, 4)


def test_a_file_says_what_was_simulated(tmp_path: Path) -> None:
    model, x = portable()
    network = replace(convert(model, x), timing=Timing(120, 40, Hann()))
    certificate = export.to_nir(network, tmp_path / "a.nir", seed=7, sample=2, row=3)
    assert certificate.differs == ()
    back = export.from_nir(tmp_path / "a.nir")
    assert back.timing == network.timing
    ours = simulate(network, x[3:4], samples=3, rows=[3], seed=7, probe=["spikes"])
    theirs = simulate(back, x[3:4], probe=["spikes"])
    for name, spikes in theirs.spikes.items():
        kept = ours.spikes[name][2, 0].any(0)  # those that the mask drops fire unheard
        assert torch.equal(ours.spikes[name][2, 0][:, kept], spikes[0, 0][:, kept])
        assert int(kept.sum()) > 4
    assert torch.allclose(ours.mean[2], theirs.mean[0], rtol=1e-5, atol=1e-6)
    for node in nir.read(tmp_path / "a.nir").nodes.values():
        if isinstance(node, nir.LIF | nir.CubaLIF):
            assert all(v.dtype == np.float32 for v in vars(node).values() if isinstance(v, np.ndarray) and v.ndim)
        if isinstance(node, nir.CubaLIF):  # the one form that importers read alike
            assert np.allclose(node.r, node.tau_mem / 1e-3)
            assert np.allclose(node.w_in, node.tau_syn / 1e-3)


def test_a_reset_by_subtraction_is_what_nir_cannot_say(tmp_path: Path) -> None:
    model, x = portable(reset="subtract")
    with pytest.raises(ConversionError, match=r"layer2.*subtract the threshold.*layer6.*reset='zero'"):
        export.to_nir(convert(model, x), tmp_path / "a.nir")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_trained_network_is_kept(real: Path, tmp_path: Path, seed: int) -> None:
    split = load_split(real, "energy")
    train, held = split_rows(len(split.x_train), 0.1, seed)
    rows = [split.x_train[train], split.y_train[train]]
    validation = split.x_train[held], split.y_train[held]
    torch.manual_seed(seed)
    model = zoo.discrete(split.x_train.shape[1], 1, (64, 64))
    options: dict[str, Any] = {"epochs": 60, "learning_rate": 0.01, "seed": seed, "calibration": 0.0, "error": None}
    fitted = fit(model, *rows, validation=validation, **options)
    rmse = float((fitted.predict(split.x_test).mean - split.y_test).square().mean().sqrt())
    network = replace(fitted.network(), timing=Timing(300, 50, Hann()))
    x = fitted.scaling.inputs(split.x_test)
    certificate = export.to_nir(network, tmp_path / "a.nir", model=fitted.model, x=x)
    assert certificate.outcome == "kept"
    assert certificate.verdict is not None
    assert certificate.verdict.paired_rmse is not None
    assert float(np.median(certificate.verdict.paired_rmse)) < 0.08
    assert rmse < 0.3 * float(split.y_test.std())
