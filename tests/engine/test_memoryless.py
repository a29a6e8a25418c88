"""Networks without memory on the CPU engine: the reference's bits, whatever the batch, the threads and the dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from spikebayes import (
    LIF,
    BlankOut,
    ConfigError,
    Connection,
    Dropout,
    Input,
    Lowpass,
    Population,
    Readout,
    Run,
    Sign,
    SpikingNetwork,
    Threshold,
    convert,
    integers,
    predict,
    simulate,
)
from spikebayes.engine.contract import SPIKES, TRACE
from spikebayes.engine.memoryless import engine as memoryless
from spikebayes.engine.memoryless import int8_products
from spikebayes.engine.memoryless.engine import MemorylessEngine
from spikebayes.network.neurons import Bernoulli, Curve
from spikebayes.network.noise import Exact, Gaussian, Law
from spikebayes.network.operators import Chain, Conv, Dense, Operator, Reshape, size, target_shape
from spikebayes.nn import NoisySign, Permadrop, Sharpened, zoo

SIXTEENTHS = 16.0  # weights and inputs are whole numbers of them, so that sums are exact in any order
DTYPES = [torch.float32, torch.float64]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for as long as the test runs."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def whole(rng: torch.Generator, *shape: int, most: int = 24) -> Tensor:
    return torch.randint(-most, most + 1, shape, generator=rng) / SIXTEENTHS


@st.composite
def nets(draw: st.DrawFn, gaussian: bool = False) -> tuple[SpikingNetwork, Tensor]:
    """1 to 3 layers on maps or flat, skip connections among them, and ``[rows, *shape]`` to run it on.

    All sums are exact: weights, constants and scales are binary fractions, and masks drop a half or three quarters.
    """
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**32 - 1)))
    maps = draw(st.booleans())
    shape = (draw(st.integers(1, 3)), 4, draw(st.integers(3, 5))) if maps else (draw(st.integers(1, 40)),)
    site = iter(range(100))

    def dropout() -> Dropout | None:
        p = draw(st.sampled_from([None, None, 0.5, 0.75]))
        hold, start = draw(st.sampled_from([None, 1, 3])), draw(st.integers(0, 2))
        after = draw(st.booleans())
        return None if p is None else Dropout(p, hold, next(site), draw(st.integers(0, 3)), 1, start, after)

    def noise(units: int) -> BlankOut | None:
        if draw(st.integers(0, 3)) == 0:
            return None
        sampling = draw(st.sampled_from([Exact(), Gaussian()] if gaussian else [Exact()]))
        keep, hold = draw(st.sampled_from([0.5, 0.75, 0.9])), draw(st.sampled_from([None, 1, 2]))
        scale = draw(st.sampled_from([0.25, -0.5, None]))
        scale = whole(rng, units) if scale is None else scale
        return BlankOut(keep, scale, hold, next(site), sampling, draw(st.booleans()))

    def neuron() -> Any:
        stochastic = st.builds(
            Bernoulli,
            st.sampled_from(list(Curve)),
            st.sampled_from([-1, 0]),
            st.integers(0, 99).map(lambda _: next(site)),
        )
        return draw(st.just(Sign()) | st.builds(Threshold, st.sampled_from([-0.25, 0.0, 1.0])) | stochastic)

    def operator(source: tuple[int, ...], target: tuple[int, ...] | None) -> Operator:
        """From a source to a target; where there is none yet, whatever comes out is its shape."""
        if target is None and len(source) == 3 and draw(st.booleans()):
            channels, kernel = draw(st.integers(1, 20)), draw(st.integers(1, min(3, *source[1:])))
            padding = draw(st.sampled_from([(0, 0), (1, 1), "same"])) if kernel % 2 else (1, 0)
            strides = (1, 1) if padding == "same" else (draw(st.integers(1, 2)), 1)
            return Conv(whole(rng, channels, source[0], kernel, kernel), strides, padding, (1, 1))
        units = draw(st.integers(1, 45)) if target is None else size(target)
        dense = Dense(whole(rng, units, size(source)))
        parts = (*((Reshape((size(source),)),) if len(source) > 1 else ()), dense)
        parts += (Reshape(target),) if target is not None and len(target) > 1 else ()
        return parts[0] if len(parts) == 1 else Chain(parts)

    inputs = Input("x", shape, dropout())
    nodes: list[Any] = [inputs]
    wires: list[Connection] = []
    for k in range(draw(st.integers(1, 3)) + 1):
        last = nodes[-1]
        made = operator(last.shape, None)
        reached = target_shape(made, last.shape)
        name = f"layer{k}"
        units = reached[0]
        wires.append(Connection(last.name, name, made, None, noise(units)))
        for earlier in nodes[:-1]:
            if draw(st.booleans()):
                skip = operator(earlier.shape, reached)
                flat = isinstance(skip, Dense) or (isinstance(skip, Chain) and isinstance(skip.operators[-1], Dense))
                wires.append(Connection(earlier.name, name, skip, None, noise(units) if flat else None))
        nodes.append(Population(name, reached, neuron(), dropout(), draw(st.none() | st.just(whole(rng, *reached)))))
    last = nodes.pop()
    wires = [replace(c, target="readout") if c.target == last.name else c for c in wires]
    readout = Readout(last.shape, last.constant)
    rows = draw(st.integers(1, 4))
    return SpikingNetwork((inputs,), tuple(nodes[1:]), tuple(wires), readout), whole(rng, rows, *shape)


def runs_alike(network: SpikingNetwork, x: Any, dtype: torch.dtype = torch.float32, **settings: Any) -> Run:
    """Every spike and every number of the CPU engine is the reference's. Returns the CPU's run."""
    assert network.is_memoryless
    expected, actual = (
        simulate(network, x, probe=[SPIKES, TRACE], dtype=dtype, engine=engine, **settings)
        for engine in ("reference", "cpu")
    )
    for name, count in expected.counts.items():
        assert torch.equal(actual.spikes[name], expected.spikes[name]), name
        assert torch.equal(actual.counts[name], count), name
    assert expected.trace is not None
    assert actual.trace is not None
    assert torch.equal(actual.trace, expected.trace)
    assert torch.equal(actual.mean, expected.mean)
    return actual


@pytest.mark.slow
def test_any_network() -> None:
    tally = {"networks": 0, "random": 0, "blanked maps": 0, "both on and off": 0}

    @given(
        nets(),
        st.integers(1, 7),
        st.integers(0, 2**64 - 1),
        st.sampled_from(["row", "pass"]),
        st.sampled_from(DTYPES),
        st.booleans(),
    )
    @settings(max_examples=150)
    def check(drawn: Any, steps: int, seed: int, scope: str, dtype: torch.dtype, late: bool) -> None:
        network, x = drawn
        rows = torch.arange(len(x)) * 1000 + 7
        common: dict[str, Any] = {"samples": 3, "steps": steps, "seed": seed, "mask_scope": scope, "rows": rows}
        run = runs_alike(network, x, dtype, burn_in=steps // 2 if late else 0, **common)
        assert run.trace is not None
        tally["networks"] += 1
        tally["random"] += bool((run.trace.std(0, correction=0) > 0).any())
        tally["blanked maps"] += any(c.blank_out and isinstance(c.operator, Conv) for c in network.connections)
        spikes = run.spikes[network.populations[-1].name].double()
        tally["both on and off"] += bool(0 < spikes.mean() < 1)

    check()
    networks = tally["networks"]
    assert tally["random"] > 0.7 * networks
    assert tally["blanked maps"] > 0.15 * networks
    assert tally["both on and off"] > 0.6 * networks


@pytest.mark.slow
@given(nets(gaussian=True), st.integers(1, 4), st.integers(0, 2**64 - 1))
@settings(max_examples=60)
def test_gaussian_sums_up_to_the_order_of_summation(drawn: Any, steps: int, seed: int) -> None:
    """A normal draw has no grid, so a unit within rounding of its threshold may differ: none does in float64."""
    network, x = drawn
    expected, actual = (
        simulate(network, x, samples=3, steps=steps, seed=seed, probe=[SPIKES], dtype=torch.float64, engine=engine)
        for engine in ("reference", "cpu")
    )
    for name, spikes in expected.spikes.items():
        assert torch.equal(actual.spikes[name], spikes)
    torch.testing.assert_close(actual.mean, expected.mean, rtol=1e-12, atol=1e-12)


# -- converted modules ---------------------------------------------------------------------------------------


def mixed() -> nn.Module:
    return nn.Sequential(*zoo.s2m(30, 20, (40, 35), keep=0.9), nn.Flatten())


def images(model: nn.Module) -> tuple[nn.Module, Tensor]:
    return model, torch.rand(5, 1, 28, 28, generator=torch.Generator().manual_seed(3)) * 2 - 1


def rows(model: nn.Module) -> tuple[nn.Module, Tensor]:
    return model, torch.randn(15, 30, generator=torch.Generator().manual_seed(3))


MODULES: dict[str, Callable[[], tuple[nn.Module, Tensor]]] = {
    "dense": lambda: rows(zoo.s2m(30, 4, (40, 35), keep=0.5)),
    "dense, of 32 bits": lambda: rows(mixed()),
    "sigmoid": lambda: rows(zoo.sigmoid_network(30, 4, (40, 35))),
    "convolutional": lambda: images(zoo.s2m_conv(4)),
}
SAMPLINGS = [Exact(), Law()]


def made(name: str, sampling: Any = Exact()) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    model, x = MODULES[name]()
    for parameter in model.parameters():  # no two units of one beta
        parameter.data += 0.1 * torch.randn_like(parameter)
    return convert(model, x, sampling=sampling), x


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_converted_modules(name: str, sampling: Any) -> None:
    network, x = made(name, sampling)
    run = runs_alike(network, x, samples=2 if name == "convolutional" else 20, steps=2, seed=5)
    assert run.mean.std(0).min() > 0


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("name", MODULES)
def test_float64_gives_the_samples_of_float32(name: str, sampling: Any) -> None:
    network, x = made(name, sampling)
    single, double = (simulate(network, x, samples=10, steps=2, seed=5, probe=[SPIKES], dtype=d) for d in DTYPES)
    for p in network.populations:
        assert torch.equal(single.spikes[p.name], double.spikes[p.name]), p.name
    torch.testing.assert_close(single.mean, double.mean.float(), rtol=1e-6, atol=1e-6)


# -- batches, threads, order ---------------------------------------------------------------------------------


@pytest.fixture(params=[*((name, Exact()) for name in MODULES), ("dense", Gaussian()), ("dense", Law())], ids=str)
def case(request: pytest.FixtureRequest) -> tuple[Callable[..., Tensor], Tensor]:
    network, x = made(*request.param)

    def sample(x: Tensor, samples: int = 30, **settings: Any) -> Tensor:
        return predict(network, x, samples=samples, engine="cpu", **settings).samples

    return sample, x


@pytest.mark.parametrize("scope", ["row", "pass"])
def test_samples_do_not_depend_on_the_batch_size(case: Any, scope: str) -> None:
    sample, x = case
    all_at_once = sample(x, mask_scope=scope)
    assert all_at_once.std(0).min() > 0
    for batch_size in (1, 7, len(x)):
        assert torch.equal(sample(x, mask_scope=scope, batch_size=batch_size), all_at_once)


def test_samples_do_not_depend_on_the_threads(case: Any, threads: Callable[[int], None]) -> None:
    sample, x = case
    threads(1)
    alone = sample(x)
    threads(2)
    assert torch.equal(sample(x), alone)
    assert torch.get_num_threads() == 2


def test_samples_follow_their_rows(case: Any) -> None:
    sample, x = case
    once = sample(x)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    assert torch.equal(sample(x[order], rows=order), once[:, order])
    assert torch.equal(sample(x[2:], rows=range(2, len(x))), once[:, 2:])


@pytest.mark.parametrize("engine", ["cpu", "reference"])
def test_the_steps_of_a_run_are_samples(case: Any, engine: str, request: pytest.FixtureRequest) -> None:
    """Without dropout, step t of a run of sample s is sample s + t."""
    network, x = made(*request.node.callspec.params["case"])
    run = simulate(network, x[:3], steps=9, probe=[TRACE], seed=2, engine=engine)
    assert run.trace is not None
    samples = predict(network, x[:3], samples=9, seed=2, engine=engine).samples
    assert torch.equal(run.trace[0].transpose(0, 1), samples)
    torch.testing.assert_close(run.mean[0], samples.mean(0), rtol=1e-5, atol=1e-6)


def test_what_no_noise_comes_before_is_computed_once_and_the_same() -> None:
    """Signs of a linear layer, quiet, into the units and past them; the same as under a mask that drops nothing."""
    rng = torch.Generator().manual_seed(0)
    wires = (
        Connection("x", "quiet", Dense(whole(rng, 8, 5))),
        Connection("quiet", "noisy", Dense(whole(rng, 6, 8)), blank_out=BlankOut(0.5, site=1)),
        Connection("x", "noisy", Dense(whole(rng, 6, 5))),
        Connection("noisy", "readout", Dense(whole(rng, 2, 6))),
        Connection("quiet", "readout", Dense(whole(rng, 2, 8))),
        Connection("x", "readout", Dense(whole(rng, 2, 5))),
    )
    quiet, noisy = Population("quiet", (8,), Sign(), None, whole(rng, 8)), Population("noisy", (6,), Sign())
    network = SpikingNetwork((Input("x", (5,)),), (quiet, noisy), wires, Readout((2,)))
    masked = replace(network, inputs=(Input("x", (5,), Dropout(0.0)),))
    barely = replace(network, inputs=(Input("x", (5,), Dropout(1e-30)),))  # is drawn, and drops nothing
    x = whole(rng, 300, 5)
    run = runs_alike(network, x, samples=4, steps=3)
    assert run.mean.std(0).max() > 0
    assert run.counts["quiet"].unique().numel() > 3
    for other in (masked, barely):
        assert torch.equal(simulate(other, x, samples=4, steps=3).mean, run.mean)


def test_signs_under_a_mask_whose_factor_the_weights_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dropped sign is 0, not -1, in whole numbers too, whose masks do not rescale."""
    monkeypatch.setattr(int8_products, "LEAST", 0)
    torch.manual_seed(0)
    layers = [nn.Linear(5, 40), NoisySign(0.0), Permadrop(0.5), nn.Linear(40, 30), NoisySign(0.0), Permadrop(0.5)]
    network = integers(convert(nn.Sequential(*layers, nn.Linear(30, 3)), torch.zeros(1, 5)), bits=6).network
    assert [p.dropout and p.dropout.rescale for p in network.populations] == [False, False]
    run = runs_alike(network, torch.randn(20, 5), samples=4, steps=2)
    assert run.mean.std(0).max() > 0


