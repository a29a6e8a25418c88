"""Layers of synapses that blank out: the mean they obey, their gradients, and which of their settings count.

How often they are +1 is in ``test_blank_out_law.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.network.neurons import Bernoulli, Curve
from spikebayes.network.noise import BlankOut, Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import patches
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, SigmoidSign
from spikebayes.nn.unit import Place
from spikebayes.noise.blank_out import Synapses, blank_out_keep, blank_out_scale
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks
from spikebayes.noise.random_layers import Draws

SAMPLINGS = [Exact(), Gaussian(), Law()]
FALSE_ALARM = 1e-3


def draws(lines: int) -> Draws:
    return Draws(Keys(5, torch.arange(lines) + 3, torch.arange(lines) % 4), site=2)


def signs(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(0, 2, shape, generator=torch.Generator().manual_seed(seed)) * 2.0 - 1


def dense(inputs: int = 12, outputs: int = 5, *, sampling: Sampling = Law(), **settings: Any) -> BlankOutLinear:
    """A layer with a beta of its own for each unit."""
    torch.manual_seed(1)
    layer = BlankOutLinear(inputs, outputs, sampling=sampling, **settings)
    with torch.no_grad():
        layer.beta.copy_(torch.linspace(-0.5, 1.5, outputs))
    return layer


# -- gradients ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_gradients_are_the_papers(sampling: Sampling) -> None:
    """Section II.B, unit by unit, of the mean 2 P - 1: dP/dx = exp(-x^2) / sqrt(pi) at x = v . z."""
    layer, z = dense(sampling=sampling).double(), signs(7, 12).double()
    error = torch.randn(7, 5, dtype=torch.float64)
    (layer(z) * error).sum().backward()
    w_gradient, b_gradient = torch.zeros(5, 12, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for w, beta, dw, db, e in zip(
        layer.weight.detach(), layer.beta.detach(), w_gradient, b_gradient, error.T, strict=True
    ):
        norm = w.norm()
        for line, e_r in zip(z, e, strict=True):
            u = w @ line
            slope = 2 * e_r * torch.exp(-((beta * u / norm) ** 2)) / math.sqrt(math.pi)
            dw += slope * beta * (line / norm - w * u / norm**3)
            db += slope * u / norm
    torch.testing.assert_close(layer.weight.grad, w_gradient)
    torch.testing.assert_close(layer.beta.grad, b_gradient)


def test_gradients_of_gradients_are_refused() -> None:
    layer, z = dense(sampling=Law()), signs(7, 12).requires_grad_()
    (first,) = torch.autograd.grad(layer(z).sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("missing", [False, True])
def test_the_gradient_is_that_of_the_mean(sampling: Sampling, missing: bool) -> None:
    """|w_i| over the synapses whose source is there; the sources' gradients take it for given."""
    layer, z = dense(sampling=sampling).double(), signs(7, 12).double()
    if missing:
        z[signs(7, 12, seed=1) > 0] = 0
    z.requires_grad_()
    norm = (layer.weight.square() @ z.detach().square().T).sqrt().T
    mean = torch.erf((z @ layer.weight.T) * layer.beta / norm)
    error = torch.randn(7, 5, dtype=torch.float64)
    of = (z, layer.weight, layer.beta)
    for found, expected in zip(
        torch.autograd.grad((layer(z) * error).sum(), of), torch.autograd.grad((mean * error).sum(), of), strict=True
    ):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("missing", [False, True])
