"""Conversion compares the module with the network: what a graph does not show is right, or refused by name."""

from __future__ import annotations

import types
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations, prune

from modules import Net, Net2
from spikebayes import convert, predict
from spikebayes.errors import ConversionError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.noise import Exact, Gaussian, Law
from spikebayes.nn import BlankOutLinear, LIFRate, Permadrop, SigmoidSign, SoftLIF, Step, zoo
from spikebayes.nn.encoders import BernoulliSpikes, NoisySign

X = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def layers() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 32), SoftLIF(1e-3), nn.Dropout(0.2), nn.Linear(32, 2))


def parts() -> dict[str, nn.Module]:
    return {"a": nn.Linear(4, 32), "s": SoftLIF(1e-3), "d": nn.Dropout(0.2), "b": nn.Linear(32, 2)}


def same(model: nn.Module, network: SpikingNetwork) -> None:
    """The samples of both under the same masks, but for the noise of spikes."""
    one, other = (predict(m, X, samples=20, seed=1).samples for m in (model, network))
    assert (one - other).abs().mean() < 0.02 * one.std()


# -- what differs is refused ---------------------------------------------------------------------------------


def hook_on_a_layer() -> nn.Module:
    model = layers()
    model[3].register_forward_hook(lambda m, i, o: o * 1.01)
    return model


def hook_on_an_activation() -> nn.Module:
    model = layers()
    model[1].register_forward_hook(lambda m, i, o: o * 1.01)
    return model


def hook_before_an_activation() -> nn.Module:
    model = layers()
    model[1].register_forward_pre_hook(lambda m, i: (i[0] * 1.01,))
    return model


def hook_on_a_layer_of_signs() -> nn.Module:
    model = nn.Sequential(NoisySign(0.5), BlankOutLinear(4, 32), nn.Linear(32, 2))
    model[1].register_forward_hook(lambda m, i, o: -o)
    return model


def hook_on_the_model() -> nn.Module:
    model = layers()
    model.register_forward_hook(lambda m, i, o: o + 0.01)
    return model


def hook_behind_a_silent_unit() -> nn.Module:
    """A unit that fires on no row that is tried: numbers that stand in for what it gives show the hook."""
    model = layers()
    model[2].p = 0.0
    model[0].weight.data[31], model[0].bias.data[31] = 0.0, -1.0
    model[2].register_forward_hook(lambda m, i, o: torch.cat([o[:, :31], 1.01 * o[:, 31:]], 1))
    return model


def forward_of_a_layer() -> nn.Module:
    def ten(self: nn.Linear, x: Tensor) -> Tensor:
        return 10 * F.linear(x, self.weight, self.bias)

    model = layers()
    model[3].forward = types.MethodType(ten, model[3])
    return model


def forward_of_the_model() -> nn.Module:
    model = layers()
    model.forward = lambda input: 2 * nn.Sequential.forward(model, input)  # pyright: ignore[reportAttributeAccessIssue]
    return model


class Steeper(SoftLIF):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(1.1 * x)


def subclass_of_an_activation() -> nn.Module:
    model = layers()
    model[1] = Steeper(1e-3)
    return model


def alias() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.d(m.s(m.a(x)))
        skip = h
        h *= 2.0
        return m.b(h + skip)

    return Net(forward, **parts())


def view() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.s(m.a(x))
        h.flatten(1).mul_(2.0)
        return m.b(m.d(h))

    return Net(forward, **parts())


def numbers_of_its_own() -> nn.Module:
    return Net(lambda m, x: m.b(m.d(m.s(m.a(x))) * torch.randn(32)), **parts())


def a_counter() -> nn.Module:
    def forward(m: Any, x: Tensor) -> Tensor:
        m.calls = getattr(m, "calls", 0) + 1
        return m.b(m.d(m.s(m.a(x)))) * m.calls

    return Net(forward, **parts())


def another_order() -> nn.Module:
    """Its passes are not alike: the graph's is one of them."""

    def forward(m: Any, x: Tensor) -> Tensor:
        m.odd = not getattr(m, "odd", False)
        one, other = (m.s, m.t) if m.odd else (m.t, m.s)
        return m.b(m.d(one(m.a(x)))) + m.b(m.d(other(m.a(x))))

    return Net(forward, **parts(), t=SoftLIF(1e-2))


