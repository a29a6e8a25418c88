"""DiscreteSoftLIF: its curves against neurons that are stepped, its slopes, and what it becomes."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikebayes import ConversionError, SpikebayesError, check, convert, simulate
from spikebayes.network import DiscreteLIF
from spikebayes.network.noise import Exact
from spikebayes.nn import DiscreteSoftLIF, LIFRate, Permadrop, Place, SoftLIF, Step, zoo

GAMMA = 1e-4  # sharp enough to be none


def mean_output(unit: DiscreteSoftLIF, x: Tensor, steps: int, left_out: int = 0) -> Tensor:
    """``[N]``, of the unit's neurons under inputs ``[T or 1, N]``, over the steps that are not left out."""
    told = unit.units(Place((x.shape[1],), 0, Exact()))
    given = told.factor * x.double() + told.shift
    state, total = told.neuron.initial(given[0]), torch.zeros(x.shape[1]).double()
    for step in range(steps):
        _, output, state = told.neuron.step(given[step % len(given)], state, unit.dt)
        total += output * (step >= left_out)
    return total / (steps - left_out)


# -- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tau_rc", "dt"), [(0.1, 1e-3), (0.02, 1e-3), (0.02, 2e-3), (0.005, 1e-4)])
def test_under_a_constant_input_intervals_are_whole_steps(tau_rc: float, dt: float) -> None:
    unit = DiscreteSoftLIF(GAMMA, tau_rc, constant=True, dt=dt)
    x = torch.linspace(-0.2, 4, 400).double()
    expected = unit(x)
    steps = torch.where(expected > 0, unit.amplitude / expected, 0).round()
    told = unit.units(Place((len(x),), 0, Exact()))
    state, given = told.neuron.initial(x), told.factor * x + told.shift
    for step in range(1, 301):
        spiked, _, state = told.neuron.step(given, state, dt)
        assert torch.equal(spiked, (steps > 0) & (step % steps.clamp(min=1) == 0))
    assert int(steps.unique().numel()) > 5
    assert torch.equal(unit.rate(x), expected)


@pytest.mark.parametrize("tau_rc", [0.1, 0.05])
def test_under_a_current_that_fluctuates_it_fires_half_a_step_late(tau_rc: float) -> None:
    unit = DiscreteSoftLIF(GAMMA, tau_rc, None)
    mean = torch.linspace(0.1, 0.8, 40).double() * tau_rc / 0.1
    noise = torch.randn(8000, 40, generator=torch.Generator().manual_seed(0)).double()
    found = mean_output(unit, mean * (1 + 0.4 * noise), 8000)
    stairs = DiscreteSoftLIF(GAMMA, tau_rc, constant=True)(mean)
    assert float((found / unit(mean) - 1).abs().max()) < 0.03
    assert float((stairs / unit(mean) - 1).abs().max()) > 0.05


def test_a_filter_of_its_own_changes_the_start_alone() -> None:
    x = torch.linspace(0.0, 1.0, 20)[None]
    filtered, bare = (DiscreteSoftLIF(GAMMA, tau_syn=tau) for tau in (0.02, None))
    late, at_once = (mean_output(unit, x, 2400, 400) for unit in (filtered, bare))
    assert torch.allclose(late, at_once, rtol=0.02)
    early, begun = (mean_output(unit, x, 20) for unit in (filtered, bare))
    assert float(early.sum()) < 0.7 * float(begun.sum())


@pytest.mark.parametrize("tau_rc", [0.1, 0.02])
def test_what_is_over_the_threshold_is_kept_by_subtraction(tau_rc: float) -> None:
    unit = DiscreteSoftLIF(GAMMA, tau_rc, constant=True, reset="subtract")
    x = torch.linspace(0.0, 1.0, 101)[None]
    found, expected = mean_output(unit, x, 6000, 1000), unit(x[0].double())
    assert float((found / expected - 1).square().mean().sqrt()) < 0.01
    assert float((found / DiscreteSoftLIF(GAMMA, tau_rc)(x[0].double()) - 1).square().mean().sqrt()) > 0.03


def test_without_a_leak_a_reset_by_subtraction_is_a_bounded_relu() -> None:
    tau_rc = 50.0
    unit = DiscreteSoftLIF(
        GAMMA, tau_rc, constant=True, reset="subtract", amplitude=1.0, gain=tau_rc / 1e-3, bias=0.0
    )
    x = torch.linspace(-0.5, 1.5, 41).double()
    assert torch.allclose(unit(x), x.clamp(0, 1), atol=1e-3)
    assert torch.allclose(mean_output(unit, x[None], 4000), x.clamp(0, 1), atol=2e-3)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_no_neuron_fires_more_than_once_a_step(reset: Any) -> None:
    unit = DiscreteSoftLIF(GAMMA, reset=reset, amplitude=3.0)
    x = torch.tensor([1e3, 1e30, torch.inf])
    assert unit(x).tolist() == pytest.approx([3.0] * 3, rel=1e-4)
    assert DiscreteSoftLIF(GAMMA, reset=reset, amplitude=3.0, constant=True)(x).tolist() == pytest.approx([3.0] * 3)
    x.requires_grad_()
    unit(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0.0] * 3


def test_it_is_the_lif_curve_of_half_a_step_of_rest() -> None:
    x = torch.linspace(-1, 1, 50)
    rested = LIFRate(0.1, 0.0005, 0.004, 18.0, 4.0)
    assert torch.allclose(DiscreteSoftLIF(GAMMA)(x), rested(x), atol=2e-3)


