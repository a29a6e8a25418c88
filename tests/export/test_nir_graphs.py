"""Graphs of NIR as networks: against Euler's rule in NumPy, there and back, and what is refused by node."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from exported import decisions, dense, maps, spiking
from spikebayes import (
    ConfigError,
    ConversionError,
    Dropout,
    StoreError,
    Threshold,
    convert,
    export,
    predict,
    simulate,
)
from spikebayes.network import IF, DiscreteLIF

nir = pytest.importorskip("nir")
Array = NDArray[Any]
T = 60


def full(n: int, value: float, dtype: type = np.float32) -> Array:
    return np.full(n, value, dtype)


def lif(n: int, tau: float = 0.01, **other: Any) -> Any:
    given = {"r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0} | other
    return nir.LIF(tau=full(n, tau), **{name: full(n, value) for name, value in given.items()})


def chain(*nodes: Any, shape: tuple[int, ...] = (3,), out: tuple[int, ...] = (2,)) -> Any:
    names = ["input", *(f"n{k}" for k in range(len(nodes))), "output"]
    ends = nir.Input(np.array(shape)), nir.Output(np.array(out))
    parts = dict(zip(names, [ends[0], *nodes, ends[1]], strict=True))
    return nir.NIRGraph(parts, list(pairwise(names)), type_check=False)


def conv() -> Any:
    return nir.Conv1d(3, np.ones((1, 1, 2), np.float32), 1, 0, 1, 1, full(1, 0.0))


def by_channel(scale: tuple[int, ...], threshold: tuple[int, ...]) -> Any:
    """Of two channels of 2 x 2, a scale and a threshold of 1 and 3 each; nothing tells the axes apart."""
    values = np.array([1.0, 3.0], np.float32)
    neuron = nir.IF(*(np.full((2, 2, 2), value, np.float32) for value in (1, 1, 0)))
    neuron.v_threshold = values.reshape(threshold)
    flat = nir.Flatten({"input": np.array([2, 2, 2])}, 0)
    return chain(nir.Scale(values.reshape(scale)), neuron, flat, shape=(2, 2, 2), out=(8,))


def unshaped() -> Any:
    graph = chain(nir.Linear(np.ones((2, 3))))
    graph.nodes["input"].input_type["input"] = None
    return graph


def same(one: Any, other: Any) -> bool:
    """Whether graphs have the same nodes, edges and arrays, to the bit."""

    def parts(node: Any) -> dict[str, Any]:
        arrays = {k: np.asarray(v) for k, v in node.to_dict().items() if k not in ("metadata", "type")}
        return {k: (a.shape, a.tolist()) for k, a in arrays.items()} | {"": type(node).__name__}

    return set(one.edges) == set(other.edges) and {k: parts(n) for k, n in one.nodes.items()} == {
        k: parts(n) for k, n in other.nodes.items()
    }


# -- what a graph does -------------------------------------------------------------------------------------


def test_current_based_neurons_step_by_eulers_rule() -> None:
    rng = np.random.default_rng(0)
    weight, bias, out = rng.normal(size=(4, 3)) * 8, rng.normal(size=4), rng.normal(size=(2, 4))
    taus = {"tau_syn": np.array([0.004, 0.005, 0.006, 0.008]), "tau_mem": np.array([0.01, 0.02, 0.015, 0.01])}
    more = {"r": full(4, 1.5, float), "v_leak": full(4, 0.1, float), "w_in": np.array([1.0, 2.0, 1.0, 0.5])}
    fires = {"v_threshold": np.array([0.3, 0.2, 0.5, 0.4]), "v_reset": full(4, 0.05, float)}
    graph = chain(nir.Affine(weight, bias), nir.CubaLIF(**taus, **more, **fires), nir.Linear(out))
    network = export.from_nir(graph, dt=1e-3)
    x = rng.normal(size=(5, 3))
    run = simulate(network, torch.from_numpy(x), steps=T, probe=["spikes", "trace"], dtype=torch.float64)

    current, voltage = np.zeros((5, 4)), full(4, 0.1, float) * np.ones((5, 1))
    count = 0
    assert run.trace is not None
    for t in range(T):
        current = current + 1e-3 / taus["tau_syn"] * (more["w_in"] * (x @ weight.T + bias) - current)
        voltage = voltage + 1e-3 / taus["tau_mem"] * (0.1 - voltage + 1.5 * current)
        spikes = voltage > fires["v_threshold"]
        voltage = np.where(spikes, 0.05, voltage)
        np.testing.assert_array_equal(run.spikes["n1"][0, :, t].numpy(), spikes)
        np.testing.assert_allclose(run.trace[0, :, t].numpy(), spikes @ out.T, atol=1e-12)
        count += spikes.sum()
    assert 100 < count < 900


def test_maps_pools_scales_and_flattened_axes() -> None:
    rng = np.random.default_rng(1)
    kernel, bias = rng.normal(size=(4, 2, 3, 3)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    scale = rng.normal(size=(4, 3, 3)).astype(np.float32)
    nodes = [
        nir.Conv2d((6, 6), kernel, (1, 1), (1, 1), (1, 1), 1, bias),
        nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        nir.Scale(scale),
        nir.AvgPool2d(np.array([3, 1]), np.array([1, 1]), np.array([1, 0])),
        nir.Flatten({"input": np.array([4, 3, 3])}, start_dim=0),
        nir.Threshold(full(36, 0.5)),
        nir.Affine(rng.normal(size=(2, 36)).astype(np.float32), np.array([1.0, -1.0], np.float32)),
    ]
    network = export.from_nir(chain(*nodes, shape=(2, 6, 6)))
    x = torch.randn(3, 2, 6, 6)
    conv = torch.nn.functional.conv2d(x, torch.from_numpy(kernel), torch.from_numpy(bias), padding=1)
    pooled = 4 * torch.nn.functional.avg_pool2d(conv, 2) * torch.from_numpy(scale)
    units = (torch.nn.functional.avg_pool2d(pooled, (3, 1), 1, (1, 0)).flatten(1) > 0.5).float()
    expected = units @ torch.from_numpy(nodes[-1].weight).T + torch.tensor([1.0, -1.0])
    assert torch.allclose(simulate(network, x).mean[0], expected, atol=1e-5)
    assert 0.1 < units.mean() < 0.9
    assert isinstance(network.populations[0].neuron, Threshold)


def test_parameters_of_channels_lie_along_them() -> None:
    network = export.from_nir(by_channel((2, 1, 1), (2, 1, 1)))
    x = torch.tensor([[1.0, 1.0], [2.0, 0.5]])[:, :, None, None].expand(2, 2, 2, 2)  # by row and channel
    spikes = simulate(network, x, steps=1).mean[0]
    assert spikes.tolist() == [[0.0] * 8, [1.0] * 4 + [0.0] * 4]  # a spike above the threshold, none at it


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_bias_of_weights_on_the_last_axis_lies_along_it(rows: int) -> None:
    rng = np.random.default_rng(2)
    weight, bias = rng.normal(size=(2, 3)).astype(np.float32), np.array([10, 20], np.float32)
    nodes = nir.Affine(weight, bias), nir.Flatten({"input": np.array([rows, 2])}, start_dim=0)
    network = export.from_nir(chain(*nodes, shape=(rows, 3), out=(2 * rows,)))
    x = rng.normal(size=(4, rows, 3)).astype(np.float32)
    found = simulate(network, torch.from_numpy(x)).mean[0].numpy()
    np.testing.assert_allclose(found, (x @ weight.T + bias).reshape(4, -1), rtol=1e-5)


@pytest.mark.parametrize(("weights", "biases"), [(np.float32, np.float64), (np.float64, np.float32)])
def test_arrays_of_both_precisions_go_together(weights: type, biases: type) -> None:
    first, last = np.array([[1, 2], [3, 4]]), np.array([[1, -1]])
    nodes = nir.Affine(first.astype(weights), np.array([10, 20], biases)), nir.Linear(last.astype(np.float32))
    x = torch.tensor([[1.0, 0.5]])
    assert simulate(export.from_nir(chain(*nodes, shape=(2,), out=(1,))), x).mean.item() == 12 - 25
    kernel = np.ones((1, 1, 2))
    convs = [nir.Conv1d(n, kernel.astype(w), 1, 0, 1, 1, full(1, 0.5, b)) for n, w, b in ((3, weights, biases),
             (2, np.float32, np.float32))]  # fmt: skip
    maps = simulate(export.from_nir(chain(*convs, shape=(1, 3), out=(1, 1))), torch.ones(1, 1, 3))
    assert maps.mean.item() == 2 * 2.5 + 0.5


def test_edges_into_a_node_add_up_and_a_bias_counts_once() -> None:
    nodes = {
        "input": nir.Input(np.array([2])),
        "left": nir.Affine(np.eye(2, dtype=np.float32), np.array([1.0, 2.0], np.float32)),
        "right": nir.Linear(np.full((2, 2), 0.5, np.float32)),
        "both": nir.Affine(np.eye(2, dtype=np.float32) * 3, np.array([0.25, 0.0], np.float32)),
        "output": nir.Output(np.array([2])),
    }
    edges = [("input", "left"), ("input", "right"), ("left", "both"), ("right", "both"), ("both", "output")]
    network = export.from_nir(nir.NIRGraph(nodes, edges))
    x = torch.tensor([[1.0, -2.0]])
    expected = 3 * (x + torch.tensor([1.0, 2.0]) + 0.5 * x.sum()) + torch.tensor([0.25, 0.0])
    assert torch.allclose(simulate(network, x).mean[0], expected)


def test_a_graph_without_time_steps_in_units_of_a_step() -> None:
    nodes = nir.Linear(np.array([[0.4]], np.float32)), nir.IF(r=full(1, 1.0), v_threshold=full(1, 1.0))
    graph = chain(*nodes, shape=(1,), out=(1,))
    spikes = simulate(export.from_nir(graph), torch.ones(1, 1), steps=9, probe=["spikes"]).spikes["n1"]
    assert spikes.flatten().nonzero().flatten().tolist() == [2, 5, 8]  # 0.4, 0.8, 1.2
    slow = export.from_nir(graph, dt=0.5)
    assert simulate(slow, torch.ones(1, 1), steps=12).counts["n1"].item() == 2  # dt r x = 0.2


def test_dropout_is_added_by_the_caller() -> None:
    rng = np.random.default_rng(2)
    weights = [rng.normal(size=shape).astype(np.float32) * 4 for shape in ((8, 3), (2, 8))]
    graph = chain(nir.Linear(weights[0]), lif(8), nir.Linear(weights[1]))
    network = export.from_nir(graph, dropout={"n1": 0.25, "input": Dropout(0.1, site=7)}, dt=1e-3)
    assert network.populations[0].dropout == Dropout(0.25, site=1)
    assert network.inputs[0].dropout == Dropout(0.1, site=7)
    x = torch.randn(4, 3)
    assert predict(network, x, samples=20, steps=60, burn_in=20).model_std.min() > 0
    whole = export.from_nir(graph, dt=1e-3)
    assert not whole.is_random
    with pytest.raises(ConfigError, match=r"'inputs'.*\(did you mean 'input'"):
        export.from_nir(graph, dropout={"inputs": 0.1})


# -- there and back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("made", [dense, lambda: maps(whole=True), lambda: maps(whole=False)])
def test_lif_networks_there_and_back(made: Any, dtype: torch.dtype, tmp_path: Path) -> None:
    model, x = made()
    network = spiking(model.to(dtype), x.to(dtype))
    export.to_nir(network, tmp_path / "a.nir", sample=3)
    back = export.from_nir(tmp_path / "a.nir")
    export.to_nir(back, tmp_path / "b.nir")
    again = export.from_nir(tmp_path / "b.nir")
    assert same(nir.read(tmp_path / "a.nir"), nir.read(tmp_path / "b.nir"))
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()
    runs = [simulate(n, x, probe=["spikes"]) for n in (back, again)]
    assert all(torch.equal(runs[0].spikes[name], runs[1].spikes[name]) for name in runs[0].spikes)
    assert torch.equal(runs[0].mean, runs[1].mean)
    assert back.timing == again.timing


def test_threshold_networks_there_and_back(tmp_path: Path) -> None:
    model, x = decisions()
    network = convert(model, x)
    for name in "ab":
        export.to_nir(network, tmp_path / f"{name}.nir", profile="threshold")
        network = export.from_nir(tmp_path / f"{name}.nir")
    assert network.is_memoryless
    assert (tmp_path / "a.nir").read_bytes() == (tmp_path / "b.nir").read_bytes()


@pytest.mark.parametrize(
    ("neuron", "profile", "kind"),
    [
        (lambda: lif(4, 0.02, r=2.5, v_leak=0.1, v_threshold=0.7, v_reset=-0.2), "portable-lif", DiscreteLIF),
        (lambda: nir.LIF(*(np.array([0.01, 0.02, 0.03, 0.04], np.float32) * k for k in (1, 20, 0, 30))),
         "portable-lif", DiscreteLIF),
        (lambda: nir.CubaLIF(*(full(4, v) for v in (0.004, 0.01, 1.0, 0.0, 1.0))), "portable-lif", DiscreteLIF),
        (lambda: nir.LIF(*(full(4, v, np.float64) for v in (0.02, 1.1, 0.1, 0.7))), "portable-lif", DiscreteLIF),
        (lambda: nir.IF(r=full(4, 1.0), v_threshold=np.array([1, 2, 3, 4], np.float32)), "integrate-and-fire", IF),
    ],
)  # fmt: skip
def test_graphs_of_others_there_and_back(neuron: Any, profile: str, kind: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    first = nir.Affine(rng.normal(size=(4, 3)).astype(np.float32), np.zeros(4, np.float32))
    graph = chain(first, neuron(), nir.Linear(rng.normal(size=(2, 4)).astype(np.float32)))
    network = export.from_nir(graph)
    assert isinstance(network.populations[0].neuron, kind)
    export.to_nir(network, tmp_path / "a.nir", profile=profile)
    found = nir.read(tmp_path / "a.nir")
    renamed = {"n1_affine": "n0", "n1": "n1", "output_linear": "n2", "input": "input", "output": "output"}
    nodes = {renamed[name]: node for name, node in found.nodes.items()}
    edges = [(renamed[a], renamed[b]) for a, b in found.edges]
    assert same(nir.NIRGraph(nodes, edges), graph)


def test_arguments_keep_their_order(tmp_path: Path) -> None:
    nodes = {"second": nir.Input(np.array([2])), "first": nir.Input(np.array([3]))}
    nodes |= {"a": nir.Linear(np.ones((1, 2), np.float32)), "b": nir.Linear(np.full((1, 3), 10, np.float32))}
    edges = [("second", "a"), ("first", "b"), ("a", "output"), ("b", "output")]
    network = export.from_nir(nir.NIRGraph(nodes | {"output": nir.Output(np.array([1]))}, edges))
    x = [torch.ones(1, 2), torch.ones(1, 3)]
    assert simulate(network, x).mean.item() == 32
    export.to_nir(network, tmp_path / "a.nir", profile="threshold")
    assert simulate(export.from_nir(tmp_path / "a.nir"), x).mean.item() == 32


# -- what is refused ---------------------------------------------------------------------------------------


def test_everything_that_a_network_cannot_have_is_named() -> None:
    li = nir.LI(tau=full(2, 0.1), r=full(2, 1.0), v_leak=full(2, 0.0))
    with pytest.raises(ConversionError, match=r"node 'n1': .* no LI; .*node 'n2': .* no Delay"):
        export.from_nir(chain(nir.Linear(np.ones((2, 3))), li, nir.Delay(full(2, 0.1))))


def test_recurrence_is_named() -> None:
    nodes = {"input": nir.Input(np.array([2])), "lif": lif(2), "back": nir.Linear(np.eye(2)), "out": nir.Output([2])}
    edges = [("input", "lif"), ("lif", "back"), ("back", "lif"), ("lif", "out")]
    with pytest.raises(ConversionError, match=r"recurrent \((lif -> back -> lif|back -> lif -> back)\)"):
        export.from_nir(nir.NIRGraph(nodes, edges, type_check=False))
    inner = nir.NIRGraph.from_list(nir.Linear(np.eye(2)))
    with pytest.raises(ConversionError, match="node 'n0': a network has no NIRGraph"):
        export.from_nir(chain(inner, shape=(2,)))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: chain(nir.Linear(np.ones((2, 4)))), r"node 'n0' \(Linear\).*rows of shape \[3\]"),
        (lambda: chain(nir.Linear(np.ones((2, 3))), lif(5)), None),
        (lambda: chain(nir.Linear(np.ones((2, 3))), nir.LIF(*(np.arange(1, 6) * 0.1,) * 4)), r"node 'n1' \(LIF\)"),
        (lambda: chain(nir.Linear(np.ones((2, 3))), lif(2, tau=1e-4)), r"node 'n1' .* below the step of 0.001 s"),
        (lambda: chain(nir.Linear(np.ones((2, 3))), nir.Threshold(np.array([1.0, 2.0]))), r"node 'n1' .* alike"),
        (lambda: chain(nir.Affine(np.ones((2, 3)), np.ones(3))), r"node 'n0' .*bias has the shape \[3\].* 2 rows"),
        (lambda: chain(nir.Linear(np.full((2, 3), np.nan))), r"node 'n0' .*NaN or infinite"),
        (lambda: chain(conv()), r"node 'n0' \(Conv1d\): it takes rows of shape \[channels, length\]; got \[3\]"),
        (lambda: by_channel((2,), (2, 1, 1)), r"node 'n0' .* shape \[2\] .* channels as \[2, 1, 1\]"),
        (lambda: chain(nir.Scale(np.array([1.0, 2.0]))), r"node 'n0' .* shape \[2\] .* shape \[3\]; write 3 of them"),
        (
            lambda: chain(nir.Scale(np.ones((3, 1, 1)) * 2 + np.arange(3)[:, None, None]), shape=(1, 4, 4)),
            r"node 'n0'",
        ),
        (lambda: by_channel((2, 1, 1), (2,)), r"node 'n1' .* shape \[2\] .* channels as \[2, 1, 1\]"),
        (lambda: unshaped(), r"node 'input' \(Input\): it has no shape; give its input_type"),
    ],
)
def test_a_node_that_does_not_fit_is_named(graph: Any, message: str | None) -> None:
    if message is None:
        export.from_nir(graph())  # parameters that are all alike go for any number of neurons
        return
    with pytest.raises(ConversionError, match=message):
        export.from_nir(graph())


def test_edges_and_metadata_that_do_not_add_up() -> None:
    graph = chain(nir.Linear(np.ones((2, 3))), lif(2))
    graph.edges.append(("n1", "elsewhere"))
    with pytest.raises(ConversionError, match="edge n1 -> elsewhere joins nodes that are not in the graph"):
        export.from_nir(graph)
    twice = chain(nir.Linear(np.eye(2)), shape=(2,))
    twice.edges.append(twice.edges[0])
    twice.metadata = {"dt": "fast", "notes": np.arange(3)}
    with pytest.raises(ConversionError, match="metadata is inconsistent"):
        export.from_nir(twice)
    twice.metadata = {"dt": 2e-4, "notes": np.arange(3)}
    network = export.from_nir(twice)
    assert network.dt == 2e-4
    assert simulate(network, torch.ones(1, 2)).mean.tolist() == [[[1.0, 1.0]]]  # an edge given twice is one edge


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="missing"):
        export.from_nir(tmp_path / "none.nir")
    (tmp_path / "text.nir").write_text("no graph")
    with pytest.raises(StoreError, match=r"text\.nir is damaged, or holds no NIR graph"):
        export.from_nir(tmp_path / "text.nir")
    with pytest.raises(ConfigError, match=r"takes a nir\.NIRGraph or the path of one; got int"):
        export.from_nir(3)
