"""Encoders: the stated law, drawn anew on every call, counter-based under masks, and the neuron they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from spikebayes.chance import fired
from spikebayes.data.encoders import (
    BernoulliSpikes,
    DirectCurrent,
    NoisySign,
    ThresholdSpikes,
)
from spikebayes.errors import ConfigError, DataError
from spikebayes.masks import DropoutInputs, Masks
from spikebayes.neurons import Bernoulli, Sign, Threshold

DRAWS = 20_000
ENCODERS = (NoisySign(0.5, 0.1), BernoulliSpikes(), ThresholdSpikes(0.3), DirectCurrent())


def assert_law(drawn: Tensor, law: Tensor) -> None:
    """Counts of ``drawn`` [draws, N] bool against the probabilities [N]: one false alarm in 10^4."""
    surprise = (drawn.double().sum(0) - len(drawn) * law) / (len(drawn) * law * (1 - law)).sqrt()
    assert surprise.square().sum() < stats.chi2(len(law)).ppf(1 - 1e-4)


@pytest.mark.parametrize(("sigma", "threshold"), [(0.5, 0.0), (1.5, 0.25)])
def test_noisy_signs_obey_the_normal_law(sigma: float, threshold: float) -> None:
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 9)
    z = NoisySign(sigma, threshold)(x.expand(DRAWS, 9))
    assert set(z.unique().tolist()) == {-1.0, 1.0}
    assert_law(z > 0, torch.special.ndtr((x.double() - threshold) / sigma))


def test_bernoulli_spikes_obey_their_law() -> None:
    torch.manual_seed(0)
    x = torch.linspace(0.1, 0.9, 9)
    z = BernoulliSpikes()(x.expand(DRAWS, 9))
    assert set(z.unique().tolist()) == {0.0, 1.0}
    assert_law(z > 0, x.double())
    assert BernoulliSpikes()(torch.tensor([0.0, 1.0]).expand(DRAWS, 2)).mean(0).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("encoder", ENCODERS[:2])
def test_random_encoders_draw_anew_from_torchs_generator(encoder: nn.Module) -> None:
    x = torch.full((100,), 0.4)
    encoder.eval()  # prediction is where the noise is wanted
    torch.manual_seed(3)
    first, second = encoder(x), encoder(x)
    torch.manual_seed(3)
    assert torch.equal(encoder(x), first)
    assert not torch.equal(first, second)
    assert not torch.equal(first[:50], first[50:])


@given(
    x=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), threshold=st.sampled_from([-0.5, 0.0, 0.25, 0.5])
)
def test_without_noise_a_threshold_decides(x: list[float], threshold: float) -> None:
    values = torch.tensor([*x, threshold])
    above = [v >= threshold for v in values.tolist()]
    assert NoisySign(0.0, threshold)(values).tolist() == [1.0 if a else -1.0 for a in above]
    assert ThresholdSpikes(threshold)(values).tolist() == [1.0 if a else 0.0 for a in above]
    assert torch.equal(DirectCurrent()(values), values)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_encoders_keep_shape_and_dtype_and_have_nothing_to_train(encoder: nn.Module, dtype: torch.dtype) -> None:
    z = nn.Sequential(encoder, nn.Flatten())(torch.rand(2, 3, 4, dtype=dtype))
    assert (z.shape, z.dtype) == ((2, 12), dtype)
    assert encoder.state_dict() == {}


SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2])


@pytest.mark.parametrize("encoder", [NoisySign(0.5), NoisySign(0.3, -0.25), BernoulliSpikes()])
def test_a_random_encoder_is_the_neuron_it_says(encoder: NoisySign | BernoulliSpikes) -> None:
    x = torch.linspace(0, 1, 300).reshape(3, 4, 25)
    neuron, factor, shift = encoder.neuron(0)
    assert isinstance(neuron, Bernoulli)
    with Masks(9, SAMPLES, ROWS) as masks:
        z = encoder(x)
    on = fired(factor * x + shift, neuron, 9, SAMPLES, ROWS)
    assert torch.equal(z, neuron.output(on, x.dtype))
    assert encoder.is_random
    assert masks.random
    other, *_ = encoder.neuron(3)
    assert isinstance(other, Bernoulli)
    assert (other.curve, other.off, other.site) == (neuron.curve, neuron.off, 3)


@pytest.mark.parametrize(
    ("encoder", "kind"), [(NoisySign(0.0, 0.25), Sign), (NoisySign(0.0), Sign), (ThresholdSpikes(0.25), Threshold)]
)
def test_a_certain_encoder_is_the_neuron_it_says(encoder: NoisySign | ThresholdSpikes, kind: type) -> None:
    x = torch.tensor([-1.0, 0.0, 0.25, 0.25 + 2**-25, 0.25 - 2**-26, 0.5])
    neuron, factor, shift = encoder.neuron(0)
    assert isinstance(neuron, kind)
    assert isinstance(neuron, Sign | Threshold)
    with Masks(9, SAMPLES, ROWS) as masks:
        z = encoder(x)
    assert torch.equal(z, neuron.step(factor * x + shift, (), 1.0)[1])
    assert (masks.sites, masks.random, encoder.is_random) == (0, False, False)


def test_where_nothing_is_drawn_an_encoder_does_what_is_likelier() -> None:
    x = torch.tensor([[0.0, 0.24, 0.26, 0.49, 0.51, 1.0]])
    with DropoutInputs():
        assert NoisySign(0.5, 0.25)(x).tolist() == [[-1, -1, 1, 1, 1, 1]]
        assert BernoulliSpikes()(x).tolist() == [[0, 0, 0, 0, 1, 1]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoisySign(-0.1), "NoisySign's sigma must be a number >= 0; got -0.1"),
        (lambda: NoisySign(math.inf), "sigma must be a number >= 0; got inf"),
        (lambda: NoisySign(math.nan), "sigma must be a number >= 0; got nan"),
        (lambda: NoisySign(1.0, math.nan), "NoisySign's threshold must be finite; got nan"),
        (lambda: ThresholdSpikes(math.inf), "ThresholdSpikes's threshold must be finite; got inf"),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    ("values", "got"),
    [
        ([0.5, -0.25], "got -0.25 to 0.5; scale"),
        ([1.5, 0.0], "got 0 to 1.5; scale"),
        ([0.5, math.nan], "got nan to nan"),
    ],
)
def test_probabilities_outside_the_unit_interval_are_refused(values: list[float], got: str) -> None:
    with pytest.raises(DataError, match=rf"Bernoulli spikes need values in \[0, 1\]; {got}"):
        BernoulliSpikes()(torch.tensor(values))
    with Masks(9, SAMPLES, ROWS), pytest.raises(DataError, match=got):
        BernoulliSpikes()(torch.tensor([values] * 3))


def test_settings_are_shown() -> None:
    assert repr(NoisySign(0.5)) == "NoisySign(sigma=0.5, threshold=0.0)"
    assert repr(ThresholdSpikes(0.2)) == "ThresholdSpikes(threshold=0.2)"
