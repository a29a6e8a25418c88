"""A network that does not hang together is refused, with the names of the parts concerned."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from coarse_codes import coarse
from spikebayes import Digits, convert
from spikebayes.errors import ConfigError
from spikebayes.network.coded import Coded, Race, Ramp
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork, output_scale
from spikebayes.network.neurons import LIF, Bernoulli, Curve, Sign, Threshold
from spikebayes.network.noise import BlankOut, Dropout
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Mix,
    Operator,
    Permute,
    Pick,
    Place,
    Reshape,
    Scale,
    Slice,
    Windows,
    target_shape,
)
from spikebayes.network.synapses import Alpha

pytestmark = coarse

X = Input("x", (4,))
A = Population("a", (3,), LIF())
B = Population("b", (2,), Threshold())
X_A, A_B = Connection("x", "a", Dense(torch.ones(3, 4))), Connection("a", "b", Dense(torch.ones(2, 3)), Alpha(0.01))
B_OUT = Connection("b", "readout", Chain())


def network(**changes: Any) -> SpikingNetwork:
    """x [4] -> a [3] -> b [2] -> readout [2], with some parts changed."""
    plain = {"inputs": (X,), "populations": (A, B), "connections": (X_A, A_B, B_OUT), "readout": Readout((2,))}
    return SpikingNetwork(**(plain | changes))


def test_what_can_be_asked_of_a_network() -> None:
    net = network()
    assert [n.name for n in net.nodes()] == ["x", "a", "b", "readout"]
    assert net.neurons == 5
    assert net.into("b") == (A_B,)
    assert net.into("x") == ()
    assert net.shape("a") == (3,)


def test_it_reads_well() -> None:
    dropped = Population("b", (2,), Threshold(), Dropout(0.25))
    assert repr(network(populations=(A, dropped), dt=2e-3)).splitlines() == [
        "SpikingNetwork(dt=0.002 s, 5 neurons)",
        "  x [4] Input",
        "  a [3] LIF(tau_rc=0.02, tau_ref=0.002, amplitude=1.0, gain=1.0, bias=0.0) <- x",
        "  b [2] Threshold(threshold=0.5), dropout 0.25 <- a",
        "  readout [2] Readout <- b",
    ]


@pytest.mark.parametrize(
    ("changes", "random"),
    [
        ({}, False),
        ({"inputs": (Input("x", (4,), Dropout(0.1)),)}, True),
        ({"inputs": (Input("x", (4,), Dropout(0.0)),)}, False),
        ({"populations": (A, Population("b", (2,), Sign(), Dropout(0.5)))}, True),
        ({"populations": (A, Population("b", (2,), Bernoulli(Curve.SIGMOID)))}, True),
        ({"connections": (Connection("x", "a", Dense(torch.ones(3, 4)), blank_out=BlankOut(0.5)),)}, True),
        ({"connections": (Connection("x", "a", Dense(torch.ones(3, 4)), blank_out=BlankOut(1.0)),)}, False),
    ],
)
def test_it_knows_whether_anything_in_it_is_random(changes: dict[str, Any], random: bool) -> None:
    assert network(**changes).is_random == random


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dt": 0.0}, r"dt must be a positive number of seconds; got 0\.0"),
        ({"dt": -1e-3}, "dt must be a positive"),
        ({"dt": math.nan}, "dt must be a positive"),
        ({"dt": math.inf}, "dt must be a positive"),
        ({"populations": (A, A, B)}, "two parts of the network are named 'a'"),
        ({"inputs": (X, Input("readout", (4,)))}, "two parts of the network are named 'readout'"),
        ({"connections": (Connection("x", "c", Chain()),)}, "connection x -> c: there is no 'c' in the network"),
        ({"connections": (Connection("z", "a", Chain()),)}, "connection z -> a: there is no 'z' in the network"),
        ({"connections": (Connection("b", "a", Chain()),)}, "connection b -> a does not point forward"),
        ({"connections": (Connection("a", "a", Chain()),)}, "connection a -> a does not point forward"),
        ({"inputs": (X, Input("y", (4,))), "connections": (Connection("x", "y", Chain()),)}, "x -> y does not point"),
        ({"connections": (Connection("readout", "b", Chain()),)}, "readout -> b does not point forward"),
        (
            {"connections": (Connection("x", "a", Dense(torch.ones(2, 4))),)},
            r"connection x -> a delivers rows of shape \[2\], but a has shape \[3\]",
        ),
        ({"connections": (Connection("x", "a", Dense(torch.ones(3, 5))),)}, r"does not take rows of shape \[4\]: "),
        (
            {"connections": (Connection("x", "a", Slice(1, 0, 3), blank_out=BlankOut(0.5)),)},
            r"connection x -> a: Slice has no synapses .*; blank-out needs a Dense or Conv operator",
        ),
        (
            {"connections": (Connection("x", "a", X_A.operator, blank_out=BlankOut(0.5, torch.ones(4))),)},
            r"x -> a: the blank-out's scale has shape \[4\]; expected one number, or \[3\]",
        ),
        (
            {"populations": (Population("a", (3,), LIF(), constant=torch.ones(1, 3)), B)},
            r"the constant of a has shape \[1, 3\]; expected \[3\]",
        ),
        ({"readout": Readout((2,), torch.ones(3))}, r"the constant of readout has shape \[3\]; expected \[2\]"),
        (
            {"inputs": (X, Input("y", (2, 2)))},
            r"of argument 0 x takes \[4\], and another \[2, 2\]",
        ),
    ],
)
def test_what_does_not_hang_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(**changes)


@pytest.mark.parametrize("sources", [("x",), ("p", "q")])
def test_a_race_is_among_the_neurons_of_one_population(sources: tuple[str, ...]) -> None:
    """Inputs have no ticks, and which of two populations' spikes come first is not said."""
    code, runners = Digits(4, 2), Chain((Reshape((1, 4)), Windows((2,), (2,), (0,), (1,)), Reshape((2, 2))))
    coded = [Population(name, (4,), Coded(code, Ramp(), torch.tensor(1.0))) for name in "pq"]
    wires = [Connection("x", name, Dense(torch.eye(4))) for name in "pq"]
    wires += [Connection(name, "race", runners) for name in sources]
    wires.append(Connection("race", "readout", Dense(torch.ones(1, 2))))
    with pytest.raises(ConfigError, match="the race race must be reached by one connection, from a population"):
        SpikingNetwork(
            (Input("x", (4,)),), (*coded, Population("race", (2,), Race(code))), tuple(wires), Readout((1,))
        )


