"""Networks of sharpened activations and max pooling: in spikes they are the very module, on every engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from modules import Net
from networks import ENGINE_NAMES
from spikebayes import convert, predict, simulate
from spikebayes.errors import ConversionError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import Threshold
from spikebayes.nn import BlankOutLinear, LIFRate, Permadrop, Sharpened, SoftLIF, Step, zoo
from spikebayes.nn.encoders import BernoulliSpikes
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's, once
SAMPLES, SEED = 3, 5


def step() -> Sharpened:
    return Sharpened(sharpness=1.0)


def sixteenths(model: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that are whole numbers of 1/16: sums over them are exact in any order."""
    rng = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.data = torch.randint(-16, 17, parameter.shape, generator=rng) / 16.0
    return model


def values(*shape: int, seed: int = 0) -> Tensor:
    return torch.randint(-24, 25, shape, generator=torch.Generator().manual_seed(seed)) / 16.0


@torch.no_grad()
def alike(model: nn.Module, x: Tensor) -> tuple[SpikingNetwork, Tensor]:
    """The network on every engine gives the module's values under the same masks, bit for bit."""
    network = convert(model, x)
    rows = torch.arange(len(x))
    with evaluating(model), Masks(Keys(SEED, torch.arange(SAMPLES).repeat_interleave(len(x)), rows.repeat(SAMPLES))):
        expected = model(x.repeat(SAMPLES, *[1] * (x.ndim - 1)))
    expected = expected.reshape(SAMPLES, len(x), -1)
    for engine in ENGINE_NAMES:
        run = simulate(network, x, samples=SAMPLES, seed=SEED, steps=1, engine=engine)
        assert torch.equal(run.mean, expected), engine
    return network, expected


# -- whole networks ----------------------------------------------------------------------------------------


def trained(dropout: float, padding: Any = "same", kernels: tuple[int, int] = (4, 2)) -> tuple[nn.Module, Tensor]:
    """Convolutions, max pooling and a dense layer, with statistics of rows like those that come back."""
    torch.manual_seed(0)
    model = zoo.sharpened(
        (2, 9, 8),
        4,
        convolutions=[(5, kernels[0], True), (6, kernels[1], False)],
        padding=padding,
        hidden=(20,),
        width=22,
        dropout=dropout,
        activation=step,
    )
    with torch.no_grad():
        for _ in range(20):
            model.train()(torch.randn(50, 2, 9, 8))
    return model.eval(), torch.randn(30, 2, 9, 8)


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_a_network_of_the_zoo_in_spikes_has_the_modules_classes(engine: str, padding: str) -> None:
    model, x = trained(0.0, padding)
    network = convert(model, x)
    assert [type(p.neuron) for p in network.populations] == [Threshold] * 5  # the pool's among them
    assert network.is_memoryless
    with torch.no_grad():
        logits = model(x)
    found = simulate(network, x, steps=1, engine=engine).mean[0]
    assert torch.equal(found, logits)
    assert len(logits.argmax(1).unique()) == 4


@pytest.mark.parametrize("engine", ENGINE_NAMES)
@pytest.mark.parametrize("dropout", [0.1, 0.5])
def test_with_permanent_dropout_its_samples_are_the_modules(engine: str, dropout: float) -> None:
    model, x = trained(dropout)
    expected = predict(model, x, samples=10, seed=3).samples
    found = predict(convert(model, x), x, samples=10, seed=3, engine=engine).samples
    assert torch.equal(found, expected)
    assert expected.std(0).min() > 0


@pytest.mark.parametrize("kernels", [(1, 2), (3, 4)])
def test_other_kernels(kernels: tuple[int, int]) -> None:
    model, x = trained(0.25, kernels=kernels)
    network = convert(model, x)
    samples = [predict(m, x, samples=5, seed=1).samples for m in (model, network)]
    assert torch.equal(samples[0], samples[1])


