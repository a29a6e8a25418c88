"""Neurons in discrete steps: closed forms, and what they share with LIF."""

from __future__ import annotations

import math

import pytest
import torch

from spikebayes import LIF, SpikebayesError
from spikebayes.network import IF, DiscreteLIF, Neuron
from spikebayes.network.discrete import euler

DT = 1e-3


def fired(neuron: Neuron, currents: torch.Tensor, dt: float = DT) -> list[list[bool]]:
    """``[T][N]``, of neurons that start at rest."""
    state, found = neuron.initial(currents[0]), []
    for x in currents:
        spiked, output, state = neuron.step(x, state, dt)
        assert torch.equal(output, spiked.to(x.dtype))
        found.append(spiked.tolist())
    return found


def test_a_constant_current_fires_when_the_charge_reaches_the_threshold() -> None:
    tau, current = 5e-3, torch.tensor([0.99, 1.2, 3.0], dtype=torch.float64)
    leak = 1 - DT / tau
    spikes = fired(DiscreteLIF(tau), current.expand(60, 3))
    for n, j in enumerate(current.tolist()):
        # v_k = j (1 - leak^k) > 1 for the first time, and from 0 again after it
        period = math.ceil(math.log(1 - 1 / j) / math.log(leak)) if j > 1 else 1000
        assert [k for k, spiked in enumerate(spikes, 1) if spiked[n]] == list(range(period, 61, period))


def test_it_is_lif_without_refractory_time_where_voltages_stay_above_0() -> None:
    x = torch.rand(200, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 4
    assert fired(DiscreteLIF(euler(0.02, DT)), x) == fired(LIF(tau_rc=0.02, tau_ref=0.0, amplitude=DT), x)


def test_a_voltage_has_no_floor() -> None:
    x = torch.tensor([[-1000.0], *[[1.5]] * 30], dtype=torch.float64)
    assert sum(map(sum, fired(LIF(tau_rc=0.01, tau_ref=0.0, amplitude=DT), x))) > 0
    assert sum(map(sum, fired(DiscreteLIF(0.01), x))) == 0


def test_a_current_of_its_own_filters_what_comes_in_and_delivers_at_once() -> None:
    slow, fast = 4e-3, 2e-3
    x = torch.zeros(8, 1, dtype=torch.float64)
    x[0] = 0.5
    neuron = DiscreteLIF(fast, r=2.0, tau_syn=slow, w_in=3.0, v_threshold=10.0)
    state, seen = neuron.initial(x[0]), []
    for part in x:
        _, _, state = neuron.step(part, state, DT)
        seen.append(state[0].item())
    # the impulse response of two filters in a row: sum_j a^j b^(k - j)
    a, b = 1 - DT / slow, 1 - DT / fast
    assert seen == pytest.approx(
        [0.5 * 3 * DT / slow * 2 * DT / fast * sum(a**j * b ** (k - j) for j in range(k + 1)) for k in range(8)]
    )


def test_a_spike_is_worth_its_amplitude() -> None:
    neuron, x = DiscreteLIF(0.002, amplitude=2.5), torch.full((1, 1), 3.0)
    spiked, output, _ = neuron.step(x, neuron.initial(x), DT)
    assert (spiked.item(), output.item(), neuron.on(DT)) == (True, 2.5, 2.5)
    _, output, _ = neuron.step(0 * x, neuron.initial(x), DT)
    assert output.item() == 0


def test_a_reset_by_subtraction_loses_no_charge() -> None:
    x = torch.full((100, 1), 0.3, dtype=torch.float64)
    taken, lost = (sum(map(sum, fired(IF(v_reset=reset), x, dt=1.0))) for reset in (None, 0.0))
    assert taken in (29, 30)
    assert lost == 25


def test_each_neuron_may_have_its_own_parameters() -> None:
    x = torch.full((50, 2), 1.3, dtype=torch.float64)
    neuron = DiscreteLIF(torch.tensor([0.004, 0.01]), v_threshold=torch.tensor([1.0, 0.5]), v_leak=0.1)
    one, other = (DiscreteLIF(tau, v_threshold=top, v_leak=0.1) for tau, top in ((0.004, 1.0), (0.01, 0.5)))
    alone = [a + b for a, b in zip(fired(one, x[:, :1]), fired(other, x[:, 1:]), strict=True)]
    both = DiscreteLIF(neuron.tau_mem.double(), v_threshold=torch.tensor([1.0, 0.5]), v_leak=0.1)  # pyright: ignore
    assert fired(both, x) == alone
    assert "0.004 to 0.01" in repr(neuron)
    assert "v_threshold 0.5 to 1" in neuron.words


@pytest.mark.parametrize(
    ("neuron", "arguments", "message"),
    [
        (DiscreteLIF, {"tau_mem": 0.0}, "tau_mem must be a positive number of seconds; got 0"),
        (DiscreteLIF, {"tau_syn": torch.tensor([0.1, -1.0])}, "tau_syn must be a positive .* got -1 to 0.1"),
        (IF, {"v_threshold": math.nan}, "v_threshold must be real and finite"),
        (IF, {"r": "fast"}, "r must be"),
    ],
)
def test_parameters_that_mean_nothing(neuron: type, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(SpikebayesError, match=message):
        neuron(**arguments)