@pytest.mark.slow
def test_small_layers_by_products_too() -> None:
    """The same networks with all layers by 8-bit products, and rows in small groups."""
    taken: list[bool] = []

    @given(nets(), st.integers(1, 4), st.integers(0, 2**64 - 1), st.sampled_from(DTYPES))
    @settings(max_examples=60)
    def check(drawn: Any, steps: int, seed: int, dtype: torch.dtype) -> None:
        network, x = drawn
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(int8_products, "LEAST", 0)
            patch.setattr(int8_products, "NUMBERS", 200)
            patch.setattr(memoryless, "KEPT", 0)
            patch.setattr(memoryless, "TILE", 2)
            runs_alike(network, x, dtype, samples=3, steps=steps, seed=seed)
            sources = {node.name: node for node in (*network.inputs, *network.populations)}
            taken.extend(
                int8_products.product_of(c.operator, sources[c.source], torch.float32) is not None
                for c in network.connections
                if not c.blank_out and c.source != "x"
            )

    check()
    if int8_products.most_digits():
        assert sum(taken) > 0.3 * len(taken)


def whetstone(dropout: float = 0.0) -> tuple[SpikingNetwork, Tensor]:
    torch.manual_seed(0)
    layers = [(16, 3, False), (16, 3, True)]
    model = zoo.sharpened((2, 12, 12), 4, convolutions=layers, hidden=(300,), dropout=dropout)
    for part in model:
        if isinstance(part, Sharpened):
            part.sharpen(1.0)
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        model(torch.randint(0, 16, (64, 2, 12, 12)) / 16)
    x = torch.randint(0, 16, (70, 2, 12, 12), generator=torch.Generator().manual_seed(1)) / 16
    return convert(model.eval(), x[:2]), x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dropout", [0.0, 0.5, 0.25])
