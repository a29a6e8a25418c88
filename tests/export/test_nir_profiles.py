"""Networks as NIR: what a graph does is what the network does, profile by profile; what cannot be said is named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from coarse_codes import coarse
from exported import decisions, dense, maps, spiking
from spikebayes import (
    LIF,
    Connection,
    ConversionError,
    Digits,
    Dropout,
    Input,
    Lowpass,
    Population,
    Radix,
    Readout,
    SpikingNetwork,
    Threshold,
    convert,
    export,
    simulate,
    with_blank_out,
)
from spikebayes.export.masks import keeps
from spikebayes.network import IF, Chain, Dense, DiscreteLIF, Permute, Reshape
from spikebayes.nn import SigmoidSign, SoftLIF

pytestmark = coarse

nir = pytest.importorskip("nir")
FLOAT = torch.float64


def read_back(network: SpikingNetwork, folder: Path, **options: object) -> SpikingNetwork:
    """What the network's file says."""
    export.to_nir(network, folder / "a.nir", overwrite=True, **options)  # pyright: ignore[reportArgumentType]
    return export.from_nir(folder / "a.nir")


# -- portable-lif ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [dense, lambda: maps(whole=True), lambda: maps(whole=False)])
def test_a_graph_is_the_network_under_the_mask_of_a_sample(made: object, tmp_path: Path) -> None:
    model, x = made()  # pyright: ignore[reportCallIssue]
    network = spiking(model, x)
    bare = replace(network, populations=tuple(replace(p, dropout=None) for p in network.populations))
    whole = read_back(bare, tmp_path)  # the exported neurons, without a mask
    noise = {p.name: p.dropout for p in network.populations if p.dropout}
    random = replace(whole, populations=tuple(replace(p, dropout=noise.get(p.name)) for p in whole.populations))
    options = {"seed": 7, "steps": 90, "burn_in": 30, "dtype": FLOAT, "probe": ["spikes"]}
    expected = simulate(random, x, samples=3, **options)  # pyright: ignore[reportArgumentType]
    for sample, row in ((0, 0), (2, 1)):
        masked = read_back(network, tmp_path, seed=7, sample=sample, row=row)
        found = simulate(masked, x[row : row + 1], **options)  # pyright: ignore[reportArgumentType]
        assert torch.allclose(found.mean[0, 0], expected.mean[sample, row], rtol=1e-4, atol=1e-5)
        masks = keeps(network, sample, row, 7)
        for name, spikes in expected.spikes.items():
            kept = masks[name].flatten()
            assert torch.equal(found.spikes[name][0, 0][:, kept], spikes[sample, row][:, kept])
            assert int(spikes[sample, row].sum()) > 1


def test_masks_go_into_the_weights_where_units_have_weights_of_their_own(tmp_path: Path) -> None:
    for whole in (True, False):
        model, x = maps(whole=whole)
        export.to_nir(spiking(model, x), tmp_path / "a.nir", overwrite=True)
        nodes = nir.read(tmp_path / "a.nir").nodes
        assert any(isinstance(node, nir.Scale) for node in nodes.values()) is not whole
        zeros = (nodes["output_affine"].weight == 0).all(0)  # the mask behind Flatten, unit by unit
        assert 0 < zeros.sum() < 24
    model, x = maps(whole=True)
    weight = spiking(model, x).connections[1].operator.parts[-1].weight
    assert weight is not None
    dropped = (nodes["layer5_conv2d"].weight == 0).all((0, 2, 3))
    assert dropped.sum() == 0  # of the last graph, whose mask is a Scale


def test_the_networks_own_neurons_are_those_of_the_graph_where_nothing_falls_below_0(tmp_path: Path) -> None:
    model, x = dense(p=0.0)
    for layer in model.children():
        if isinstance(layer, nn.Linear):
            layer.weight.data.abs_()
            layer.bias.data.abs_()
    x = x.abs()
    network = spiking(model, x, synapse=None)
    runs = [simulate(n, x, steps=80, probe=["spikes"], dtype=FLOAT) for n in (network, read_back(network, tmp_path))]
    for name, spikes in runs[0].spikes.items():
        assert torch.equal(spikes, runs[1].spikes[name])
        assert spikes.float().mean() > 0.05
    assert torch.allclose(runs[0].mean, runs[1].mean, rtol=1e-5)