def dropout_in_a_hook() -> nn.Module:
    model = layers()
    model[1].register_forward_hook(lambda m, i, o: F.dropout(o, 0.5))
    return model


DIFFERENT: list[tuple[Callable[[], nn.Module], str]] = [
    (hook_on_a_layer, r"its output differs by up to .* module '3' \(Linear\) has a hook"),
    (
        hook_on_an_activation,
        r"\(SoftLIF, module '1'\) gives something else than its neurons.* '1' .* has a hook",
    ),
    (hook_before_an_activation, r"what goes into node '_1' \(SoftLIF, module '1'\) differs.* has a hook"),
    (hook_on_a_layer_of_signs, r"\(BlankOutLinear, module '1'\) gives something else than its neurons"),
    (hook_on_the_model, "its output differs by up to 0.01, .* the model itself has a hook"),
    (hook_behind_a_silent_unit, r"its output differs .* module '2' \(Dropout\) has a hook"),
    (forward_of_a_layer, r"its output differs.* module '3' \(Linear\) has a forward that was put in place of"),
    (forward_of_the_model, "its output differs.* the model itself has a forward that was put in place of"),
    (subclass_of_an_activation, r"\(Steeper, module '1'\) gives something else than its neurons"),
    (alias, r"its output differs by up to .*\(after skip = h, h \*= 2 changes both\)"),
    (view, r"its output differs by up to"),
    (numbers_of_its_own, "the model draws numbers of its own with randn, which no seed"),
    (a_counter, "its output differs by up to .* no numbers that forward draws or keeps"),
    (another_order, "does not call its 2 activations as its graph does"),
    (dropout_in_a_hook, "drops or draws 2 times, and by its graph 1 times.* has a hook"),
]


@pytest.mark.parametrize(("make", "message"), DIFFERENT, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("example", [X, torch.zeros(1, 4)], ids=["rows", "a row of zeros"])
def test_a_model_that_does_not_do_what_its_graph_says_is_refused(
    make: Callable[[], nn.Module], message: str, example: Tensor
) -> None:
    with pytest.raises(ConversionError, match=message) as caught:
        convert(make(), example)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("training", [True, False])
def test_dropout_behind_a_question_for_the_mode_is_refused(training: bool) -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.s(m.a(x))
        return m.b(m.d(h) if m.training else h)

    with pytest.raises(ConversionError, match=r"Dropout, module 'd': drops while the model trains"):
        convert(Net(forward, **parts()).train(training), X)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("at", ["0.weight", "0.bias", "3.weight", "3.bias"])
def test_weights_that_are_no_numbers_are_refused_by_their_name(bad: float, at: str) -> None:
    model = layers()
    model.get_parameter(at).data.flatten()[1] = bad
    with pytest.raises(ConversionError, match=rf"NaN or infinite, in {at}; train it again"):
        convert(model, X)


def test_a_model_that_cannot_be_run_is_refused() -> None:
    class Odd(SoftLIF):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("never")

    with pytest.raises(ConversionError, match="it cannot itself be run on rows like the example's: never; give"):
        convert(nn.Sequential(nn.Linear(4, 3), Odd(), nn.Linear(3, 1)), X)


def test_weights_of_half_precision_that_activations_do_not_take_are_refused_with_the_cure() -> None:
    with pytest.raises(ConversionError, match=r"neither float32 nor float64: .*; give model\.float\(\)"):
        convert(layers().bfloat16(), X)


# -- what hooks make is read as they made it -----------------------------------------------------------------


def weight_norm() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 32)), SoftLIF(1e-3), nn.Dropout(0.2), nn.Linear(32, 2))


def parametrized() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Linear(4, 32)), SoftLIF(1e-3), nn.Dropout(0.2), nn.Linear(32, 2)
    )


def pruned() -> nn.Module:
    model = layers()
    prune.random_unstructured(model[0], "weight", 0.5)
    return model


@pytest.mark.parametrize("make", [weight_norm, parametrized, pruned])
def test_weights_that_a_hook_makes_are_those_that_were_loaded(make: Callable[[], nn.Module]) -> None:
    trained = make()
    torch.manual_seed(5)
    model = make()
    model.load_state_dict(trained.state_dict())
    network = convert(model, X)
    same(model, network)
    same(trained, network)