def test_threshold_networks_spike_as_torchs_sums_say(
    dropout: float, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, x = whetstone(dropout)
    common: dict[str, Any] = {"samples": 2, "steps": 2, "probe": [SPIKES, TRACE], "dtype": dtype}
    ours = simulate(network, x, **common)
    assert all(count.double().mean() > 0 for count in ours.counts.values())
    monkeypatch.setattr(memoryless, "product_of", lambda *_: None)
    theirs = simulate(network, x, **common)
    for name, spikes in theirs.spikes.items():
        assert torch.equal(ours.spikes[name], spikes), name
        assert torch.equal(ours.counts[name], theirs.counts[name])
    assert torch.equal(ours.mean, theirs.mean)


def test_of_a_network_without_noise_nothing_but_the_readout_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = whetstone()
    kept: list[Any] = []
    made = memoryless._Kept
    monkeypatch.setattr(memoryless, "_Kept", lambda *given: kept.append(made(*given)) or kept[-1])
    run = simulate(network, x)
    assert [(k.base.keys(), k.spikes.keys()) for k in kept] == [({"readout"}, set())]
    assert kept[0].counts.keys() == run.counts.keys()


@pytest.mark.slow
def test_rows_go_through_in_groups_where_much_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = whetstone(0.5)
    whole = simulate(network, x, samples=3)
    monkeypatch.setattr(memoryless, "KEPT", 1)
    monkeypatch.setattr(memoryless, "TILE", 16)
    groups: list[int] = []
    made = memoryless._Kept
    monkeypatch.setattr(
        memoryless, "_Kept", lambda base, *given: groups.append(len(base["layer2"])) or made(base, *given)
    )
    parted = simulate(replace(network), x, samples=3)  # laid out anew
    assert groups == [16, 16, 16, 16, 6]
    assert torch.equal(parted.mean, whole.mean)
    for name, count in whole.counts.items():
        assert torch.equal(parted.counts[name], count)


# -- what it takes and refuses -------------------------------------------------------------------------------


def with_memory(*, neuron: Any = None, synapse: Any = None) -> SpikingNetwork:
    torch.manual_seed(0)
    wires = (
        Connection("x", "a", Dense(torch.randn(6, 3)), blank_out=BlankOut(0.5, 0.25)),
        Connection("a", "b", Dense(torch.randn(5, 6)), synapse, BlankOut(0.75, site=1)),
        Connection("b", "readout", Dense(torch.randn(1, 5)), synapse),
    )
    populations = Population("a", (6,), LIF(bias=1.2)), Population("b", (5,), neuron or LIF(bias=1.2))
    return SpikingNetwork((Input("x", (3,)),), populations, wires, Readout((1,)))


@pytest.mark.parametrize(
    ("network", "reason"),
    [
        (
            with_memory(),
            "BlankOut synapses, as in the connection x -> a, are not compiled beside neurons or filters",
        ),
        (with_memory(synapse=Lowpass(0.01)), "BlankOut synapses, as in the connection x -> a, are not compiled"),
        (
            with_memory(neuron=Sign()),
            "Sign neurons, as in population 'b', are not compiled beside neurons or filters with a memory",
        ),
        (with_memory(neuron=Bernoulli(Curve.SIGMOID)), "Bernoulli neurons, as in population 'b', are not compiled"),
    ],
)
def test_beside_a_memory_the_reference_runs(network: SpikingNetwork, reason: str) -> None:
    x = torch.ones(4, 3)
    with pytest.raises(ConfigError, match=f"the cpu engine cannot run this network: {reason}.*; use engine='auto'"):
        predict(network, x, engine="cpu")
    posterior = predict(network, x, samples=5, steps=60, burn_in=20)
    assert posterior.settings["engine"] == "reference"
    assert posterior.model_std.min() > 0
    assert torch.equal(predict(network, x, samples=5, steps=60, burn_in=20, batch_size=1).samples, posterior.samples)


def test_auto_takes_the_cpu_engine() -> None:
    network, x = made("dense")
    assert predict(network, x, samples=2).settings["engine"] == "cpu"


def test_memory_is_bounded() -> None:
    """A block's records and a tile's values stay within their budgets, however wide the network and long the run."""
    network, _ = made("dense")
    neurons = network.neurons
    for steps in (1, 1000, 10**6):
        assert MemorylessEngine().block(network, steps, frozenset()) <= 1 << 15
        records = MemorylessEngine().block(network, steps, frozenset([SPIKES])) * steps * neurons
        assert records <= max(memoryless.RECORDED, steps * neurons)
        assert MemorylessEngine().block(network, steps, frozenset([TRACE])) * steps * 4 <= max(
            memoryless.RECORDED, steps * 4
        )
    assert memoryless.tile(network) == memoryless.TILE
    maps = Input("x", (1, 300, 300))
    conv = Conv(torch.ones(2, 1, 9, 9), (1, 1), "same", (1, 1))
    wires = Connection("x", "z", conv, blank_out=BlankOut(0.5)), Connection("z", "readout", Chain())
    wide = SpikingNetwork((maps,), (Population("z", (2, 300, 300), Sign()),), wires, Readout((2, 300, 300)))
    assert 1 <= memoryless.tile(wide) * 300 * 300 * 81 <= memoryless.BUDGET


def test_blocks_and_tiles_of_one_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = made("dense")
    expected = simulate(network, x, samples=5, steps=3, probe=[SPIKES, TRACE])
    monkeypatch.setattr(memoryless, "RECORDED", 1)
    monkeypatch.setattr(memoryless, "TILE", 1)
    run = simulate(network, x, samples=5, steps=3, probe=[SPIKES, TRACE])
    assert torch.equal(run.mean, expected.mean)
    assert all(torch.equal(run.spikes[name], spikes) for name, spikes in expected.spikes.items())