@given(st.tuples(*[st.integers(1, 5)] * 2), st.tuples(*[st.integers(1, 2)] * 2), st.booleans())
@settings(max_examples=20)
def test_same_padding_with_kernels_of_any_size(
    kernel: tuple[int, int], dilation: tuple[int, int], inner: bool
) -> None:
    """As the first operator, on the input, and on spikes."""
    first: list[nn.Module] = [nn.Conv2d(2, 2, 1), step()] if inner else []
    model = nn.Sequential(*first, nn.Conv2d(2, 3, kernel, padding="same", dilation=dilation), step())
    _, expected = alike(sixteenths(model), values(3, 2, 7, 6))
    assert expected.shape[2] == 3 * 7 * 6


@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_padding_of_sequences(kernel: int) -> None:
    alike(sixteenths(nn.Sequential(nn.Conv1d(2, 3, kernel, padding="same"), step())), values(3, 2, 9))


@pytest.mark.parametrize("sharpness", [0.0, 0.5, 0.999])
def test_an_activation_that_is_no_step_yet_is_refused(sharpness: float) -> None:
    model = nn.Sequential(nn.Linear(3, 4), Sharpened("relu", sharpness), nn.Linear(4, 2))
    with pytest.raises(ConversionError, match=f"has sharpness {sharpness:g}: only at 1 is it a spiking neuron"):
        convert(model, torch.zeros(1, 3))
    model[1].sharpen(1.0)  # pyright: ignore
    assert convert(model, torch.zeros(1, 3)).populations[0].neuron == Threshold(0.5)


@pytest.mark.parametrize("kind", ["brelu", "sigmoid", "relu", "leaky_relu"])
def test_at_sharpness_1_every_kind_is_the_same_neuron(kind: str) -> None:
    noisy = Sharpened(kind, 1.0, learnable=0.5, noise=0.3)  # neither counts once it is trained
    alike(sixteenths(nn.Sequential(nn.Linear(4, 9), noisy)), values(20, 4))


# -- max pooling -------------------------------------------------------------------------------------------


@st.composite
def pools(draw: st.DrawFn, dims: int) -> dict[str, Any]:
    kernel = tuple(draw(st.integers(1, 3)) for _ in range(dims))
    stride = draw(st.none() | st.tuples(*[st.integers(1, 4)] * dims))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}


@pytest.mark.parametrize("dims", [1, 2])
def test_a_maximum_of_spikes_is_their_or(dims: int) -> None:
    """Before, after or on both sides of a dropout; spikes are few, so that windows are empty too."""
    conv, pool = ((nn.Conv1d, nn.MaxPool1d), (nn.Conv2d, nn.MaxPool2d))[dims - 1]
    tally = {"mixed": 0, "ceil": 0, "padded": 0}

    @given(pools(dims), st.tuples(*[st.integers(3, 8)] * dims), st.tuples(*[st.sampled_from([0.0, 0.5, 0.75])] * 2))
    @settings(max_examples=30)
    def check(settings: dict[str, Any], space: tuple[int, ...], drop: tuple[float, float]) -> None:
        model = nn.Sequential(conv(2, 3, 1), step(), Permadrop(drop[0]), pool(**settings), Permadrop(drop[1]))
        x = values(3, 2, *space)
        model = sixteenths(model)
        model[0].bias -= 0.75  # pyright: ignore
        network, expected = alike(model, x)
        assert network.is_random == (max(drop) > 0)
        tally["mixed"] += len(expected.unique()) > 1
        maps = torch.zeros(1, 3, *space)
        tally["ceil"] += pool(**settings)(maps).shape != pool(**settings | {"ceil_mode": False})(maps).shape
        tally["padded"] += max(settings["padding"]) > 0

    with torch.no_grad():
        check()
    assert tally["mixed"] > 20
    assert min(tally.values()) >= 1


FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "function": lambda h: F.max_pool2d(h, 2),
    "function of torch": lambda h: torch.max_pool2d(h, [2, 2], [1, 2], [1, 1]),
    "function with settings by name": lambda h: F.max_pool2d(h, kernel_size=3, stride=2, padding=1, ceil_mode=True),
    "sequences, function": lambda h: F.max_pool1d(h.flatten(2), 3, 2),
    "twice": lambda h: F.max_pool2d(F.max_pool2d(h, 2, 1), 2),
    "pooled and not": lambda h: h[:, :, 1:, 1:] + F.max_pool2d(h, 2, 1),
    "followed by an average": lambda h: F.avg_pool2d(F.max_pool2d(h, 3, 1, 1), 2),
}


