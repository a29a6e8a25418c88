"""Imperfect weights: by hand where it can be, what stays shared or untouched, and what sign units do not notice."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from spikebayes import BlankOut, convert, simulate
from spikebayes import nn as sbnn
from spikebayes.conversion.imperfections import quantised, scaled, with_device_noise, with_row_gains
from spikebayes.errors import ConfigError
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import LIF, Sign
from spikebayes.network.operators import AvgPool, Chain, Conv, Dense, Operator, Permute, Place, Reshape, Scale

Change = Callable[[SpikingNetwork], SpikingNetwork]

EVERY: dict[str, Change] = {
    "quantised": lambda n: quantised(n, 3),
    "row gains": lambda n: with_row_gains(n, 0.5, seed=1),
    "device noise": lambda n: with_device_noise(n, 0.5, seed=1),
    "scaled": lambda n: scaled(n, 0.1),
}
RANDOM: dict[str, Callable[[SpikingNetwork, int], SpikingNetwork]] = {
    "row gains": lambda n, seed: with_row_gains(n, 0.5, seed),
    "device noise": lambda n, seed: with_device_noise(n, 0.5, seed),
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def single(operator: Operator, source: tuple[int, ...], target: tuple[int, ...]) -> SpikingNetwork:
    """x -> a, read out as it is."""
    wires = Connection("x", "a", operator), Connection("a", "readout", Chain())
    return SpikingNetwork((Input("x", source),), (Population("a", target, Sign()),), wires, Readout(target))


def dense(weight: Tensor) -> SpikingNetwork:
    return single(Dense(weight), (weight.shape[1],), (weight.shape[0],))


def weights(network: SpikingNetwork, connection: int = 0) -> list[Tensor]:
    """The weights on one connection's path."""
    modules = network.connections[connection].operator.modules()
    return [m.weight for m in modules if isinstance(m, Dense | Conv)]


def gains(network: SpikingNetwork, old: SpikingNetwork, connection: int = 0) -> Tensor:
    """``[rows]``: the factor on each row of the path's last weights, the same all along the row."""
    ratio = (weights(network, connection)[-1] / weights(old, connection)[-1]).flatten(1)
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    return ratio[:, 0]


def sign_network(keep: float = 0.5) -> SpikingNetwork:
    """x [30] -> a [40] -> b [20] -> readout [3], sign units under blank-out, x -> b too."""
    blank_out = BlankOut(keep, -0.2)
    wires = (
        Connection("x", "a", Dense(normal(40, 30)), blank_out=blank_out),
        Connection("a", "b", Dense(normal(20, 40, seed=1)), blank_out=BlankOut(keep, normal(20), site=1)),
        Connection("x", "b", Dense(normal(20, 30, seed=2))),
        Connection("b", "readout", Dense(normal(3, 20, seed=3))),
    )
    populations = Population("a", (40,), Sign()), Population("b", (20,), Sign())
    return SpikingNetwork((Input("x", (30,)),), populations, wires, Readout((3,)))


# -- what all of them have in common -------------------------------------------------------------------------


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_the_old_network_stays_and_only_weights_change(change: Change) -> None:
    constant, factor, blank_out = normal(4), normal(4), BlankOut(0.5, normal(4))
    path = Chain((Scale(normal(3)), Chain((Dense(normal(4, 3)), Scale(factor)))))
    wires = (
        Connection("x", "a", path),
        Connection("x", "a", Dense(normal(4, 3)), blank_out=blank_out),
        Connection("a", "readout", Chain()),
    )
    old = SpikingNetwork(
        (Input("x", (3,)),), (Population("a", (4,), LIF(), constant=constant),), wires, Readout((4,), normal(4)), 2e-3
    )
    before = [w.clone() for i in range(2) for w in weights(old, i)]
    new = change(old)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(old) + weights(old, 1), strict=True))
    for i in range(2):
        assert not any(torch.equal(a, b) for a, b in zip(weights(new, i), weights(old, i), strict=True))
    assert [new.inputs, new.populations, new.readout, new.dt] == [old.inputs, old.populations, old.readout, old.dt]
    assert new.connections[1].blank_out is blank_out
    scales = [m.factor for m in new.connections[0].operator.modules() if isinstance(m, Scale)]
    assert torch.equal(scales[0], normal(3))
    assert torch.equal(scales[1], factor)


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_shared_operators_are_changed_once_and_stay_shared(change: Change) -> None:
    inner = Dense(normal(3, 3))
    path = Chain((Reshape((3,)), inner))
    wires = (
        Connection("x", "a", inner),
        Connection("x", "b", path),
        Connection("a", "b", path),
        Connection("b", "readout", Chain()),
    )
    populations = Population("a", (3,), Sign()), Population("b", (3,), Sign())
    new = change(SpikingNetwork((Input("x", (3,)),), populations, wires, Readout((3,))))
    assert new.connections[0].operator is not inner
    assert new.connections[1].operator is new.connections[2].operator
    assert new.connections[1].operator.operators[1] is new.connections[0].operator  # pyright: ignore
    alone = change(dense(inner.weight))
    assert torch.equal(weights(new)[0], weights(alone)[0])


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_a_convolution_keeps_its_settings(change: Change) -> None:
    conv = Conv(normal(4, 1, 3, 3), (2, 1), (1, 0), (1, 2), groups=2)
    old = single(conv, (2, 9, 9), (4, 5, 5))
    new = change(old).connections[0].operator
    assert isinstance(new, Conv)
    assert new.config() == conv.config()
    assert not torch.equal(new.weight, conv.weight)