def test_the_first_layer_fires_alike_and_what_differs_is_said(tmp_path: Path) -> None:
    model, x = dense(p=0.0)
    network = spiking(model, x)
    said = export.to_nir(network, tmp_path / "a.nir").differs
    assert any("below 0" in what for what in said)
    assert any("same step" in what for what in said)
    ours, theirs = (
        simulate(n, x, steps=100, probe=["spikes"], dtype=FLOAT)
        for n in (network, export.from_nir(tmp_path / "a.nir"))
    )
    assert torch.equal(ours.spikes["layer1"], theirs.spikes["layer1"])


def test_units_in_a_line_do_the_same(tmp_path: Path) -> None:
    model, x = maps(whole=False)
    network = spiking(model, x)
    options = {"steps": 90, "burn_in": 30, "dtype": FLOAT}
    maps_, line = (read_back(network, tmp_path, sample=2, flat=flat) for flat in (False, True))
    one, other = simulate(maps_, x, **options), simulate(line, x.flatten(1), **options)  # pyright: ignore
    assert torch.allclose(one.mean, other.mean, rtol=1e-4, atol=1e-5)
    kinds = {type(node) for node in nir.read(tmp_path / "a.nir").nodes.values()}
    assert kinds == {nir.Input, nir.Output, nir.Affine, nir.LIF, nir.CubaLIF}


def test_a_file_for_another_step_says_the_same(tmp_path: Path) -> None:
    model, x = dense()
    network = spiking(model, x)
    one, other = (read_back(network, tmp_path, dt=dt) for dt in (None, 1e-4))
    assert (one.dt, other.dt) == (1e-3, 1e-4)
    for a, b in zip(one.populations, other.populations, strict=True):
        assert isinstance(a.neuron, DiscreteLIF)
        assert isinstance(b.neuron, DiscreteLIF)
        assert a.neuron.tau_mem == pytest.approx(10 * b.neuron.tau_mem, rel=1e-6)
    runs = [simulate(n, x, steps=80, probe=["spikes"]) for n in (one, other)]
    assert all(torch.equal(runs[0].spikes[name], runs[1].spikes[name]) for name in runs[0].spikes)


def test_what_has_no_node_becomes_its_matrix_where_its_targets_stand_in_a_line(tmp_path: Path) -> None:
    turned = Chain((Permute((2, 1)), Reshape((6,)), Dense(torch.randn(3, 6))))
    wires = Connection("x", "a", turned), Connection("a", "readout", Dense(torch.eye(3)))
    population = Population("a", (3,), LIF(tau_ref=0.0), constant=torch.tensor([2.0, 1.5, 3.0]))
    network = SpikingNetwork((Input("x", (2, 3)),), (population,), wires, Readout((3,)))
    x = torch.randn(4, 2, 3)
    runs = [simulate(n, x, steps=100, burn_in=20, dtype=FLOAT) for n in (network, read_back(network, tmp_path))]
    assert torch.allclose(runs[0].mean, runs[1].mean, rtol=1e-4)
    assert runs[0].mean.std() > 0


# -- threshold and integrate-and-fire ----------------------------------------------------------------------


def test_threshold_units_go_out_for_one_step(tmp_path: Path) -> None:
    model, x = decisions()
    network = convert(model, x)
    for sample in range(3):
        back = read_back(network, tmp_path, profile="threshold", sample=sample, row=4)
        ours = simulate(network, x[4:5], samples=3, rows=[4], probe=["spikes"])
        theirs = simulate(back, x[4:5], probe=["spikes"])
        assert torch.allclose(ours.mean[sample], theirs.mean[0], rtol=1e-6)
    for node in nir.read(tmp_path / "a.nir").nodes.values():
        assert not isinstance(node, nir.IF) or bool((node.r == 1).all())


@pytest.mark.parametrize("threshold", [0.5, 0.1, -2.0, 0.0])
def test_at_its_threshold_a_unit_fires_and_below_it_does_not(threshold: float, tmp_path: Path) -> None:
    wires = Connection("x", "a", Dense(torch.ones(1, 1))), Connection("a", "readout", Dense(torch.ones(1, 1)))
    network = SpikingNetwork(
        (Input("x", (1,)),), (Population("a", (1,), Threshold(threshold)),), wires, Readout((1,))
    )
    export.to_nir(network, tmp_path / "a.nir", profile="threshold")
    at = np.float32(threshold)
    (node,) = [n for n in nir.read(tmp_path / "a.nir").nodes.values() if isinstance(n, nir.IF)]
    assert at > node.v_threshold[0]
    assert not np.nextafter(at, np.float32(-np.inf)) > node.v_threshold[0]


