"""A coded network keeps its posterior whatever the scales of its inputs, hidden units and outputs are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikebayes as sb
from modules import Net
from spikebayes.conversion.paired_error import relative_error

CODES = (sb.Digits(4, 4), sb.Graded(12))
CLOSE = {sb.Digits(4, 4): 0.1, sb.Graded(12): 0.01}  # standard deviations
WIDE = 40


def table() -> Tensor:
    """An age, an income, a share, a year."""
    noise = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    return noise * torch.tensor([13, 1e5, 0.05, 5]) + torch.tensor([40, 2e5, 0.3, 2015])


def trained(model: nn.Module, x: Tensor) -> nn.Module:
    """Its batch norms know the rows."""
    with torch.no_grad():
        model.train()(x)
    return model.eval()


def norm(features: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(features, momentum=None)  # pyright: ignore[reportArgumentType]


def hidden(features: int, activation: Callable[[], nn.Module] = nn.ReLU) -> list[nn.Module]:
    return [nn.Linear(features, WIDE), activation(), nn.Dropout(0.2)]


def skip() -> nn.Module:
    """Its second layer and its output see the inputs too."""
    deep, again = nn.Sequential(*hidden(4)), nn.Linear(4, WIDE)
    return Net(
        lambda m, x: m.out(torch.relu(m.second(m.deep(m.norm(x))) + m.again(m.norm(x)))) + m.linear(m.norm(x)),
        norm=norm(4),
        deep=deep,
        second=nn.Linear(WIDE, WIDE),
        again=again,
        out=nn.Sequential(nn.Dropout(0.2), nn.Linear(WIDE, 1)),
        linear=nn.Linear(4, 1),
    )


FORMS: dict[str, Callable[[], nn.Module]] = {
    "ReLU": lambda: nn.Sequential(norm(4), *hidden(4), *hidden(WIDE), nn.Linear(WIDE, 1)),
    "tanh": lambda: nn.Sequential(norm(4), *hidden(4, nn.Tanh), nn.Linear(WIDE, 1)),
    "inputs that are dropped": lambda: nn.Sequential(nn.Dropout(0.2), norm(4), *hidden(4), nn.Linear(WIDE, 1)),
    "inputs seen again": skip,
}


def assert_close(model: nn.Module, x: Tensor, code: sb.Digits | sb.Graded, **settings: float) -> sb.SpikingNetwork:
    network = sb.convert(model, x, code=code, **settings)  # pyright: ignore[reportArgumentType]
    expected, given = (sb.predict(m, x[:40], samples=30, seed=1).samples for m in (model, network))
    errors = [relative_error(expected[..., [k]], given[..., [k]]) for k in range(expected.shape[-1])]
    assert max(errors) < CLOSE[code], errors
    ticks = sb.simulate(network, x[:6], samples=2, seed=1, engine="reference").mean
    assert torch.equal(ticks, sb.simulate(network, x[:6], samples=2, seed=1, engine="windows").mean)
    return network


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_inputs_of_all_scales_and_offsets(form: str, code: sb.Digits | sb.Graded) -> None:
    torch.manual_seed(0)
    x = table()
    assert_close(trained(FORMS[form](), x), x, code)


@pytest.mark.parametrize("code", CODES, ids=str)
def test_an_input_s_grid_is_far_below_a_step_of_its_units(code: sb.Digits | sb.Graded) -> None:
    torch.manual_seed(0)
    x = table()
    first = sb.convert(trained(FORMS["ReLU"](), x), x, code=code).populations[0]
    assert first.grid < 1e-2  # in the steps of its ramps


@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU])
def test_small_units_that_a_norm_makes_large(
    activation: Callable[[], nn.Module], code: sb.Digits | sb.Graded
) -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 10)
    first, scale = nn.Linear(10, WIDE), torch.exp(2 * torch.randn(WIDE))
    with torch.no_grad():
        first.weight.mul_(scale[:, None])
        first.bias.mul_(scale)
    layers = [first, activation(), norm(WIDE), nn.Dropout(0.2), nn.Linear(WIDE, 1)]
    assert_close(trained(nn.Sequential(*layers), x), x, code)


@pytest.mark.parametrize("code", [*CODES, sb.FirstSpike(64)], ids=str)
@pytest.mark.parametrize("activation", [nn.ReLU, lambda: nn.LeakyReLU(0.25)], ids=["ReLU", "LeakyReLU"])
def test_the_scale_of_a_ramp_changes_no_bit(activation: Callable[[], nn.Module], code: sb.Digits) -> None:
    """f(c x) = c f(x): weights times c before a unit and over c behind it are the same function, and network."""
    torch.manual_seed(0)
    x, scale = torch.randn(200, 5), torch.exp2(torch.randint(-12, 13, (WIDE,)))
    model = nn.Sequential(nn.Linear(5, WIDE), activation(), nn.Dropout(0.2), nn.Linear(WIDE, 2))
    before = sb.predict(sb.convert(model, x, code=code), x, samples=5)
    first, last = model[0], model[3]
    with torch.no_grad():
        first.weight *= scale[:, None]  # pyright: ignore
        first.bias *= scale  # pyright: ignore
        last.weight /= scale  # pyright: ignore
    assert torch.equal(sb.predict(sb.convert(model, x, code=code), x, samples=5).samples, before.samples)


def test_a_unit_that_was_never_active_is_given_a_share_of_what_it_takes_in() -> None:
    model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(), nn.Dropout(0.2), nn.Linear(3, 1))
    x = torch.linspace(0, 1, 101)[:, None]
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0], [-4.0], [0.0]]))  # pyright: ignore
        model[0].bias.zero_()  # pyright: ignore
    neuron = sb.convert(model, x, code=sb.Digits(4, 4), headroom=4.0).populations[0].neuron
    top = neuron.top  # pyright: ignore[reportAttributeAccessIssue]
    assert top.tolist() == [8.0, 8.0, 8.0]  # seen 2; half of 4; nothing: as the others


@pytest.mark.parametrize("code", CODES, ids=str)
def test_outputs_of_all_scales(code: sb.Digits | sb.Graded) -> None:
    torch.manual_seed(0)
    x, model = torch.randn(200, 5), nn.Sequential(*hidden(5), nn.Linear(WIDE, 3))
    with torch.no_grad():
        model[-1].weight *= torch.tensor([1e6, 1.0, 1e-3])[:, None]  # pyright: ignore
    assert_close(model.eval(), x, code)


def test_a_factor_for_each_channel_behind_a_curve() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 3, 3), nn.Tanh(), nn.BatchNorm2d(3), nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, 2)]
    x = torch.randn(100, 1, 6, 6)
    assert_close(trained(nn.Sequential(*layers), x), x, sb.Digits(4, 4))


def test_a_module_in_float64_is_measured() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(*hidden(3), nn.Linear(WIDE, 1)).double().eval(), torch.randn(100, 3).double()
    assert sb.convert(model, x, code="auto", error=0.3).code is not None