@pytest.mark.parametrize(("name", "readout"), [*zip(EVERY, (True, False, True, False), strict=True)])
def test_whether_the_readout_changes(name: str, readout: bool) -> None:
    shared = Dense(normal(3, 3))
    wires = Connection("x", "a", shared), Connection("a", "readout", shared)
    old = SpikingNetwork((Input("x", (3,)),), (Population("a", (3,), Sign()),), wires, Readout((3,)))
    new = EVERY[name](old)
    assert (new.connections[1].operator is not shared) is readout
    assert (new.connections[0].operator is new.connections[1].operator) is readout


@pytest.mark.parametrize("draw", RANDOM.values(), ids=RANDOM)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_seed_is_a_draw_whatever_else_is_drawn(
    draw: Callable[[SpikingNetwork, int], SpikingNetwork], dtype: torch.dtype
) -> None:
    old = dense(normal(5, 7).to(dtype))
    torch.manual_seed(0)
    first = weights(draw(old, 4))[0]
    torch.manual_seed(1)
    assert torch.equal(weights(draw(old, 4))[0], first)
    assert not torch.equal(weights(draw(old, 5))[0], first)
    assert first.dtype == dtype
    torch.testing.assert_close(first.double(), weights(draw(dense(normal(5, 7)), 4))[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("change", EVERY.values(), ids=EVERY)
def test_a_converted_network_is_run_with_its_new_weights(change: Change) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), sbnn.SoftLIF(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 5),
        sbnn.SoftLIF(), nn.Linear(5, 2),
    )  # fmt: skip
    old = convert(model.eval(), torch.zeros(1, 1, 6, 6))
    x = torch.rand(2, 1, 6, 6)
    assert not torch.equal(*(simulate(n, x, steps=50, engine="reference").mean for n in (change(old), old)))


# -- few bits ------------------------------------------------------------------------------------------------


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    bits=st.integers(2, 16),
    clip=st.sampled_from(["max", "mse"]),
)
def test_quantised_weights_are_few_integers_times_a_scale(values: list[float], bits: int, clip: Any) -> None:
    w = torch.tensor([values], dtype=torch.float64)
    q = weights(quantised(dense(w), bits, clip))[0]
    levels = 2 ** (bits - 1) - 1
    peak = float(w.abs().max())
    ratios = [1.0] if clip == "max" else [k / 100 for k in range(1, 101)]
    grids = [(w / s).round().clamp(-levels, levels) * s for s in (r * peak / levels for r in ratios) if s > 0]
    assert any(torch.allclose(q, grid, rtol=1e-12, atol=0) for grid in grids or [w])
    least = min(float((grid - w).square().sum()) for grid in grids or [w])
    assert float((q - w).square().sum()) <= least * (1 + 1e-12)
    assert (q * w >= 0).all()


def test_quantising_by_the_largest_weight_by_hand() -> None:
    q = quantised(dense(torch.tensor([[7.0, -3.6, 0.4, -0.6]])), bits=4, clip="max")
    assert weights(q)[0].tolist() == [[7.0, -4.0, 0.0, -1.0]]
    assert weights(quantised(q, 4, "max"))[0].tolist() == [[7.0, -4.0, 0.0, -1.0]]
    assert weights(quantised(dense(torch.zeros(2, 3)), bits=2))[0].tolist() == [[0.0] * 3] * 2


def test_one_outlier_costs_less_when_it_is_cut_off() -> None:
    w = torch.cat([torch.tensor([1.0, -1.0]).repeat(50), torch.tensor([1.5])])[None]
    assert set(weights(quantised(dense(w), 2))[0].tolist()[0]) == {*(torch.tensor([1.005, -1.005]).tolist())}
    assert set(weights(quantised(dense(w), 2, "max"))[0].tolist()[0]) == {1.5, -1.5}