def test_a_convolutions_gradient_is_that_of_the_dense_layer_at_every_place(sampling: Sampling, missing: bool) -> None:
    torch.manual_seed(1)
    conv = BlankOutConv2d(2, 3, (3, 2), stride=(2, 1), padding=1, beta=0.7, sampling=sampling).double()
    z = signs(4, 2, 6, 5).double()
    if missing:
        z[signs(4, 2, 6, 5, seed=1) > 0] = 0
    out = conv(z)
    seen = patches(z, conv.kernel, conv.stride, conv.padding, (1, 1))  # [R, L, K]
    weight = conv.weight.flatten(1)
    norm = (seen.square() @ weight.square().T).sqrt().clamp(min=1e-300)
    mean = torch.erf(seen @ weight.T * conv.beta / norm).transpose(1, 2).reshape(out.shape)
    error = torch.randn_like(mean)
    of = (conv.weight, conv.beta)
    for found, expected in zip(
        torch.autograd.grad((out * error).sum(), of), torch.autograd.grad((mean * error).sum(), of), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_with_and_without_gradients_the_same_is_drawn() -> None:
    for sampling in SAMPLINGS:
        layer, z = dense(sampling=sampling), signs(50, 12)
        torch.manual_seed(0)
        with_ = layer(z)
        torch.manual_seed(0)
        with torch.no_grad():
            assert torch.equal(layer(z), with_)


# -- values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_layer_is_random_in_either_mode(sampling: Sampling, training: bool, dtype: torch.dtype) -> None:
    layer, z = dense(sampling=sampling).train(training).to(dtype), signs(50, 12).to(dtype)
    torch.manual_seed(0)
    first, second = layer(z), layer(z)
    torch.manual_seed(0)
    assert torch.equal(layer(z), first)
    assert not torch.equal(first, second)
    assert (first.dtype, first.unique().tolist()) == (dtype, [-1, 1])


def test_a_draw_of_every_synapse_is_the_sum_of_eq_2() -> None:
    """By hand, with the bits of ``blank_out_keep``."""
    layer, z, drawn = dense(sampling=Exact(), keep=0.75).requires_grad_(False), signs(9, 12), draws(9)
    xi = blank_out_keep(BlankOut(0.75, site=2), drawn.keys, Synapses(1, 12, 5))[:, 0]  # [R, K, O]
    u = ((xi + blank_out_scale(layer.beta, 0.75)) * layer.weight.T * z[:, :, None]).sum(1)
    assert torch.equal(layer.drawn(z, drawn), u >= 0)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_scaled_rows_of_weights_change_nothing(sampling: Sampling) -> None:
    layer, z = dense(sampling=sampling).requires_grad_(False), signs(200, 12)
    before, law = layer.drawn(z, draws(200)), layer.law(z)
    layer.weight.mul_(2.0 ** torch.tensor([-20, 9, 1, 0, -3])[:, None])
    assert torch.equal(layer.drawn(z, draws(200)), before)
    layer.weight.mul_(torch.tensor([3, 0.7, 1e4, 11, 1e-5])[:, None])
    torch.testing.assert_close(layer.law(z), law)


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_scaled_inputs_change_nothing(sampling: Sampling) -> None:
    """As dropout before the layer scales them."""
    layer, z = dense(sampling=sampling).requires_grad_(False), signs(200, 12)
    z[:, 3:7] = 0
    assert torch.equal(layer.drawn(4 * z, draws(200)), layer.drawn(z, draws(200)))


def test_sources_that_are_missing_count_as_if_their_synapses_were_not_there() -> None:
    layer, z, there = dense(), signs(6, 12), torch.tensor([0, 2, 3, 5, 7, 8, 11])
    few = BlankOutLinear(7, 5)
    few.weight, few.beta = nn.Parameter(layer.weight.detach()[:, there]), layer.beta
    masked = torch.zeros_like(z)
    masked[:, there] = z[:, there]
    torch.testing.assert_close(layer.law(masked), few.law(z[:, there]))


@pytest.mark.parametrize("sampling", [Exact(), Gaussian()])
def test_without_input_a_unit_is_plus_one(sampling: Sampling) -> None:
    assert bool(dense(sampling=sampling).drawn(torch.zeros(40, 12), draws(40)).all())


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_units_that_see_nothing_have_no_gradient(sampling: Sampling) -> None:
    layer, z = dense(sampling=sampling), signs(4, 12)
    alone = torch.autograd.grad(layer(z[1:]).sum(), (layer.weight, layer.beta))
    z[0] = 0
    beside = torch.autograd.grad(layer(z).sum(), (layer.weight, layer.beta))
    assert layer.law(z)[0].tolist() == [0] * 5
    for found, expected in zip(beside, alone, strict=True):
        torch.testing.assert_close(found, expected)
    conv = BlankOutConv2d(1, 2, 1, padding=1, sampling=sampling)  # a border of places without a source
    inside = BlankOutConv2d(1, 2, 1, sampling=sampling)
    inside.load_state_dict(conv.state_dict())
    image = signs(3, 1, 4, 4)
    for layer_ in (conv, inside):
        layer_(image).sum().backward()
    torch.testing.assert_close(conv.weight.grad, inside.weight.grad)
    torch.testing.assert_close(conv.beta.grad, inside.beta.grad)


def test_the_factor_makes_the_law_of_the_plain_layer() -> None:
    layer, z = dense(), signs(6, 12)
    torch.testing.assert_close(F.linear(z, layer.weight) * layer.law_factor((12,)), layer.law(z))
    conv, image = BlankOutConv2d(2, 3, 3, padding=1), signs(4, 2, 5, 5)
    torch.testing.assert_close(F.conv2d(image, conv.weight, padding=1) * conv.law_factor((2, 5, 5)), conv.law(image))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_where_nothing_is_drawn_a_unit_does_what_is_likelier(sampling: Sampling) -> None:
    layer, z = dense(sampling=sampling), signs(50, 12)
    with DropoutInputs(), torch.no_grad():
        assert torch.equal(layer(z) > 0, layer.law(z) >= 0)


# -- convolutions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_a_convolution_of_one_place_is_the_dense_layer(sampling: Sampling) -> None:
    conv = BlankOutConv2d(2, 5, (2, 3), sampling=sampling).requires_grad_(False)
    layer = dense(sampling=sampling).requires_grad_(False)
    conv.weight.copy_(layer.weight.reshape(5, 2, 2, 3))
    conv.beta.copy_(layer.beta)
    z = signs(60, 2, 2, 3)
    assert torch.equal(conv.drawn(z, draws(60)).flatten(1), layer.drawn(z.flatten(1), draws(60)))


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_place_stands_where_torchs_convolution_has_it(sampling: Sampling) -> None:
    """A huge beta leaves no chance: the sign is that of the weighted sum."""
    torch.manual_seed(0)
    conv = BlankOutConv2d(3, 4, (3, 2), stride=(1, 2), padding=(2, 1), beta=1e5, sampling=sampling)
    z = signs(5, 3, 6, 7)
    sums = F.conv2d(z, conv.weight, None, (1, 2), (2, 1))
    clear = sums.abs() > 0.01
    found = conv(z)
    assert found.shape == sums.shape
    assert torch.equal(found[clear] > 0, sums[clear] > 0)
    assert clear.double().mean() > 0.9


def test_places_draw_apart_though_they_share_their_weights() -> None:
    torch.manual_seed(0)
    conv = BlankOutConv2d(32, 1, 3, beta=0.0, sampling=Exact()).requires_grad_(False)
    z = signs(1, 32, 3, 1).expand(4000, 32, 3, 8)  # six places that see the same
    on = conv.drawn(z, draws(4000)).flatten(1).double() * 2 - 1
    products = (on.T @ on / 4000)[torch.triu_indices(6, 6, 1).unbind()]
    assert stats.chi2(15).cdf(4000 * float(products.square().sum())) < 1 - FALSE_ALARM


# -- the sigmoid unit --------------------------------------------------------------------------------------


def test_sigmoid_units_have_the_sigmoids_mean() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-4, 4, 15)
    z, p = SigmoidSign()(x.expand(20_000, 15)), torch.sigmoid(x.double())
    assert z.unique().tolist() == [-1, 1]
    square = ((z > 0).double().sum(0) - 20_000 * p).square() / (20_000 * p * (1 - p))
    assert stats.chi2(15).cdf(float(square.sum())) < 1 - FALSE_ALARM