def test_a_connection_carries_an_operator() -> None:
    with pytest.raises(ConfigError, match=r"Connection: operator must be an Operator; got Linear\("):
        Connection("x", "a", nn.Linear(4, 3))  # pyright: ignore[reportArgumentType]


FOUR = torch.ones(4)


@pytest.mark.parametrize(
    ("operator", "source", "target", "scale"),
    [
        (Dense(torch.ones(3, 4)), (2, 4), (2, 3), torch.ones(3)),  # at each of 2 places
        (Conv(torch.ones(4, 2, 3, 3), (1, 1), "same", (2, 1)), (2, 5, 6), (4, 5, 6), FOUR),
        (Chain((Reshape((2, 9)), Conv(torch.ones(4, 2, 3), (2,), (1,), (1,)))), (18,), (4, 5), FOUR),
    ],
    ids=["places", "maps", "chain"],
)
def test_every_synapse_of_a_layer_or_of_a_chains_last_may_blank_out(
    operator: Operator, source: tuple[int, ...], target: tuple[int, ...], scale: Tensor
) -> None:
    def made(scale: Tensor) -> SpikingNetwork:
        noisy = Connection("x", "a", operator, blank_out=BlankOut(0.5, scale))
        parts = (Input("x", source),), (Population("a", target, Sign()),)
        return SpikingNetwork(*parts, (noisy, Connection("a", "readout", Chain())), Readout(target))

    assert made(scale).is_memoryless
    with pytest.raises(ConfigError, match=rf"scale has shape \[7\]; expected one number, or \[{len(scale)}\]"):
        made(torch.ones(7))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Dense(torch.randn(5, 4)), (4,)),
        (Dense(torch.randn(5, 4)), (3, 2, 4)),
        (Conv(torch.randn(4, 2, 3), (2,), (1,), (2,)), (2, 9)),
        (Conv(torch.randn(4, 2, 4), (1,), "same", (1,)), (2, 9)),
        (Conv(torch.randn(4, 2, 3), (1,), "valid", (1,)), (2, 9)),
        (Conv(torch.randn(4, 2, 3, 2), (2, 1), (1, 0), (1, 2)), (2, 6, 7)),
        (Conv(torch.randn(4, 2, 2, 4), (1, 1), "same", (3, 1)), (2, 6, 7)),
    ],
)
def test_a_layer_is_a_matrix_at_every_place(layer: Dense | Conv, shape: tuple[int, ...]) -> None:
    x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    expected = layer(x)
    rows = layer.weight_rows()
    assert rows is not None
    sums = rows.unfold(x) @ rows.weight.T
    torch.testing.assert_close(rows.fold(sums, tuple(expected.shape[1:])), expected)


@pytest.mark.parametrize("operator", [Conv(torch.ones(4, 1, 1), (1,), (0,), (1,), groups=2), Chain()])
def test_what_has_no_synapses_of_its_own_cannot_blank_out(operator: Operator) -> None:
    noisy = Connection("x", "readout", operator, blank_out=BlankOut(0.5))
    shape = target_shape(operator, (2, 4))
    with pytest.raises(ConfigError, match=r"x -> readout: (Conv|Chain) has no synapses that could blank out"):
        SpikingNetwork((Input("x", (2, 4)),), (), (noisy,), Readout(shape))