# -- slopes ------------------------------------------------------------------------------------------------


def test_the_staircase_has_the_slope_of_the_smooth_curve() -> None:
    x = torch.linspace(-1, 1, 101, requires_grad=True)
    slopes = [torch.autograd.grad(DiscreteSoftLIF(0.02, constant=c)(x).sum(), x)[0] for c in (False, True)]
    assert torch.equal(*slopes)
    assert float(slopes[0].max()) > 0.1
    with torch.no_grad():
        assert torch.equal(DiscreteSoftLIF(constant=True)(x), DiscreteSoftLIF(constant=True).rate(x))


def test_fit_anneals_its_gamma_as_that_of_softlif() -> None:
    from spikebayes.training.sharpening import Gamma

    unit = DiscreteSoftLIF()
    assert isinstance(unit, SoftLIF)
    assert Gamma().layers(nn.Sequential(unit)) == [unit]


# -- conversion --------------------------------------------------------------------------------------------


def model(**options: Any) -> nn.Sequential:
    torch.manual_seed(0)
    return zoo.discrete(3, 1, (40, 30), 0.2, unit=partial(DiscreteSoftLIF, GAMMA, **options)).eval()


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_it_becomes_a_population_in_the_form_that_importers_read_alike(reset: Any) -> None:
    network = convert(model(reset=reset), torch.randn(5, 3))
    first, second = (p.neuron for p in network.populations)
    assert isinstance(first, DiscreteLIF)
    assert isinstance(second, DiscreteLIF)
    assert (first.tau_syn, first.r, second.v_reset) == (None, 1.0, 0.0 if reset == "zero" else None)
    assert second.r * 1e-3 == pytest.approx(second.tau_mem, rel=1e-6)
    assert second.w_in * 1e-3 == pytest.approx(second.tau_syn, rel=1e-6)
    assert all(c.synapse is None for c in network.connections)
    assert [type(c.operator).__name__ for c in network.connections] == ["Dense"] * 3


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_the_network_gives_what_the_module_gives(reset: Any) -> None:
    from spikebayes import predict

    made, x = model(reset=reset), torch.randn(30, 3, generator=torch.Generator().manual_seed(1))
    module, network = (predict(m, x, samples=20, seed=3, **o).samples for m, o in (
        (made, {}), (convert(made, x), {"steps": 900, "burn_in": 200})))  # fmt: skip
    apart = (module - network).square().mean(0).sqrt() / module.std(0)
    assert float(apart.median()) < 0.05


def test_steps_of_another_length_are_refused() -> None:
    made, x = model(dt=2e-3), torch.randn(5, 3)
    with pytest.raises(ConversionError, match=r"'_2'.*steps of 0.002 s, but dt is 0.001 s; give dt=0.002"):
        convert(made, x)
    assert convert(made, x, dt=2e-3).dt == 2e-3
    assert not check(made, x).obstacles


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ((DiscreteSoftLIF(), DiscreteSoftLIF()), r"the same in all steps.*use DiscreteSoftLIF\(constant=True\)"),
        (
            (DiscreteSoftLIF(constant=True), DiscreteSoftLIF(constant=True)),
            r"spikes lead to it.*without constant=True",
        ),
        ((Step(), DiscreteSoftLIF()), "what leads to it is the same in all steps"),
    ],
)
def test_the_curve_must_be_that_of_what_leads_to_it(units: tuple[nn.Module, ...], message: str) -> None:
    first, second = units
    made = nn.Sequential(nn.Linear(3, 4), first, Permadrop(0.1), nn.Linear(4, 4), second, nn.Linear(4, 1))
    with pytest.raises(ConversionError, match=message):
        convert(made, torch.randn(5, 3))
    assert check(made, torch.randn(5, 3)).obstacles


def test_engines_agree_on_it() -> None:
    for reset in ("zero", "subtract"):
        made, x = model(reset=reset), torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
        network = convert(made, x)
        ours, reference = (
            simulate(network, x, samples=3, steps=150, probe=["spikes"], dtype=torch.float64, engine=engine)
            for engine in ("cpu", "reference")
        )
        assert all(torch.equal(ours.spikes[name], spikes) for name, spikes in reference.spikes.items())
        assert torch.allclose(ours.mean, reference.mean)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gain": -1.0}, "gain must be a positive number; got -1"),
        ({"dt": 0.0}, "dt must be a positive number"),
        ({"tau_rc": 0.0}, "tau_rc must be a positive number"),
        ({"tau_syn": -0.1}, "tau_syn must be a positive number"),
        ({"reset": "soft"}, "reset must be"),
        ({"gamma": 0.0}, "gamma must be positive"),
    ],
)
def test_settings_that_mean_nothing(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SpikebayesError, match=message):
        DiscreteSoftLIF(**options)


def test_a_first_layer_of_its_own() -> None:
    made = zoo.discrete(3, 1, (4, 4, 4))
    assert [m.constant for m in made if isinstance(m, DiscreteSoftLIF)] == [True, False, False]


def test_behind_units_without_memory_the_input_is_constant() -> None:
    unit = DiscreteSoftLIF(constant=True)
    made = nn.Sequential(nn.Linear(3, 4), Step(), Permadrop(0.1), nn.Linear(4, 4), unit, nn.Linear(4, 1))
    assert not check(made, torch.randn(5, 3)).obstacles