def test_ternary_normal_weights_come_near_the_best_that_three_levels_can_do() -> None:
    """The best uniform three-level quantiser of N(0, 1) has step 1.224 and error 0.1902 (Max 1960, table II)."""
    w = normal(300, 300)
    q = weights(quantised(dense(w), 2))[0]
    assert abs(float((q - w).square().mean()) - 0.1902) < 0.003
    assert abs(float(q.max()) - 1.224) < 0.04
    assert float((weights(quantised(dense(w), 2, "max"))[0] - w).square().mean()) > 0.5


# -- gains ---------------------------------------------------------------------------------------------------


def test_row_gains_are_lognormal_and_one_to_a_row() -> None:
    """Kolmogorov-Smirnov against N(0, 0.3^2) at one false alarm in 10^4."""
    old = dense(normal(2000, 3))
    logs = gains(with_row_gains(old, 0.3, seed=2), old).log()
    assert stats.kstest(logs.numpy() / 0.3, "norm").pvalue > 1e-4
    torch.testing.assert_close(gains(with_row_gains(old, 0.6, seed=2), old).log(), 2 * logs)
    assert torch.equal(weights(with_row_gains(old, 0.0, seed=2))[0], weights(old)[0])


def test_a_neuron_has_one_gain_for_all_its_connections() -> None:
    old = sign_network()
    new = with_row_gains(old, 0.5, seed=0)
    into_a, from_a, from_x = (gains(new, old, i) for i in range(3))
    torch.testing.assert_close(from_a, from_x)
    assert len({round(g, 9) for g in [*into_a.tolist(), *from_a.tolist()]}) == 60


@pytest.mark.parametrize(
    ("operator", "source", "target", "groups"),
    [
        (Dense(normal(3, 2)), (5, 2), (5, 3), [[0], [1], [2]]),
        (Conv(normal(3, 2, 2), (1,), (0,), (1,)), (2, 5), (3, 4), [[0], [1], [2]]),
        (Chain((Dense(normal(4, 2)), Dense(normal(3, 4)))), (2,), (3,), [[0], [1], [2]]),
        (Chain((Dense(normal(4, 2)), AvgPool((2,), (2,), (0,)))), (1, 2), (1, 2), [[0, 1], [2, 3]]),
        (Chain((Dense(normal(4, 2)), Reshape((2, 2)), Permute((2, 1)))), (2,), (2, 2), [[0], [1], [2], [3]]),
        (
            Chain((Conv(normal(3, 1, 2), (1,), (0,), (1,)), AvgPool((2,), (1,), (1,)), Reshape((12,)))),
            (1, 4),
            (12,),
            [[0], [1], [2]],
        ),
    ],
)
def test_rows_that_reach_one_neuron_share_its_gain(
    operator: Operator, source: tuple[int, ...], target: tuple[int, ...], groups: list[list[int]]
) -> None:
    old = single(operator, source, target)
    new = with_row_gains(old, 0.5, seed=3)
    found = gains(new, old)
    by_group = [found[group] for group in groups]
    for group in by_group:
        torch.testing.assert_close(group, group[:1].expand_as(group))
    assert len({round(float(group[0]), 9) for group in by_group}) == len(groups)
    if len(weights(old)) > 1:
        assert torch.equal(weights(new)[0], weights(old)[0])
    x = normal(1, *source, seed=9)
    assert torch.equal(new.connections[0].operator(x).sign(), operator(x).sign())


def test_places_in_a_concatenation_meet_the_gains_of_the_whole() -> None:
    wires = (
        Connection("x", "a", Chain((Dense(normal(2, 3)), Place(1, 0, 2)))),
        Connection("x", "a", Chain((Dense(normal(2, 3, seed=1)), Place(1, 2, 0)))),
        Connection("x", "a", Dense(normal(4, 3, seed=2))),
        Connection("a", "readout", Chain()),
    )
    old = SpikingNetwork((Input("x", (3,)),), (Population("a", (4,), Sign()),), wires, Readout((4,)))
    new = with_row_gains(old, 0.5, seed=0)
    whole = gains(new, old, 2)
    torch.testing.assert_close(torch.cat([gains(new, old, 0), gains(new, old, 1)]), whole)
    assert len({round(g, 9) for g in whole.tolist()}) == 4