@pytest.mark.parametrize(
    ("changes", "memoryless"),
    [
        ({"populations": (Population("a", (3,), Sign()), B)}, False),  # a filter
        ({"connections": (X_A, B_OUT)}, False),  # a LIF neuron
        ({"populations": (Population("a", (3,), Bernoulli(Curve.ERF)), B), "connections": (X_A, B_OUT)}, True),
    ],
)
def test_it_knows_whether_a_step_depends_on_those_before(changes: dict[str, Any], memoryless: bool) -> None:
    assert network(**changes).is_memoryless == memoryless


OPERATORS: list[tuple[Operator, tuple[int, ...]]] = [
    (Dense(torch.randn(5, 4)), (3, 4)),
    (Conv(torch.randn(4, 1, 3), (2,), (1,), (1,), groups=2), (2, 9)),
    (Conv(torch.randn(4, 2, 3, 3), (1, 1), "same", (2, 1)), (2, 5, 6)),
    (AvgPool((2,), (1,), (1,), False, False), (2, 7)),
    (AvgPool((2, 3), (2, 1), (0, 1), True, True), (2, 5, 6)),
    (AdaptiveAvgPool((2, None)), (2, 5, 6)),
    (Scale(torch.randn(2, 1)), (2, 5)),
    (Reshape((6,)), (2, 3)),
    (Permute((2, 3, 1)), (2, 3, 4)),
    (Place(1, 2, 1), (2, 3)),
    (Slice(2, 1, 6, 2), (2, 7)),
    (Pick(2, torch.tensor([2, -1, 0, 0])), (2, 3)),
    (Mix(1, torch.randn(4, 3)), (3, 2)),
    (Chain((Reshape((6,)), Dense(torch.randn(2, 6)))), (2, 3)),
]


@pytest.mark.parametrize(("operator", "shape"), OPERATORS, ids=lambda v: type(v).__name__)
def test_operators_are_linear_and_treat_rows_apart(operator: Operator, shape: tuple[int, ...]) -> None:
    operator = operator.double()
    x, y = torch.randn(2, 3, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(operator(2 * x - y), 2 * operator(x) - operator(y))
    assert torch.allclose(operator(x)[1:2], operator(x[1:2]))
    assert operator(x).shape[1:] == target_shape(operator, shape)


@given(st.integers(0, 4), st.integers(0, 4), st.integers(1, 2))
def test_place_and_slice_undo_each_other(before: int, after: int, dim: int) -> None:
    x = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
    placed = Place(dim, before, after)(x)
    assert torch.equal(Slice(dim, before, before + 3)(placed), x)
    assert int((placed != 0).sum()) == x.numel()


def test_a_chain_is_its_parts_in_order() -> None:
    first, second = Reshape((6,)), Dense(torch.randn(2, 6))
    assert Chain((first, Chain((second,)))).parts == (first, second)
    assert second.parts == (second,)
    x = torch.randn(3, 2, 3)
    assert torch.equal(Chain((first, second))(x), second(first(x)))
    assert torch.equal(Chain()(x), x)


@pytest.mark.parametrize(
    ("node", "value"),
    [
        (Input("x", (4,)), 1.0),
        (Input("x", (4,), Dropout(0.5)), 2.0),
        (Population("a", (3,), LIF(amplitude=0.02)), 20.0),
        (Population("a", (3,), LIF(amplitude=0.02), Dropout(0.75)), 80.0),
        (Population("a", (3,), Threshold(), Dropout(0.75)), 4.0),
    ],
)
def test_the_value_of_a_spike(node: Input | Population, value: float) -> None:
    assert output_scale(node, 1e-3) == pytest.approx(value)


@pytest.mark.parametrize(
    ("layers", "once"),
    [
        ([nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(5, 1)], ["relu"]),
        ([nn.Dropout(0.5), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)], []),
        ([nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 1)], ["relu", "tanh"]),
    ],
)
def test_what_no_mask_reaches_is_told_once(layers: list[nn.Module], once: list[str]) -> None:
    network = convert(nn.Sequential(*layers).eval(), torch.randn(100, 4), code=Digits(3, 2))
    kinds = {p.name: layers[int(p.name.removeprefix("layer"))] for p in network.populations}
    assert sorted(type(kinds[name]).__name__.lower() for name in network.told_once) == once


def test_a_race_under_a_mask_must_hear_its_runners_in_every_window() -> None:
    layers = [nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    x = torch.randn(100, 1, 8, 8)
    masked = convert(nn.Sequential(*layers, nn.Dropout(0.5), nn.Linear(8, 1)).eval(), x, code=Digits(3, 2))
    assert [p.name in masked.told_once for p in masked.populations] == [True, False, False]
    plain = convert(nn.Sequential(*layers, nn.Linear(8, 1)).eval(), x, code=Digits(3, 2))
    assert [p.name in plain.told_once for p in plain.populations] == [True, True, True]
