"""Codes tell every number by few spikes; thresholds are those of the activation to the last bit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from coarse_codes import on_purpose
from spikebayes import ConfigError, Digits, FirstSpike, Graded, Radix, convert
from spikebayes.engine.in_windows import ticks_of
from spikebayes.network.coded import FUNCTIONS, Coded, Function, Ramp, Response, Table
from spikebayes.network.codes import BITS, MOST_TICKS, Code

SOME = (Digits(4, 4), Digits(3, 2), Digits(2, 1), FirstSpike(2), FirstSpike(64), Radix(1), Radix(8))
PAYLOADS = (Graded(1), Graded(8), Graded(16))


@pytest.mark.parametrize("code", SOME, ids=str)
def test_ticks_tell_every_number(code: Code) -> None:
    """By hand: in each digit the neuron fires when the tick's worth is the digit's."""
    ticks = list(ticks_of(code))
    assert len(ticks) == code.ticks
    numbers = torch.arange(code.highest + 1)
    told, spikes = torch.zeros_like(numbers), torch.zeros_like(numbers)
    for tick in ticks:
        digit = numbers // tick.rest % code.base
        fires = digit * tick.rest == tick.worth
        told, spikes = told + tick.worth * fires, spikes + fires
    assert torch.equal(told, numbers)
    assert torch.equal(spikes, code.spikes(numbers))
    assert torch.equal(code.spikes(-numbers), spikes)
    assert int(spikes.max()) == code.places


@pytest.mark.parametrize("code", PAYLOADS, ids=str)
def test_a_payload_is_one_spike(code: Graded) -> None:
    assert (code.ticks, code.highest) == (1, 2**code.bits - 1)
    assert code.spikes(torch.tensor([0, 1, -1, code.highest])).tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Digits(1, 3), "a radix of 2 or more and 1 to 16 digits; got 1 and 3"),
        (lambda: Digits(4, 0), "1 to 16 digits; got 4 and 0"),
        (lambda: Digits(2, 17), "1 to 16 digits; got 2 and 17"),
        (lambda: Digits(10, 5), "has 100,000 levels; codes have at most 2^16: take fewer digits"),
        (lambda: Digits(4, 2.5), "digits must be"),
        (lambda: FirstSpike(1), "at least 2 levels; got 1"),
        (lambda: FirstSpike(5000), "windows of 4,999 ticks; at most 4,096 are possible: take more digits"),
        (lambda: Radix(0), "1 to 16 bits; got 0"),
        (lambda: Radix(17), "1 to 16 bits; got 17"),
        (lambda: Graded(-1), "1 to 16 bits; got -1"),
        (lambda: Graded(17), "1 to 16 bits; got 17"),
        (lambda: Graded("8"), "bits must be"),
    ],
)
def test_codes_out_of_range_are_refused(make: object, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()  # pyright: ignore[reportCallIssue]
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_largest_codes_are_possible() -> None:
    assert Digits(2, BITS).highest == Radix(BITS).highest == Graded(BITS).highest == 2**16 - 1
    assert FirstSpike(MOST_TICKS + 1).ticks == MOST_TICKS


CURVES = {
    "ELU": (nn.ELU(), F.elu),
    "SELU": (nn.SELU(), F.selu),
    "Sigmoid": (nn.Sigmoid(), torch.sigmoid),
    "Tanh": (nn.Tanh(), torch.tanh),
    "Softplus": (nn.Softplus(), F.softplus),
    "Hardsigmoid": (nn.Hardsigmoid(), F.hardsigmoid),
    "Hardtanh": (nn.Hardtanh(-0.5, 2.0), lambda x: F.hardtanh(x, -0.5, 2.0)),
    "Softshrink": (nn.Softshrink(), F.softshrink),
    "Hardshrink": (nn.Hardshrink(), F.hardshrink),
    "LogSigmoid": (nn.LogSigmoid(), F.logsigmoid),
    "Tanhshrink": (nn.Tanhshrink(), F.tanhshrink),
}


def one_population(layer: nn.Module, code: Code, scale: float = 3.0, headroom: float = 1.0) -> Coded:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 4), layer, nn.Dropout(0.1), nn.Linear(4, 1))
    with on_purpose():
        network = convert(model, scale * torch.randn(200, 2), code=code, headroom=headroom)
    neuron = network.populations[0].neuron
    assert isinstance(neuron, Coded)
    return neuron


@pytest.mark.parametrize("scale", [1e-3, 3.0, 1e8])
@pytest.mark.parametrize("name", CURVES)
def test_thresholds_are_where_the_function_reaches_its_levels(name: str, scale: float) -> None:
    layer, function = CURVES[name]
    neuron = one_population(layer, Digits(4, 3), scale)
    table, step = neuron.response, float(neuron.top.max()) / neuron.code.highest
    assert isinstance(table, Table)
    for thresholds, side in ((table.rising, 1.0), (-table.falling, -1.0)):
        levels = (torch.arange(1, len(thresholds) + 1) - 0.5).double() * step
        there = thresholds.isfinite()
        at, level = thresholds[there], levels[there]
        after, before = (
            at + sign * 1e-12 * at.abs().clamp(min=1e-3) for sign in (1, -1)
        )  # torch's own last bits vary
        assert bool((side * function(side * after) >= level).all())
        assert bool((side * function(side * before) < level).all())
    far = torch.tensor([-1e9 * scale, 1e9 * scale], dtype=torch.float64)
    beyond = function(far).abs() >= (neuron.code.highest + 0.5) * step
    assert torch.equal(table.numbers(far).abs() > neuron.code.highest, beyond)  # what is cut off is seen


def magnitudes(response: Response, x: Tensor, highest: int) -> Tensor:
    """The largest level reached, by thresholds alone."""
    levels = torch.arange(1, highest + 1)
    return torch.stack([response.reaches(x, torch.full_like(x, int(k), dtype=torch.int64)) for k in levels]).sum(0)


RESPONSES = {
    "ReLU": Ramp(),
    "ReLU6": Ramp(limit=torch.tensor(20.0)),
    "relay": Ramp(torch.ones(())),
    "LeakyReLU": Ramp(torch.tensor(0.01)),
    "negative slope": Ramp(torch.tensor(-0.37)),
    "slopes": Ramp(torch.linspace(-0.3, 0.7, 5)),
    "table": one_population(nn.ELU(), Digits(4, 2)).response,
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", RESPONSES)
def test_the_number_is_the_largest_level_that_is_reached(name: str, dtype: torch.dtype) -> None:
    rng = torch.Generator().manual_seed(0)
    halves = torch.arange(-40, 41, dtype=dtype) / 2
    x = torch.cat(
        [halves, torch.nextafter(halves, halves.new_tensor(torch.inf)), torch.randn(3000, generator=rng) * 8]
    )
    x = torch.cat([x, x.new_tensor([2.0**23 + 1, 2.0**25, -(2.0**25), 1e30, -1e30])])
    x = x[: len(x) // 5 * 5].reshape(-1, 5).to(dtype)
    response, highest = RESPONSES[name], 15
    found = response.numbers(x).abs().clamp(max=highest)
    assert torch.equal(found.long(), magnitudes(response, x, highest))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_payloads_are_the_functions_value_rounded(name: str) -> None:
    x = torch.linspace(-6, 6, 5001, dtype=torch.float64)
    told = Function(name, 0.01).numbers(x) * 0.01
    torch.testing.assert_close(told, FUNCTIONS[name](x), rtol=0, atol=0.005 + 1e-12)


def test_neurons_that_cannot_be_are_refused() -> None:
    top = torch.tensor(1.0)
    with pytest.raises(ConfigError, match="gelu is not monotone: only a Graded code can send its value"):
        Coded(Digits(4, 4), Function("gelu", 0.1), top)
    for bad in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ConfigError, match="highest level must be positive in every unit"):
            Coded(Radix(4), Ramp(), torch.tensor([1.0, bad]))
    with pytest.raises(ConfigError, match=r"function must be one of .*got 'sine'"):
        Function("sine", 0.1)
    with pytest.raises(ConfigError, match="a step must be positive; got 0"):
        Function("gelu", 0.0)
    for rising in (torch.tensor([1.0, 0.5]), torch.tensor([0.0, math.nan])):
        with pytest.raises(ConfigError, match="thresholds must rise"):
            Table(rising.double(), torch.zeros(0, dtype=torch.float64))
