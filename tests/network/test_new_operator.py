"""An operator of one's own: registered, with forward and config alone, it works everywhere or is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikebayes import (
    LIF,
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    Dropout,
    Input,
    Population,
    Readout,
    SpikingNetwork,
    StoreError,
    Threshold,
    integers,
    load_network,
    save_network,
    with_blank_out,
)
from spikebayes.conversion.exact_sums import with_exact_sums
from spikebayes.conversion.imperfections import quantised, scaled, with_row_gains
from spikebayes.engine.memoryless import int8_products
from spikebayes.engine.memoryless.int8_products import most_digits, product_of
from spikebayes.evaluate.energy.fan_out import Reach, Stages
from spikebayes.evaluate.energy.schedules import Steps
from spikebayes.evaluate.energy.spiking_counts import SpikingTally
from spikebayes.network.operators import Chain, Dense, Operator, Reshape, Shape, size, target_shape
from spikebayes.network.vocabulary import VOCABULARY, stored
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.prediction.simulate import simulate


class Flip(Operator):
    """Units along an axis in the opposite order."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        return x.flip(self.dim)

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}


class Turn(Flip):
    """The same, which says of itself that it only rearranges."""

    rearranges = True


class Repeat(Operator):
    """Every unit ``times`` times, side by side."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.times, -1)

    def config(self) -> dict[str, Any]:
        return {"times": self.times}


class Differences(Operator):
    """Of neighbours, without settings."""

    def forward(self, x: Tensor) -> Tensor:
        return x[..., 1:] - x[..., :-1]


class Stretched(Operator):
    """Weights ``[O, I]`` between channels, each target twice: of ``[R, I, L]`` comes ``[R, O, 2 L]``."""

    weight: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, weight: Tensor, times: int = 2) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("oi,ril->rol", self.weight, x).repeat_interleave(self.times, -1)

    def config(self) -> dict[str, Any]:
        return {"times": self.times}


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(5))


def operators() -> dict[str, tuple[Operator, Shape, bool]]:
    """By name: an operator, what it takes, and whether it costs operations."""
    weight = drawn(3, 2)
    weight[0, 1] = 0  # a synapse whose weight is 0 is one all the same
    return {
        "flip": (Flip(-1), (2, 4), False),
        "flip of another axis": (Flip(1), (2, 4), False),
        "turn": (Turn(2), (2, 4), False),
        "repeat": (Repeat(3), (2, 4), False),
        "differences": (Differences(), (2, 4), True),
        "stretched": (Stretched(weight), (2, 4), True),
        "in a chain": (Chain((Flip(1), Stretched(weight), Reshape((4, 6)), Differences())), (2, 4), True),
    }


OPERATORS = operators()
EACH = pytest.mark.parametrize("name", OPERATORS)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """The operators are registered for a test, as ``@stored`` does it, and forgotten."""
    before = dict(VOCABULARY)
    for operator, _, _ in OPERATORS.values():
        for part in operator.parts:
            stored(type(part))
    yield
    VOCABULARY.clear()
    VOCABULARY.update(before)


def network(operator: Operator, source: Shape, neuron: Any, synapse: Any = None, **noise: Any) -> SpikingNetwork:
    """x -> a -> b -> the read-out, the operator on every way, b and the read-out with weights beside it."""
    target = target_shape(operator, source)
    inner, readout = size(target), Dense(drawn(2, size(target)))
    mixed = Chain((operator, Reshape((inner,)), Dense(drawn(inner, inner) / 2), Reshape(target)))
    back = Chain((Reshape((inner,)), Dense(drawn(size(source), inner)), Reshape(source), operator))
    wires = (
        Connection("x", "a", mixed),
        Connection("a", "b", back, synapse, **noise),
        Connection("b", "readout", Chain((Reshape((inner,)), readout)), synapse),
    )
    populations = (
        Population("a", target, neuron, Dropout(0.5), 0.5 * drawn(*target)),
        Population("b", target, neuron, Dropout(0.2, site=1)),
    )
    return SpikingNetwork((Input("x", source),), populations, wires, Readout((2,)))


ROWS = 6


def runs(net: SpikingNetwork, source: Shape, dtype: torch.dtype, **settings: Any) -> list[Any]:
    x = drawn(ROWS, *source)
    probe = ["spikes", "trace"]
    return [
        simulate(net, x, samples=3, seed=9, engine=engine, dtype=dtype, probe=probe, **settings)
        for engine in ("reference", "cpu")
    ]


@EACH
def test_all_engines_run_it_alike(name: str) -> None:
    operator, source, _ = OPERATORS[name]
    lif = LIF(tau_ref=0.001, amplitude=0.01, gain=2.0, bias=1.5)
    reference, cpu = runs(network(operator, source, lif, Alpha(0.01)), source, torch.float64, steps=60)
    assert 0 < reference.spikes["b"].double().mean() < 1
    for population in ("a", "b"):
        assert torch.equal(reference.spikes[population], cpu.spikes[population])
    torch.testing.assert_close(reference.trace, cpu.trace)


@EACH
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_so_do_those_of_networks_without_memory(name: str, dtype: torch.dtype) -> None:
    operator, source, _ = OPERATORS[name]
    net = with_exact_sums(network(operator, source, Threshold(0.1)))
    assert net.is_memoryless
    reference, cpu = runs(net, source, dtype, steps=3)
    for population in ("a", "b"):
        assert 0 < reference.spikes[population].double().mean() < 1
        assert torch.equal(reference.spikes[population], cpu.spikes[population])
    torch.testing.assert_close(reference.trace, cpu.trace)


def pattern_of(operator: Operator, source: Shape) -> Tensor:
    """``[N, M]``: where a unit, sent through alone, arrives by any path, with all weights 1."""
    total = torch.eye(size(source))
    for part in operator.parts:
        alike = part if part.weight is None else part.with_weight(torch.ones_like(part.weight))
        sent = alike(torch.eye(size(source)).reshape(-1, *source))
        total, source = total @ sent.flatten(1).abs(), tuple(sent.shape[1:])
    return (total > 0).double()


@EACH
def test_its_synapses_are_counted(name: str) -> None:
    operator, source, works = OPERATORS[name]
    expected = pattern_of(operator, source)
    reach = Reach(Stages().of(operator, source), source)
    spikes = torch.randint(0, 9, (4, size(source)), generator=torch.Generator().manual_seed(0))
    assert torch.equal(reach.arriving(spikes), spikes.double() @ expected)
    assert torch.equal(reach.fan_in, expected.sum(0))
    assert any(stage.works for stage in Stages().of(operator, source)) == works == operator.works(source)
    for stage in Stages().of(operator, source):
        x, y = torch.ones(2, *stage.pattern.source).double(), drawn(2, *stage.pattern.target).double()
        there, back = stage.pattern.forward(x), stage.pattern.backward(y)
        torch.testing.assert_close((there * y).sum(), (x * back).sum())


@EACH
def test_its_matrix_does_what_it_does(name: str) -> None:
    operator, source, _ = OPERATORS[name]
    x = drawn(3, *source)
    matrix: Any = operator.matrix(source)
    np.testing.assert_allclose(x.flatten(1).numpy() @ matrix, operator(x).flatten(1), rtol=1e-5, atol=1e-6)


def test_a_run_is_counted_spike_by_spike() -> None:
    operator, source, _ = OPERATORS["differences"]
    net = network(operator, source, Threshold(0.1))
    run = simulate(net, drawn(ROWS, *source), samples=1, steps=2, probe=["spikes"])
    tally = SpikingTally(net, Steps(2))
    spikes = {name: s[0].sum(1) for name, s in run.spikes.items()}
    tally.add(Keys(0, torch.zeros(ROWS, dtype=torch.int64), torch.arange(ROWS)), spikes)
    _, a_b, b_out = net.connections
    expected = 0.0
    for c in (a_b, b_out):
        arriving = spikes[c.source].double() @ pattern_of(c.operator, net.shape(c.source))
        expected += float(arriving.sum()) if c.target == "readout" else _kept(arriving, net, c.target)
    assert tally.events == expected
    assert expected > 0


def _kept(arriving: Tensor, net: SpikingNetwork, target: str) -> float:
    noise = next(p.dropout for p in net.populations if p.name == target)
    assert noise is not None
    keep = dropout_keep(noise, Keys(0, torch.zeros(ROWS, dtype=torch.int64), torch.arange(ROWS)), arriving.shape[1])
    return float((arriving * keep).sum())


@EACH
def test_synapses_of_its_own_are_refused_to_blank_out_by_name(name: str) -> None:
    operator, source, _ = OPERATORS[name]
    last = type(operator.parts[-1]).__name__
    with pytest.raises(ConfigError, match=rf"connection a -> b: {last} has no synapses that could blank out"):
        network(operator, source, Threshold(), blank_out=BlankOut(0.5))
    only = Connection("x", "a", operator), Connection("a", "readout", Chain())
    target = target_shape(operator, source)
    small = SpikingNetwork((Input("x", source),), (Population("a", target, Threshold()),), only, Readout(target))
    with pytest.raises(ConfigError, match="no dense or convolutional synapses"):
        with_blank_out(small, 0.5, inputs=True)


def test_units_that_are_only_moved_know_their_place() -> None:
    assert Turn(1).offset((1, 4)) == 0
    assert Turn(2).offset((1, 4)) is None
    assert Flip(1).offset((1, 4)) is None  # it does not say that it only rearranges
    assert Turn(1).only_moves((3, 4))


def test_weights_change_as_those_of_other_operators_do() -> None:
    operator, source, _ = OPERATORS["stretched"]
    target = target_shape(operator, source)
    wires = Connection("x", "a", operator), Connection("a", "readout", Chain())
    net = SpikingNetwork((Input("x", source),), (Population("a", target, LIF()),), wires, Readout(target))
    x = drawn(2, *source)

    def through(changed: SpikingNetwork) -> Tensor:
        assert type(changed.connections[0].operator) is Stretched
        return changed.connections[0].operator(x)

    torch.testing.assert_close(through(scaled(net, 0.5)), 0.5 * operator(x))
    assert set(through(quantised(net, 2, "max"))[0, :, 0].abs().tolist()) != set(operator(x)[0, :, 0].abs().tolist())
    ratio = through(with_row_gains(net, 0.5, seed=1)) / operator(x)  # one gain for each channel
    assert torch.equal(operator.row_of(source), torch.arange(3)[:, None].expand(target))
    torch.testing.assert_close(ratio, ratio[:1, :, :1].expand_as(ratio))
    assert len({round(gain, 4) for gain in ratio[0, :, 0].tolist()}) == 3


def test_rows_of_weights_that_meet_in_a_target_are_refused() -> None:
    class Summed(Stretched):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).sum(1)

    with pytest.raises(ConfigError, match="a target of Summed takes several rows of weights"):
        Summed(torch.ones(3, 2)).row_of((2, 4))


def test_whole_numbers_take_what_moves_units_and_refuse_the_rest_by_name() -> None:
    def net(operator: Operator) -> SpikingNetwork:
        shape = target_shape(operator, (2, 4))
        path = Chain((operator, Reshape((size(shape),)), Dense(drawn(3, size(shape)))))
        wires = Connection("x", "a", path), Connection("a", "readout", Dense(drawn(2, 3)))
        return SpikingNetwork((Input("x", (2, 4)),), (Population("a", (3,), Threshold()),), wires, Readout((2,)))

    x = torch.randint(0, 256, (20, 2, 4), generator=torch.Generator().manual_seed(0)) / 255
    plain, made = net(Turn(2)), integers(net(Turn(2)), bits=16)
    spikes = simulate(made.network, made.inputs(x), steps=1, probe=["spikes"], dtype=made.dtype).spikes["a"]
    assert torch.equal(spikes, simulate(plain, x, steps=1, probe=["spikes"]).spikes["a"])
    assert 0 < spikes.double().mean() < 1
    with pytest.raises(ConfigError, match=r"is not one Dense or Conv \(Differences, Reshape, Dense\)"):
        integers(net(Differences()))


@pytest.mark.skipif(most_digits() < 1, reason="no 8-bit instructions here")
def test_products_of_8_bits_take_what_says_that_it_rearranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(int8_products, "LEAST", 0)
    dense = Dense(torch.randint(-128, 128, (5, 8), generator=torch.Generator().manual_seed(0)).float())
    source = Population("p", (2, 4), Threshold())
    spikes = torch.rand(7, 2, 4, generator=torch.Generator().manual_seed(1)) < 0.5
    path = Chain((Turn(2), Reshape((8,)), dense))
    product = product_of(path, source, torch.float32)
    assert product is not None
    assert torch.equal(product(spikes), path(spikes.float()))
    assert product_of(Chain((Flip(2), Reshape((8,)), dense)), source, torch.float32) is None


def test_files_refuse_it_by_name_until_it_is_registered(tmp_path: Path) -> None:
    operator, source, _ = OPERATORS["stretched"]
    net = network(operator, source, Threshold(0.1))
    del VOCABULARY["Stretched"]
    with pytest.raises(StoreError, match=r"Stretched cannot be stored: .*stored"):
        save_network(net, tmp_path)
    stored(Stretched)
    save_network(net, tmp_path)
    again = load_network(tmp_path)
    found = again.connections[0].operator.parts[0]
    assert type(found) is Stretched
    assert found.times == 2
    x = drawn(ROWS, *source)
    for one, other in zip(*(simulate(n, x, steps=3).counts.values() for n in (net, again)), strict=True):
        assert torch.equal(one, other)