def test_a_sigmoid_units_gradient_is_its_means() -> None:
    x = torch.linspace(-30, 30, 41, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(SigmoidSign()(x[None]).sum(), x)
    (expected,) = torch.autograd.grad((2 * torch.sigmoid(x) - 1).sum(), x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_a_sigmoid_unit_is_the_neuron_it_says(training: bool) -> None:
    unit, x = SigmoidSign().train(training), torch.linspace(-3, 3, 60).reshape(3, 20)
    made = unit.units(Place((20,), 3, Exact()))
    keys = Keys(9, torch.arange(3), torch.arange(3))
    with Masks(keys):
        z = unit(x)
    assert made.neuron == Bernoulli(Curve.SIGMOID, site=3)
    assert (made.operator, made.noise, made.factor, made.shift, made.demands) == (None, None, 1.0, 0.0, ())
    on = Draws(keys, site=0).fire(x, Curve.SIGMOID)
    assert torch.equal(z, made.neuron.drawing_by(lambda *_: on)(x, (), 1e-3)[1])


# -- settings ----------------------------------------------------------------------------------------------


def test_a_fresh_layer_has_sums_of_variance_one_and_the_beta_asked_for() -> None:
    torch.manual_seed(0)
    layer = BlankOutConv2d(8, 400, 5, keep=0.25, beta=0.5)
    norms = layer.weight.flatten(1).square().sum(1).detach()
    assert stats.chi2(400 * 200).cdf(float(200 * norms.sum())) == pytest.approx(0.5, abs=0.4995)
    assert layer.beta.tolist() == [0.5] * 400
    torch.testing.assert_close((layer.scale + 0.25) / math.sqrt(2 * 0.25 * 0.75), layer.beta)


def test_what_they_are_can_be_read_off() -> None:
    assert repr(BlankOutLinear(4, 3)) == "BlankOutLinear(4, 3, keep=0.5, sampling=Law())"
    conv = BlankOutConv2d(1, 6, 5, stride=2, padding=(0, 1), keep=0.25, sampling=Exact())
    sizes = "kernel=(5, 5), stride=(2, 2), padding=(0, 1)"
    assert repr(conv) == f"BlankOutConv2d(1, 6, {sizes}, keep=0.25, sampling=Exact())"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlankOutLinear(3, 2, 0.0), r"that a synapse transmits must lie in \(0, 1\]; got 0.0"),
        (lambda: BlankOutLinear(3, 2, 1.5), r"that a synapse transmits must lie in \(0, 1\]; got 1.5"),
        (lambda: BlankOutLinear(3, 2, math.nan), "that a synapse transmits must lie"),
        (
            lambda: BlankOutConv2d(3, 2, 1, keep=1),
            "keep must be below 1: synapses that always transmit are not random",
        ),
        (lambda: BlankOutLinear(0, 2), r"at least one unit and one synapse for each; got weights \[2, 0\]"),
        (lambda: BlankOutLinear(3, 0), r"at least one unit and one synapse for each; got weights \[0, 3\]"),
        (
            lambda: BlankOutConv2d(3, 2, (1, 0)),
            r"at least one unit and one synapse for each; got weights \[2, 3, 1, 0\]",
        ),
        (lambda: BlankOutLinear(3, 2, beta=math.nan), "beta must be finite; got nan"),
        (lambda: BlankOutLinear(3, 2, beta=math.inf), "beta must be finite; got inf"),
        (
            lambda: BlankOutLinear(3, 2, sampling=Law),  # pyright: ignore[reportArgumentType]
            r"sampling must be Exact\(\), Gaussian\(\) or Law\(\); got",
        ),
        (lambda: BlankOutConv2d(3, 2, 1, stride=0), r"stride must be positive .* got \(0, 0\) and \(0, 0\)"),
        (lambda: BlankOutConv2d(3, 2, 1, padding=(0, -1)), r"padding 0 or more; got \(1, 1\) and \(0, -1\)"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@torch.no_grad()
def test_sums_that_are_drawn_at_once_are_drawn_where_the_layer_is() -> None:
    layer = BlankOutLinear(3, 2, sampling=Gaussian()).to("meta")
    assert layer(torch.ones(4, 3, device="meta")).device.type == "meta"


@torch.no_grad()
def test_a_draw_of_every_synapse_is_made_on_the_processor_only() -> None:
    layer = BlankOutLinear(3, 2, sampling=Exact()).to("meta")
    with pytest.raises(ConfigError, match=r"runs on the CPU; use Law\(\) or Gaussian\(\)"):
        layer(torch.ones(4, 3, device="meta"))