def test_lazy_layers_are_made_first() -> None:
    model = nn.Sequential(nn.LazyLinear(32), SoftLIF(1e-3), nn.Dropout(0.2), nn.LazyLinear(2))
    same(model, convert(model, X))


# -- what it leaves as it was --------------------------------------------------------------------------------


def test_a_hook_that_watches_is_allowed_and_nothing_is_left_behind() -> None:
    model, seen = layers(), []
    model[1].register_forward_hook(lambda m, i, o: seen.append(o.shape))
    model.train()
    model[2].eval()
    before, modes = torch.get_rng_state(), [m.training for m in model.modules()]
    same(model, convert(model, X))
    assert seen
    assert [m.training for m in model.modules()] == modes
    assert [len(m._forward_hooks) for m in model.modules()] == [0, 0, 1, 0, 0]
    convert(layers().eval(), X)
    torch.set_rng_state(before)
    expected = torch.rand(3)
    torch.set_rng_state(before)
    convert(model, X)
    assert torch.equal(torch.rand(3), expected)


def test_a_refusal_leaves_no_hooks() -> None:
    model = hook_on_a_layer()
    with pytest.raises(ConversionError):
        convert(model.train(), X)
    assert [len(m._forward_hooks) for m in model.modules()] == [0, 0, 0, 0, 1]
    assert all(m.training for m in model.modules())


# -- what it must not refuse ---------------------------------------------------------------------------------


@pytest.mark.parametrize("example", [torch.full((3, 4), float("nan")), torch.zeros(0, 4), 1e3 * X, X.double()])
def test_any_rows_do_as_an_example(example: Tensor) -> None:
    model = layers()
    same(model, convert(model, example))


@pytest.mark.parametrize("sampling", [Exact(), Gaussian(), Law()], ids=str)
@pytest.mark.parametrize("inner", [Exact(), Law()], ids=str)
def test_unreliable_synapses_whichever_way_they_are_drawn(sampling: Any, inner: Any) -> None:
    convert(zoo.s2m(30, 3, (300, 200), sampling=inner), torch.randn(2, 30), sampling=sampling)


def test_values_that_some_layers_alone_take() -> None:
    model = nn.Sequential(BernoulliSpikes(), nn.Linear(4, 32), SigmoidSign(), nn.Linear(32, 2))
    convert(model, X)  # beyond [0, 1], which the encoder refuses: rows that are drawn do
    behind = nn.Sequential(nn.Linear(4, 5), Step(-1e3), Permadrop(0.5), BernoulliSpikes(), nn.Linear(5, 2))
    with pytest.raises(ConversionError, match=r"cannot itself be run on rows like .*: Bernoulli spikes need"):
        convert(behind, X)


def test_wide_layers_and_large_numbers() -> None:
    norm = nn.BatchNorm1d(300)
    model = nn.Sequential(nn.Linear(5000, 300), norm, LIFRate(), Permadrop(0.1), nn.Linear(300, 3))
    model[0].weight.data *= 100
    model[0].bias.data += 1e3  # much of what the norm takes away again
    norm.running_mean.fill_(1e3)  # pyright: ignore[reportOptionalMemberAccess]
    norm.running_var.fill_(1e3)  # pyright: ignore[reportOptionalMemberAccess]
    convert(model.eval(), torch.randn(2, 5000))


def test_two_inputs_of_unequal_rows() -> None:
    model = Net2(lambda m, x, y: m.b(m.d(m.s(m.a(x) + m.a(y)))), **parts())
    convert(model, [X, X[:1]])


def test_a_model_that_is_training_learns_nothing_from_a_conversion() -> None:
    """Its forward asks for sizes behind norms, whose numbers a training pass would move."""

    def forward(m: Any, x: Tensor) -> Tensor:
        h = m.n(m.a(x))
        return m.b(m.d(m.s(h.reshape(h.shape[0], -1))))

    norm = nn.BatchNorm1d(32)
    model = Net(forward, **parts() | {"a": parametrizations.spectral_norm(nn.Linear(4, 32)), "n": norm}).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    convert(model, X)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert norm.training