def test_towers_of_one_operator_have_their_gains_in_common() -> None:
    """Other connections into them follow."""
    tower = Dense(normal(3, 2))
    wires = (
        Connection("x", "a", tower),
        Connection("y", "b", tower),
        Connection("a", "b", Dense(normal(3, 3, seed=1))),
        Connection("b", "readout", Chain()),
    )
    populations = Population("a", (3,), Sign()), Population("b", (3,), Sign())
    old = SpikingNetwork((Input("x", (2,)), Input("y", (2,), argument=1)), populations, wires, Readout((3,)))
    new = with_row_gains(old, 0.5, seed=0)
    torch.testing.assert_close(gains(new, old, 2), gains(new, old, 0))
    assert len(set(gains(new, old).tolist())) == 3


def test_a_network_without_weights_has_no_gains_to_draw() -> None:
    old = single(AvgPool((2,), (2,), (0,)), (1, 4), (1, 2))
    assert with_row_gains(old, 0.5, seed=0).connections[0].operator is old.connections[0].operator


def answers(network: SpikingNetwork, dtype: torch.dtype = torch.float64) -> Tensor:
    """``[S, B, 3]``: 16 samples of 5 steps."""
    x = normal(4, 30, seed=8)
    return simulate(network, x, samples=16, seed=5, steps=5, dtype=dtype, engine="reference").mean


@pytest.mark.parametrize("change", [lambda n: with_row_gains(n, 0.5, seed=1), lambda n: scaled(n, 0.1)])
def test_sign_units_under_blank_out_do_not_notice_gains(change: Change) -> None:
    """Neftci 2017, section III.B; that other weights are noticed, the device noise shows."""
    plain = answers(sign_network())
    assert torch.equal(answers(change(sign_network())), plain)
    assert not torch.equal(answers(with_device_noise(sign_network(), 0.5, seed=1)), plain)


# -- devices, and one factor ---------------------------------------------------------------------------------


def test_device_noise_is_normal_and_relative() -> None:
    """Kolmogorov-Smirnov of (w'/w - 1)/std, at std small enough that none is clipped: one false alarm in 10^4."""
    old = dense(normal(100, 50))
    noise = (weights(with_device_noise(old, 0.1, seed=0))[0] / weights(old)[0] - 1).flatten() / 0.1
    assert stats.kstest(noise.numpy(), "norm").pvalue > 1e-4
    assert torch.equal(weights(with_device_noise(old, 0.0, seed=0))[0], weights(old)[0])


def test_device_noise_clips_at_zero() -> None:
    """P(1 + 2 N < 0) = Phi(-1/2): the share of weights gone, within 4 standard errors."""
    old = dense(normal(100, 50))
    w, noisy = weights(old)[0], weights(with_device_noise(old, 2.0, seed=0))[0]
    assert (noisy * w >= 0).all()
    gone, law = float((noisy == 0).double().mean()), stats.norm.cdf(-0.5)
    assert abs(gone - law) < 4 * math.sqrt(law * (1 - law) / 5000)


def test_each_operator_has_devices_of_its_own() -> None:
    w = normal(3, 3)
    wires = Connection("x", "a", Dense(w)), Connection("a", "readout", Dense(w))
    old = SpikingNetwork((Input("x", (3,)),), (Population("a", (3,), Sign()),), wires, Readout((3,)))
    new = with_device_noise(old, 0.3, seed=0)
    assert not torch.equal(weights(new, 0)[0], weights(new, 1)[0])


def test_a_path_as_a_whole_takes_the_factor() -> None:
    old = single(Chain((Dense(normal(4, 2)), Scale(normal(4)), Dense(normal(3, 4)))), (2,), (3,))
    x = normal(5, 2)
    new = scaled(old, 0.1).connections[0].operator
    torch.testing.assert_close(new(x), 0.1 * old.connections[0].operator(x))


# -- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: quantised(n, 1), "2 to 16 bits; got 1"),
        (lambda n: quantised(n, 17), "2 to 16 bits; got 17"),
        (lambda n: quantised(n, True), "bits must be a whole number; got True"),
        (lambda n: quantised(n, 4.0), "bits must be a whole number; got 4.0"),
        (lambda n: quantised(n, 4, clip="best"), "clip must be one of 'mse', 'max'; got 'best'"),
        (lambda n: with_row_gains(n, -0.1, 0), "a standard deviation must be a number >= 0; got -0.1"),
        (lambda n: with_row_gains(n, 0.1, -1), r"a seed must be an integer in \[0, 2\^64\); got -1"),
        (lambda n: with_device_noise(n, math.nan, 0), "a standard deviation must be a number >= 0; got nan"),
        (lambda n: with_device_noise(n, 0.1, 1 << 64), "a seed must be an integer"),
        (lambda n: scaled(n, 0.0), "a factor on weights must be positive and finite; got 0.0"),
        (lambda n: scaled(n, math.inf), "positive and finite; got inf"),
    ],
)
def test_settings_out_of_range_are_refused(change: Change, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        change(dense(torch.ones(1, 1)))
