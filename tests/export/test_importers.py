"""Exports as other simulators run them, as they are on PyPI: the same spikes in every layer."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from exported import decisions, dense, maps, spiking
from spikebayes import Radix, convert, export, simulate
from spikebayes.nn import zoo
from studies.export.importers import IMPORTERS, imported_run

STEPS = 100


def installed(name: str) -> str:
    missing = IMPORTERS[name].missing
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    return name


@pytest.fixture(params=[name for name, importer in IMPORTERS.items() if importer.leaks])
def leaky(request: pytest.FixtureRequest) -> str:
    return installed(request.param)


@pytest.fixture(params=[name for name, importer in IMPORTERS.items() if importer.one_step])
def one_step(request: pytest.FixtureRequest) -> str:
    return installed(request.param)


@pytest.mark.parametrize("filtered", [True, False])
def test_portable_lif(leaky: str, filtered: bool, tmp_path: Path) -> None:
    model, x = dense()
    network = spiking(model, x) if filtered else spiking(model, x, synapse=None)
    dt, path = IMPORTERS[leaky].dt or network.dt, tmp_path / "a.nir"
    for sample in (0, 1):
        export.to_nir(network, path, sample=sample, dt=dt, overwrite=True)
        back = export.from_nir(path)
        ours = simulate(back, x, steps=STEPS, probe=["spikes", "trace"], engine="reference")
        trace, spikes = imported_run(IMPORTERS[leaky], path, x, STEPS, dt, list(ours.spikes))
        for name, theirs in spikes.items():
            assert torch.equal(ours.spikes[name][0], theirs)
            assert 0.02 < theirs.float().mean() < 0.9
        assert ours.trace is not None
        assert torch.allclose(trace, ours.trace[0], atol=1e-5)


def test_networks_for_neurons_in_discrete_steps(leaky: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, x = zoo.discrete(4, 2, (24, 16), 0.25).eval(), torch.randn(6, 4)
    network, path = convert(model, x), tmp_path / "a.nir"
    dt = IMPORTERS[leaky].dt or network.dt
    export.to_nir(network, path, sample=2, row=3, dt=dt)
    trace, spikes = imported_run(IMPORTERS[leaky], path, x[3:4], STEPS, dt, ["layer2", "layer6"])
    options = {"rows": [3], "samples": 3, "steps": STEPS, "probe": ["spikes", "trace"]}
    ours = simulate(network, x[3:4], **options)  # pyright: ignore[reportArgumentType]  # the network, not the file
    for name, theirs in spikes.items():
        kept = ours.spikes[name][2, 0].any(0)
        assert torch.equal(ours.spikes[name][2, 0][:, kept], theirs[0][:, kept])
        assert 0.02 < theirs.float().mean() < 0.9
    assert ours.trace is not None
    assert torch.allclose(trace[0], ours.trace[2, 0], atol=1e-4)


def test_thresholds(one_step: str, tmp_path: Path) -> None:
    model, x = decisions()
    network, path = convert(model, x), tmp_path / "a.nir"
    export.to_nir(network, path, profile="threshold")
    ours = simulate(export.from_nir(path), x, probe=["spikes"])
    trace, spikes = imported_run(IMPORTERS[one_step], path, x, 1, 1.0, list(ours.spikes))
    assert all(torch.equal(ours.spikes[name][0], theirs) for name, theirs in spikes.items())
    assert torch.allclose(trace[:, 0], ours.mean[0], atol=1e-5)


def test_integrate_and_fire(one_step: str, tmp_path: Path) -> None:
    model, x = zoo.mlp(4, 2, (20, 16), 0.25, activation=torch.nn.ReLU).eval(), torch.randn(120, 4)
    network, path = convert(model, x[:1], code=Radix(1), calibrate=x, headroom=1.0), tmp_path / "a.nir"
    export.to_nir(network, path, profile="integrate-and-fire", sample=1)
    ours = simulate(export.from_nir(path), x, probe=["spikes"])
    trace, spikes = imported_run(IMPORTERS[one_step], path, x, 1, 1.0, list(ours.spikes))
    assert all(torch.equal(ours.spikes[name][0], theirs) for name, theirs in spikes.items())
    assert any(0.02 < theirs.float().mean() < 0.98 for theirs in spikes.values())
    assert torch.allclose(trace[:, 0], ours.mean[0], atol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
def test_convolutions(leaky: str, flat: bool, tmp_path: Path) -> None:
    if leaky != "SpikingJelly" and not flat:
        pytest.skip("Norse 1.1 and snnTorch 1.0 count the axes of Flatten with the batch's")
    model, x = maps(whole=not flat)
    network, path = spiking(model, x), tmp_path / "a.nir"
    dt = IMPORTERS[leaky].dt or network.dt
    export.to_nir(network, path, dt=dt, flat=flat)
    x = x.flatten(1) if flat else x
    ours = simulate(export.from_nir(path), x, steps=STEPS, probe=["spikes"], engine="reference")
    _, spikes = imported_run(IMPORTERS[leaky], path, x, STEPS, dt, list(ours.spikes))
    assert all(torch.equal(ours.spikes[name][0].flatten(2), theirs) for name, theirs in spikes.items())


@pytest.mark.parametrize(("name", "network"), [("sinabs", "leaky"), ("snnTorch", "thresholds")])
def test_what_an_importer_is_said_not_to_read_it_does_not(name: str, network: str, tmp_path: Path) -> None:
    """So that the profile is opened to it once it does."""
    path, steps = tmp_path / "a.nir", 1 if network == "thresholds" else STEPS
    model, x = decisions() if network == "thresholds" else dense()
    dt = IMPORTERS[installed(name)].dt
    if network == "thresholds":
        export.to_nir(convert(model, x), path, profile="threshold")
    else:
        export.to_nir(spiking(model, x), path, dt=dt)
    ours = simulate(export.from_nir(path), x, steps=steps, probe=["spikes"], engine="reference")
    try:
        _, spikes = imported_run(IMPORTERS[name], path, x, steps, dt or 1e-3, list(ours.spikes))
    except Exception:  # another library's, of whatever kind
        return
    assert not all(torch.equal(ours.spikes[layer][0], theirs) for layer, theirs in spikes.items())
