"""Encoders, sign units and synapses that blank out, from module to network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from modules import Net, Net2
from spikebayes.conversion.convert import convert
from spikebayes.conversion.exact_sums import on_grid
from spikebayes.errors import ConfigError, ConversionError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import LIF, Bernoulli, Sign
from spikebayes.network.noise import BlankOut, Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import Conv, Dense
from spikebayes.nn import BlankOutConv2d, BlankOutLinear, Permadrop, SigmoidSign, SoftLIF, Step
from spikebayes.nn.encoders import BernoulliSpikes, NoisySign
from spikebayes.nn.zoo import s2m, s2m_conv, sigmoid_network
from spikebayes.noise.bits import dropout_keep
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks
from spikebayes.prediction.predict import predict
from spikebayes.prediction.simulate import simulate

SAMPLINGS = [Exact(), Gaussian(), Law()]


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def of(model: nn.Module, *shape: int, **settings: Any) -> SpikingNetwork:
    return convert(model, torch.zeros(1, *shape), **settings)


def body(network: SpikingNetwork) -> list[str]:
    return [line.strip() for line in repr(network).splitlines()[1:]]


def unit(network: SpikingNetwork, name: str) -> Any:
    return next(p for p in network.populations if p.name == name)


# -- what each becomes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoder", "neuron", "x", "probability"),
    [
        (NoisySign(0.5, 0.25), "Bernoulli(curve=<Curve.ERF: 'erf'>, off=-1, site=0)", 0.5, 0.691462),
        (NoisySign(0.0, 0.25), "Sign()", 0.5, 1.0),
        (NoisySign(0.0, 0.75), "Sign()", 0.5, 0.0),
        (BernoulliSpikes(), "Bernoulli(curve=<Curve.LINEAR: 'linear'>, off=0, site=0)", 0.3, 0.3),
        (Step(0.25), "Threshold(threshold=0.25)", 0.25, 1.0),
        (SigmoidSign(), "Bernoulli(curve=<Curve.SIGMOID: 'sigmoid'>, off=-1, site=0)", 0.5, 0.622459),
    ],
)
def test_units(encoder: nn.Module, neuron: str, x: float, probability: float) -> None:
    """The frequency of 40,000 draws strays from the closed form by 5 standard errors in one of 10^6 runs."""
    network = of(nn.Sequential(encoder, nn.Linear(100, 1)), 100)
    assert body(network) == [
        "input_1 [100] Input",
        f"layer0 [100] {neuron} <- input_1",
        "readout [1] Readout <- layer0",
    ]
    on = simulate(network, torch.full((1, 100), x), samples=400, steps=1).counts["layer0"].sum() / 40_000
    assert abs(on - probability) <= 5 * (probability * (1 - probability) / 40_000) ** 0.5 + 1e-6


def test_an_identity_is_nothing_of_its_own() -> None:
    network = of(nn.Sequential(nn.Identity(), nn.Linear(4, 3), SoftLIF(), nn.Linear(3, 1)), 4)
    assert [p.name for p in network.populations] == ["layer2"]
    assert network.connections[0].source == "input_1"


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_dense_blank_out(sampling: Sampling) -> None:
    layer = BlankOutLinear(6, 5, 0.75, beta=0.8)
    network = of(nn.Sequential(NoisySign(0.6), layer, nn.Linear(5, 2)), 6, sampling=sampling)
    neuron = "Bernoulli(curve=<Curve.ERF: 'erf'>, off=-1, site=1)" if sampling == Law() else "Sign()"
    assert body(network) == [
        "input_1 [6] Input",
        "layer0 [6] Bernoulli(curve=<Curve.ERF: 'erf'>, off=-1, site=0) <- input_1",
        f"layer1 [5] {neuron} <- layer0",
        "readout [2] Readout <- layer1",
    ]
    into = network.into("layer1")[0]
    assert network.is_memoryless
    assert into.synapse is None
    if sampling == Law():
        z = torch.randn(7, 6).sign()
        assert into.blank_out is None
        torch.testing.assert_close(into.operator(z), layer.law(z).detach())
        return
    noise = into.blank_out
    assert isinstance(noise, BlankOut)
    assert (noise.keep, noise.hold, noise.site, noise.sampling, noise.successive) == (0.75, 1, 1, sampling, True)
    assert torch.equal(torch.as_tensor(noise.scale), layer.scale)
    assert torch.equal(into.operator.weight, on_grid(layer.weight.detach()))  # pyright: ignore


def test_weights_in_front_of_what_moves_units_are_on_the_grid_too() -> None:
    layer = nn.Conv1d(2, 3, 2)
    network = of(
        nn.Sequential(nn.Linear(4, 8), Step(), nn.Unflatten(1, (2, 4)), layer, nn.Flatten(), Step(), nn.Linear(9, 1)),
        4,
    )
    (conv,) = (part for part in network.into("layer5")[0].operator.parts if part.weight is not None)
    assert torch.equal(conv.weight, on_grid(layer.weight.detach()))


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_convolutional_blank_out(sampling: Sampling) -> None:
    layer = BlankOutConv2d(2, 3, (3, 2), stride=(2, 1), padding=(1, 0), keep=0.5)
    layer.beta.data.uniform_(0.5, 1.5)
    network = of(nn.Sequential(NoisySign(0.0), layer, nn.Flatten(), nn.Linear(36, 2)), 2, 5, 5, sampling=sampling)
    assert unit(network, "layer1").shape == (3, 3, 4)
    into = network.into("layer1")[0]
    conv = into.operator.parts[0]
    assert isinstance(conv, Conv)
    assert (conv.stride, conv.padding) == ((2, 1), (1, 0))
    assert torch.equal(conv.weight, on_grid(layer.weight.detach()))
    if sampling == Law():
        z = torch.randn(7, 2, 5, 5).sign()
        torch.testing.assert_close(into.operator(z), layer.law(z).detach())  # fewer synapses at the borders
    else:
        assert into.blank_out is not None
        assert torch.equal(torch.as_tensor(into.blank_out.scale), layer.scale)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("inner", SAMPLINGS, ids=str)
def test_the_modules_own_sampling_does_not_matter(inner: Sampling, sampling: Sampling) -> None:
    made = body(of(s2m(4, 2, (3, 3), sampling=inner), 4, sampling=sampling))
    assert made == body(of(s2m(4, 2, (3, 3)), 4, sampling=sampling))


def test_the_zoos_networks_convert() -> None:
    assert [type(p.neuron) for p in of(s2m(4, 2, (3, 3)), 4).populations] == [Bernoulli, Sign, Sign]
    assert all(isinstance(p.neuron, Bernoulli) for p in of(sigmoid_network(4, 2, (3, 3)), 4).populations)
    network = of(s2m_conv(), 1, 28, 28)
    assert [p.shape for p in network.populations] == [(1, 28, 28), (16, 12, 12), (32, 4, 4), (128,)]


# -- sites ---------------------------------------------------------------------------------------------------


class Watched(Masks):
    """Which sites were random, in the order of the calls."""

    def __init__(self) -> None:
        super().__init__(Keys(0, torch.zeros(2, dtype=torch.int64), torch.arange(2)))
        self.drawn: list[int] = []

    def _draw(self, *arguments: Any) -> Tensor:
        self.drawn.append(self.sites)
        return super()._draw(*arguments)


def test_dropout_and_random_calls_are_numbered_together() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        z = m.drop(m.encoder(x))
        h = m.layer(m.none(z))
        return m.head(m.sigmoid(m.linear(m.drop(h))))

    named = {"encoder": NoisySign(0.6), "drop": Permadrop(0.5), "none": nn.Dropout(0.0), "sigmoid": SigmoidSign()}
    layers = {"layer": BlankOutLinear(4, 5), "linear": nn.Linear(5, 6), "head": nn.Linear(6, 1)}
    model = Net(forward, **named, **layers)
    network = of(model, 4)
    encoder, layer, sigmoid = network.populations
    noise = network.into(layer.name)[0].blank_out
    assert isinstance(encoder.neuron, Bernoulli)
    assert isinstance(sigmoid.neuron, Bernoulli)
    assert noise is not None
    sites = [encoder.neuron.site, encoder.dropout.site, noise.site, layer.dropout.site, sigmoid.neuron.site]  # pyright: ignore
    assert sites == [0, 1, 3, 4, 5]
    with Watched() as masks, torch.no_grad():
        model(torch.randn(2, 4))
    assert masks.drawn == [0, 3, 5]
    assert masks.sites == 6


def test_an_encoder_that_draws_nothing_takes_no_site() -> None:
    network = of(nn.Sequential(NoisySign(0.0), BlankOutLinear(3, 2), nn.Linear(2, 1)), 3)
    assert network.connections[1].blank_out.site == 0  # pyright: ignore
    with Watched() as masks, torch.no_grad():
        nn.Sequential(NoisySign(0.0), Step())(torch.randn(2, 4))
    assert masks.sites == 0


def test_a_layer_called_twice_draws_twice_with_one_weight() -> None:
    model = Net2(
        lambda m, x, y: m.head(torch.cat([m.layer(m.sign(x)), m.layer(m.sign(y))], 1)),
        sign=NoisySign(0.0),
        layer=BlankOutLinear(40, 30),
        head=nn.Linear(60, 1, bias=False),
    )
    x = torch.randn(2, 40)
    network = convert(model, [x, x])
    first, second = (c for c in network.connections if c.blank_out)
    assert [first.blank_out.site, second.blank_out.site] == [0, 1]  # pyright: ignore
    run = simulate(network, (x, x), samples=3, steps=1, probe=["spikes"])
    assert not torch.equal(run.spikes[first.target], run.spikes[second.target])


def test_one_layer_under_two_masks_draws_once() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.layer(m.sign(x))
        return m.one(m.drop(h)) + m.other(m.drop(h))

    named = {"sign": NoisySign(0.0), "drop": Permadrop(0.5), "layer": BlankOutLinear(40, 30)}
    network = of(Net(forward, **named, one=nn.Linear(30, 1), other=nn.Linear(30, 1)), 40)
    one, other = network.populations[-2:]
    run = simulate(network, torch.randn(2, 40), samples=5, steps=1, probe=["spikes"])
    rows = torch.arange(2)
    for sample in range(5):
        keep = [dropout_keep(p.dropout, Keys(0, torch.full((2,), sample), rows), 30) for p in (one, other)]  # pyright: ignore
        both = keep[0] & keep[1]
        assert not torch.equal(*keep)
        assert torch.equal(run.spikes[one.name][sample, :, 0] & both, run.spikes[other.name][sample, :, 0] & both)


# -- mixed networks ------------------------------------------------------------------------------------------


def agree(model: nn.Module, x: Any, share: float = 0.99) -> SpikingNetwork:
    """The module's samples are the network's but for rounding in a few rows."""
    network = convert(model, x)
    assert network.is_memoryless
    classical, spiking = (predict(m, x, samples=20, seed=4).samples for m in (model, network))
    assert classical.std(0).max() > 0
    near = (classical - spiking).abs() <= 1e-4 * classical.abs().amax()
    assert near.all(2).double().mean() >= share
    return network


def test_sign_units_with_dropout() -> None:
    layers = [NoisySign(0.6), Permadrop(0.25), BlankOutLinear(30, 20, sampling=Exact()), Permadrop(0.5)]
    agree(nn.Sequential(*layers, BlankOutLinear(20, 20, 0.9, sampling=Exact()), nn.Linear(20, 2)), torch.randn(9, 30))


def test_a_mask_over_a_concatenation_of_sign_units() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        z = m.encoder(x)
        return m.head(m.drop(torch.cat([m.a(z), m.b(m.linear(z))], 1)))

    named = {"encoder": NoisySign(0.6), "a": BlankOutLinear(30, 20, sampling=Exact()), "b": SigmoidSign()}
    model = Net(forward, **named, linear=nn.Linear(30, 10), drop=Permadrop(0.5), head=nn.Linear(30, 2))
    network = agree(model, torch.randn(9, 30))
    offsets = [p.dropout.offset for p in network.populations if p.dropout]
    assert offsets == [0, 20]


def test_threshold_spikes_and_bernoulli_spikes_into_sign_units() -> None:
    """Synapses see 0 and 1: no law, but every draw."""
    for encoder in (Step(0.5), BernoulliSpikes()):
        model = nn.Sequential(encoder, BlankOutLinear(30, 20, 0.75, sampling=Exact()), nn.Linear(20, 2))
        agree(model, torch.rand(9, 30))


def test_real_inputs_and_skip_connections() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.layer(x)
        return m.head(h) + m.skip(x) + m.second(m.layer2(h))

    layers = {"layer": BlankOutLinear(30, 20, sampling=Exact()), "layer2": BlankOutLinear(20, 25, sampling=Exact())}
    heads = {"head": nn.Linear(20, 2), "skip": nn.Linear(30, 2), "second": nn.Linear(25, 2)}
    agree(Net(forward, **layers, **heads), torch.randn(9, 30))


def test_filters_stand_behind_lif_neurons_alone() -> None:
    layers = [nn.Linear(4, 8), SoftLIF(), BlankOutLinear(8, 6), BlankOutLinear(6, 5), nn.Linear(5, 1)]
    network = of(nn.Sequential(*layers), 4)
    assert [isinstance(p.neuron, LIF) for p in network.populations] == [True, False, False]
    assert [c.synapse is not None for c in network.connections] == [False, True, False, False]
    assert not network.is_memoryless


# -- weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_training_on_leaves_the_network_as_it_is(sampling: Sampling) -> None:
    model, x = s2m(6, 2, (5, 4)), torch.randn(3, 6)
    network = convert(model, x, sampling=sampling)
    before = simulate(network, x, samples=8, steps=1).mean
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.uniform_(-3, 3)
    assert torch.equal(simulate(network, x, samples=8, steps=1).mean, before)
    assert not torch.equal(simulate(convert(model, x, sampling=sampling), x, samples=8, steps=1).mean, before)


def test_weights_behind_units_lie_on_the_grid_and_those_behind_inputs_do_not() -> None:
    linears = [nn.Linear(6, 300), nn.Linear(300, 200), nn.Linear(200, 2)]
    model = nn.Sequential(linears[0], Step(), linears[1], SigmoidSign(), linears[2])
    for linear in linears:
        linear.weight.data *= torch.pi
    weights = [c.operator.weight for c in of(model, 6).connections if isinstance(c.operator, Dense)]
    assert torch.equal(weights[0], linears[0].weight)
    for weight, linear in zip(weights[1:], linears[1:], strict=True):
        assert torch.equal(weight, on_grid(linear.weight.detach()))
        assert not torch.equal(weight, linear.weight)


def test_weights_of_a_network_with_memory_are_the_modules() -> None:
    layers = [nn.Linear(6, 5), SoftLIF(), nn.Linear(5, 2)]
    weights = [c.operator.weight for c in of(nn.Sequential(*layers), 6).connections]  # pyright: ignore
    assert torch.equal(weights[1], layers[2].weight)  # pyright: ignore


# -- refusals ------------------------------------------------------------------------------------------------


def _two_sources(m: Any, x: Tensor) -> Tensor:
    return m.head(m.layer(m.one(x) + m.other(x)))


ONE_SOURCE = "its synapses need one population or input as their source, and no bias on it"
LAW = r"Law\(\) needs inputs of \+-1 only, without dropout; use Exact\(\) or Gaussian\(\)"


def _before(*layers: nn.Module) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(*layers, BlankOutLinear(4, 3), nn.Linear(3, 1))


@pytest.mark.parametrize(
    ("make", "sampling", "message"),
    [
        (_before(nn.Linear(4, 4)), Exact(), f"'1' .*: {ONE_SOURCE}|1.*BlankOutLinear.*{ONE_SOURCE}"),
        (
            lambda: Net(
                _two_sources,
                one=NoisySign(0.5),
                other=NoisySign(0.5),
                layer=BlankOutLinear(4, 3),
                head=nn.Linear(3, 1),
            ),
            Gaussian(),
            ONE_SOURCE,
        ),
        (_before(), Law(), LAW),
        (_before(Step()), Law(), LAW),
        (_before(BernoulliSpikes()), Law(), LAW),
        (_before(NoisySign(0.5), Permadrop(0.5)), Law(), LAW),
        (_before(NoisySign(0.5), nn.Linear(4, 4, bias=False)), Law(), LAW),
        (_before(nn.Linear(4, 4), SoftLIF()), Law(), LAW),
        (
            lambda: nn.Sequential(NoisySign(0.5), BlankOutConv2d(1, 2, 3), nn.Flatten(), nn.Linear(4, 1)),
            Exact(),
            "BlankOutConv2d.* does not take rows of shape|BlankOutConv2d.* cannot be converted",
        ),
    ],
)
def test_what_cannot_blank_out_is_refused(make: Callable[[], nn.Module], sampling: Sampling, message: str) -> None:
    with pytest.raises(ConversionError, match=message):
        of(make(), 4, sampling=sampling)


@pytest.mark.parametrize(
    "before",
    [
        lambda: NoisySign(0.5),
        lambda: NoisySign(0.0),
        lambda: SigmoidSign(),
        lambda: nn.Sequential(NoisySign(0.5), nn.Unflatten(1, (2, 2)), nn.Flatten()),
        lambda: nn.Sequential(NoisySign(0.5), BlankOutLinear(4, 4)),
    ],
    ids=["noisy sign", "sign", "sigmoid", "reshaped", "law itself"],
)
def test_the_law_holds_behind_signs(before: Callable[[], nn.Module]) -> None:
    network = of(nn.Sequential(before(), BlankOutLinear(4, 3), nn.Linear(3, 1)), 4, sampling=Law())
    assert isinstance(network.populations[-1].neuron, Bernoulli)


def test_a_sampling_is_an_object() -> None:
    with pytest.raises(ConfigError, match=r"sampling must be Exact\(\), Gaussian\(\) or Law\(\); got 'exact'"):
        convert(s2m(4, 2, (3,)), torch.zeros(1, 4), sampling="exact")  # pyright: ignore[reportArgumentType]