@pytest.mark.parametrize("name", [n for n in FORMS if n != "sequences, function"])
def test_max_pooling_however_it_is_written(name: str) -> None:
    model = Net(lambda m, x: FORMS[name](m.body(x)), body=nn.Sequential(nn.Conv2d(2, 3, 2), step()))
    alike(sixteenths(model), values(4, 2, 7, 7))


def test_max_pooling_of_sequences_as_a_function() -> None:
    model = Net(lambda m, x: F.max_pool1d(m.body(x), 3, 2), body=nn.Sequential(nn.Conv1d(2, 3, 2), step()))
    alike(sixteenths(model), values(4, 2, 9))


def test_max_pooling_of_rows_without_channels_pools_the_axes_that_torch_pools() -> None:
    alike(nn.Sequential(step(), nn.MaxPool2d(2)), values(4, 6, 6))
    alike(nn.Sequential(step(), nn.MaxPool1d(2)), values(4, 6))


@pytest.mark.parametrize("unit", [lambda: Step(0.25), BernoulliSpikes], ids=["step", "stochastic"])
def test_other_units_that_are_0_or_1_are_pooled_too(unit: Callable[[], nn.Module]) -> None:
    alike(nn.Sequential(unit(), nn.MaxPool2d(2), nn.Flatten()), torch.rand(5, 2, 4, 4))


def test_after_a_dropout_of_whole_maps() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 4, 2), step(), nn.Dropout2d(0.5), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    )
    network, expected = alike(sixteenths(model), values(4, 2, 7, 7))
    assert network.is_random
    assert expected.std(0).max() > 0


def pooled(*before: nn.Module, **settings: Any) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 1), *before, nn.MaxPool2d(2, **settings))


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "behind SoftLIF": (lambda: pooled(SoftLIF(0.02)), "only of spikes that are 0 or 1, .*their OR; .*use AvgPool"),
    "behind LIF": (lambda: pooled(LIFRate()), "only of spikes that are 0 or 1"),
    "behind a convolution": (lambda: pooled(), "only of spikes that are 0 or 1"),
    "behind an average": (lambda: pooled(step(), nn.AvgPool2d(2)), "straight from threshold units"),
    "behind batch norm": (lambda: pooled(step(), nn.BatchNorm2d(3)), "directly after a sharpened activation"),
    "of the input": (
        lambda: nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(2, 3, 1), step()),
        "only of spikes that are 0 or 1",
    ),
    "of signs": (
        lambda: nn.Sequential(nn.Flatten(), BlankOutLinear(128, 16), nn.Unflatten(1, (1, 4, 4)), nn.MaxPool2d(2)),
        "only of spikes that are 0 or 1",
    ),
    "with dilation": (lambda: pooled(step(), dilation=2), "max pooling of spikes with dilation is not supported"),
    "with indices": (
        lambda: Net(lambda m, x: m.body(x)[0], body=pooled(step(), return_indices=True)),
        "max pooling with indices is not supported",
    ),
    "of a sum": (
        lambda: Net(lambda m, x: F.max_pool2d(m.one(x) + m.two(x), 2), one=_branch(), two=_branch()),
        "only of spikes that are 0 or 1",
    ),
}


def _branch() -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 1), step())


@pytest.mark.parametrize("name", REFUSED)
def test_max_pooling_of_anything_else_is_refused_by_name(name: str) -> None:
    made, says = REFUSED[name]
    with pytest.raises(ConversionError, match=says) as caught:
        convert(made(), torch.zeros(1, 2, 8, 8))
    assert str(caught.value).startswith("node '")
    assert "max" in str(caught.value).lower().split(":")[0]
    assert "\n" not in str(caught.value)