def test_a_code_of_two_numbers_is_integrate_and_fire(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 10), nn.ReLU(), nn.Dropout(0.2), nn.Linear(10, 2)).eval()
    x = 3 * torch.randn(8, 4)
    network = convert(model, x, code=Radix(1), calibrate=torch.randn(100, 4), headroom=1.0)
    ours = simulate(network, x, samples=2)
    for row in range(8):
        back = read_back(network, tmp_path, profile="integrate-and-fire", sample=1, row=row)
        assert torch.allclose(ours.mean[1, row], simulate(back, x[row : row + 1]).mean[0, 0], rtol=1e-5)
    assert 8 < ours.counts["layer1"][1].sum() < 60


# -- what cannot be said -----------------------------------------------------------------------------------


def joined(neuron: object, **options: object) -> SpikingNetwork:
    population = Population("units", (2,), neuron, **options)  # pyright: ignore[reportArgumentType]
    wires = Connection("x", "units", Dense(torch.eye(2))), Connection("units", "readout", Dense(torch.eye(2)))
    return SpikingNetwork((Input("x", (2,)),), (population,), wires, Readout((2,)))


def stochastic() -> SpikingNetwork:
    return convert(nn.Sequential(nn.Linear(2, 3), SigmoidSign(), nn.Linear(3, 1)), torch.zeros(1, 2))


def coded() -> SpikingNetwork:
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3, 1)).eval()
    return convert(model, torch.zeros(1, 2), code=Digits(4, 2), calibrate=torch.randn(100, 2))


@pytest.mark.parametrize(
    ("network", "profile", "words"),
    [
        (lambda: convert(*with_softlif()), "portable-lif", ["layer1", "1 ms", "tau_ref", "Alpha", "sb.Lowpass"]),
        (lambda: joined(LIF(tau_ref=0.0), dropout=Dropout(0.2, hold=5)), "portable-lif", ["'units'", "redrawn"]),
        (lambda: with_blank_out(joined(Threshold()), 0.5, inputs=True), "threshold", ["x -> units", "blank out"]),
        (lambda: joined(Threshold()), "portable-lif", ["units", "profile='threshold'"]),
        (lambda: joined(LIF(tau_ref=0.0)), "threshold", ["units", "profile='portable-lif'"]),
        (stochastic, "threshold", ["Bernoulli", "NIR has no such neuron"]),
        (coded, "integrate-and-fire", ["Digits(radix=4, digits=2)", "16 numbers"]),
        (coded, "portable-lif", ["Digits(radix=4, digits=2)", "16 numbers"]),
        (lambda: joined(DiscreteLIF(v_reset=None)), "portable-lif", ["units", "v_reset"]),
        (lambda: joined(IF(v_reset=None)), "integrate-and-fire", ["units", "v_reset"]),
    ],
)  # fmt: skip
def test_what_nir_cannot_say_is_named_with_what_to_use(
    network: object, profile: str, words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConversionError) as refused:
        export.to_nir(network(), tmp_path / "a.nir", profile=profile)  # pyright: ignore[reportCallIssue]
    assert all(word in str(refused.value) for word in words), refused.value
    assert "\n" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def with_softlif() -> tuple[nn.Module, Tensor]:
    hidden = nn.Linear(2, 3), SoftLIF(), nn.Linear(3, 3), SoftLIF()
    return nn.Sequential(*hidden, nn.Linear(3, 1)), torch.zeros(1, 2)


def test_filters_and_biases_that_differ_within_a_population(tmp_path: Path) -> None:
    first, second = (Population(name, (2, 3, 3), LIF(tau_ref=0.0)) for name in "ab")
    from spikebayes.network import Conv

    conv = Conv(torch.randn(2, 2, 1, 1), (1, 1), (0, 0), (1, 1))
    uneven = replace(second, constant=torch.randn(2, 3, 3))
    wires = Connection("x", "a", conv), Connection("a", "b", conv, Lowpass(0.01)), Connection("x", "b", conv)
    out = Connection("b", "readout", Chain((Reshape((-1,)), Dense(torch.randn(1, 18)))))
    network = SpikingNetwork((Input("x", (2, 3, 3)),), (first, uneven), (*wires, out), Readout((1,)))
    with pytest.raises(ConversionError, match=r"(?s)1\. population 'b'.*different filters.*2\. 'b'.*biases differ"):
        export.to_nir(network, tmp_path / "a.nir")
