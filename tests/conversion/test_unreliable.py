"""Synapses of a trained network made unreliable: means stay, engines agree, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikebayes import (
    ConfigError,
    Connection,
    Input,
    Population,
    Readout,
    SpikingNetwork,
    convert,
    folded,
    predict,
    simulate,
    with_blank_out,
)
from spikebayes.network.neurons import Threshold
from spikebayes.network.operators import Conv, Dense
from spikebayes.nn import BlankOutLinear, Sharpened
from stepped import stepped


def network(dropout: float = 0.0) -> tuple[SpikingNetwork, torch.Tensor]:
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    made = stepped(x, 3, convolutions=[(4, 3, True), (4, 3, False)], width=9, dropout=dropout)
    return convert(folded(made), x), x


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_both_engines_draw_the_same_synapses(dropout: float) -> None:
    noisy, x = network(dropout)
    noisy = with_blank_out(noisy, 0.5)
    cpu, reference = (predict(noisy, x, samples=6, seed=4, engine=engine).samples for engine in ("cpu", "reference"))
    assert torch.equal(cpu, reference)
    assert cpu.std(0).max() > 0


def test_a_units_mean_input_stays() -> None:
    plain, _ = network()
    noisy = with_blank_out(plain, 0.5)
    target = noisy.populations[2].name  # behind the first pooling: its input is linear in spikes that have no noise
    (connection,) = noisy.into(target)
    assert connection.blank_out is not None
    (before,) = plain.into(target)
    assert torch.equal(connection.operator.weight, before.operator.weight / 0.5)  # pyright: ignore


def test_sums_are_exact_so_that_all_engines_and_dtypes_decide_alike() -> None:
    """Weights of whole numbers, of which many sums lie near the threshold, leave the grid when divided by 0.7."""
    g = torch.Generator().manual_seed(0)
    first, second = (torch.randint(-3, 4, (100, n), generator=g).float() for n in (20, 100))
    x = torch.randint(0, 2, (100, 20), generator=g).float()
    plain = SpikingNetwork(
        (Input("x", (20,)),),
        (Population("a", (100,), Threshold(0.5)), Population("b", (100,), Threshold(10.0))),
        (
            Connection("x", "a", Dense(first)),
            Connection("a", "b", Dense(second)),
            Connection("b", "readout", Dense(torch.eye(100))),
        ),
        Readout((100,)),
    )
    noisy = with_blank_out(plain, 0.7)
    runs = [
        simulate(noisy, x, samples=1, steps=20, seed=2, engine=engine, dtype=dtype, probe=["spikes"])
        for engine in ("reference", "cpu")
        for dtype in (torch.float32, torch.float64)
    ]
    spikes = [run.spikes["b"].bool() for run in runs]
    assert 0.05 < spikes[0].double().mean() < 0.95
    assert [int((s != spikes[0]).sum()) for s in spikes] == [0, 0, 0, 0]


def test_grouped_convolutions_stay_reliable() -> None:
    x = torch.zeros(1, 2, 4, 4)
    whole = Conv(torch.ones(2, 2, 1, 1), (1, 1), (0, 0), (1, 1))
    grouped = Conv(torch.ones(2, 1, 1, 1), (1, 1), (0, 0), (1, 1), groups=2)
    shape = tuple(x.shape[1:])
    net = SpikingNetwork(
        (Input("x", shape),),
        tuple(Population(name, shape, Threshold(0.5)) for name in "abc"),
        (
            Connection("x", "a", whole),
            Connection("a", "b", grouped),
            Connection("b", "c", whole),
            Connection("c", "readout", whole),
        ),
        Readout(shape),
    )
    noisy = with_blank_out(net, 0.7)
    assert [c.blank_out is not None for c in noisy.connections] == [False, False, True, False]
    assert noisy.connections[1].operator is grouped


def test_steps_are_samples() -> None:
    noisy, x = network()
    noisy = with_blank_out(noisy, 0.8)
    run = simulate(noisy, x, samples=1, seed=3, steps=5, probe=["trace"])
    apart = simulate(noisy, x, samples=5, seed=3, steps=1)
    assert run.trace is not None
    assert torch.equal(run.trace[0].transpose(0, 1), apart.mean)


def test_sites_are_apart_from_those_of_dropout() -> None:
    noisy = with_blank_out(network(0.2)[0], 0.9)
    dropped = {p.dropout.site for p in noisy.populations if p.dropout}
    blanked = [c.blank_out.site for c in noisy.connections if c.blank_out]
    assert len(set(blanked)) == len(blanked) == 2
    assert not dropped & set(blanked)


def test_inputs_only_if_asked_and_the_read_out_never() -> None:
    plain, _ = network()
    for inputs in (False, True):
        noisy = with_blank_out(plain, 0.9, inputs=inputs)
        assert bool(noisy.connections[0].blank_out) == inputs
        assert all(c.blank_out is None for c in noisy.into(noisy.readout.name))


def test_what_cannot_become_unreliable_is_refused() -> None:
    plain, _ = network()
    with pytest.raises(ConfigError, match="keep must be below 1"):
        with_blank_out(plain, 1.0)
    with pytest.raises(ConfigError, match="must lie in"):
        with_blank_out(plain, 0.0)
    with pytest.raises(ConfigError, match="blank out already"):
        with_blank_out(with_blank_out(plain, 0.9), 0.9)
    s2m = convert(nn.Sequential(BlankOutLinear(4, 3), nn.Linear(3, 2, bias=False)), torch.zeros(1, 4))
    with pytest.raises(ConfigError, match="blank out already"):
        with_blank_out(s2m, 0.9)
    unit = nn.Sequential(nn.Linear(4, 3), Sharpened("brelu", 1.0), nn.Linear(3, 2))
    with pytest.raises(ConfigError, match="no dense or convolutional synapses between neurons"):
        with_blank_out(convert(unit, torch.zeros(1, 4)), 0.9)
