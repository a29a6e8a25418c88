"""Encoders: the stated law, drawn anew on every call, counter-based under masks, and the neuron they stand for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from torch import Tensor, nn

from spikebayes import convert
from spikebayes.errors import ConfigError, DataError
from spikebayes.network.neurons import Bernoulli, Sign, Threshold
from spikebayes.network.noise import Exact
from spikebayes.nn import SoftLIF, Spiking, Step
from spikebayes.nn.encoders import BernoulliSpikes, Contours, NoisySign
from spikebayes.nn.unit import Place, Units
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks
from spikebayes.noise.stochastic_units import fired
from spikebayes.prediction.simulate import simulate

DRAWS = 20_000
ENCODERS = (NoisySign(0.5, 0.1), BernoulliSpikes(), Step(0.3))


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
    assert Step(threshold)(values).tolist() == [1.0 if a else 0.0 for a in above]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_encoders_keep_shape_and_dtype_and_have_nothing_to_train(encoder: nn.Module, dtype: torch.dtype) -> None:
    z = nn.Sequential(encoder, nn.Flatten())(torch.rand(2, 3, 4, dtype=dtype))
    assert (z.shape, z.dtype) == ((2, 12), dtype)
    assert encoder.state_dict() == {}


SAMPLES, ROWS = torch.tensor([3, 0, 7]), torch.tensor([1, 5, 2])


def units(encoder: Spiking, site: int = 0) -> Units:
    return encoder.units(Place((4, 25), site, Exact()))


def as_neurons(made: Units, x: Tensor) -> Tensor:
    """What the neurons give for the module's input, drawn at the samples and rows."""

    step = made.neuron.drawing_by(partial(fired, keys=Keys(9, SAMPLES, ROWS)))
    return step(made.factor * x + made.shift, (), 1e-3)[1]


@pytest.mark.parametrize("encoder", [NoisySign(0.5), NoisySign(0.3, -0.25), BernoulliSpikes()])
def test_a_random_encoder_is_the_neuron_it_says(encoder: NoisySign | BernoulliSpikes) -> None:
    x = torch.linspace(0, 1, 300).reshape(3, 4, 25)
    made, other = units(encoder), units(encoder, site=3)
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        z = encoder(x)
    assert torch.equal(z, as_neurons(made, x))
    assert masks.random
    assert isinstance(made.neuron, Bernoulli)
    assert other.neuron == replace(made.neuron, site=3)


@pytest.mark.parametrize(
    ("encoder", "kind"), [(NoisySign(0.0, 0.25), Sign), (NoisySign(0.0), Sign), (Step(0.25), Threshold)]
)
def test_a_certain_encoder_is_the_neuron_it_says(encoder: NoisySign | Step, kind: type) -> None:
    x = torch.tensor([-1.0, 0.0, 0.25, 0.25 + 2**-25, 0.25 - 2**-26, 0.5])
    made = units(encoder)
    assert type(made.neuron) is kind
    with Masks(Keys(9, SAMPLES, ROWS)) as masks:
        z = encoder(x)
    assert torch.equal(z, as_neurons(made, x))
    assert (masks.sites, masks.random) == (0, False)


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
        (lambda: Step(math.inf), "Step's threshold must be finite; got inf"),
        (lambda: Contours(0), "Contours needs at least 1 channel; got 0"),
        (lambda: Contours(directions=6), "Contours's directions must be 4 or 8; got 6"),
        (lambda: Contours(threshold=0.0), r"Contours's threshold must lie in \(0, 1\]; got 0.0"),
        (lambda: Contours(threshold=1.5), "got 1.5"),
        (lambda: Contours(threshold=math.nan), "got nan"),
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
    with Masks(Keys(9, SAMPLES, ROWS)), pytest.raises(DataError, match=got):
        BernoulliSpikes()(torch.tensor([values] * 3))


def pictures(rows: int, channels: int, side: int, seed: int = 0) -> Tensor:
    """Random pictures of 8 bits: flat squares of 3 pixels with a little noise, ``[rows, channels, side, side]``."""
    generator = torch.Generator().manual_seed(seed)
    squares = torch.randint(0, 230, (rows, channels, side // 3 + 1, side // 3 + 1), generator=generator)
    flat = squares.repeat_interleave(3, 2).repeat_interleave(3, 3)[..., :side, :side]
    return (flat + torch.randint(0, 26, flat.shape, generator=generator)).float() / 255


def compass_sums(x: Tensor, d: int) -> Tensor:
    """A picture ``[H, W]`` in 255ths through the Sobel mask turned d times by 45 degrees, in 1020ths."""
    around = [(1, 2), (0, 2), (0, 1), (0, 0), (1, 0), (2, 0), (2, 1), (2, 2)]
    height, width = x.shape
    total = torch.zeros(height - 2, width - 2, dtype=torch.int64)
    for k, weight in enumerate((2, 1, 0, -1, -2, -1, 0, 1)):
        i, j = around[(k + d) % 8]
        total += weight * x[i : i + height - 2, j : j + width - 2]
    return total


@pytest.mark.parametrize("directions", [4, 8])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_contours_are_the_compass_masks_in_integers(directions: int, dtype: torch.dtype) -> None:
    x = pictures(3, 2, 14).to(dtype)
    z = Contours(2, directions).to(dtype)(x)
    assert (z.shape, z.dtype) == ((3, 2 * directions, 12, 12), dtype)
    whole = (x * 255).round().long()
    for row in range(3):
        for channel in range(2):
            for d in range(directions):
                sums = compass_sums(whole[row, channel], d * 8 // directions)
                assert torch.equal(z[row, channel * directions + d] > 0, 8 * sums >= 1020)  # sums/1020 >= 1/8
    assert 0.05 < z.mean() < 0.6


@pytest.mark.parametrize("d", range(8))
def test_an_edge_spikes_most_in_its_direction(d: int) -> None:
    angle = d * math.pi / 4
    row, column = torch.meshgrid(torch.arange(9.0) - 4, torch.arange(9.0) - 4, indexing="ij")
    bright = (math.cos(angle) * column - math.sin(angle) * row > 0.1).float()  # rows go down
    z = Contours(directions=8, threshold=1.0)(bright[None, None])[0]
    assert [k for k in range(8) if z[k].any()] == [d]


@pytest.mark.parametrize("grey", [0.0, 0.3, 1.0])
def test_flat_pictures_and_their_frames_have_no_contours(grey: float) -> None:
    assert not Contours(3, 8, threshold=1e-3)(torch.full((2, 3, 6, 5), grey)).any()


def test_contours_have_nothing_to_train_or_to_store() -> None:
    assert list(Contours(3).parameters()) == []
    assert Contours(3).state_dict() == {}


@pytest.mark.parametrize(("channels", "directions"), [(1, 4), (1, 8), (3, 4), (3, 8)])
@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_network_behind_contours_is_the_module_bit_for_bit(
    channels: int, directions: int, engine: str, dtype: torch.dtype
) -> None:
    x = pictures(5, channels, 12, seed=1)
    linear = nn.Linear(channels * directions * 100, 7)
    with torch.no_grad():  # sums of multiples of 2^-8 are exact
        generator = torch.Generator().manual_seed(2)
        for numbers in linear.parameters():
            numbers.copy_(torch.randint(-64, 64, numbers.shape, generator=generator) / 256)
    model = nn.Sequential(Contours(channels, directions), nn.Flatten(), linear)
    network = convert(model, x)
    (population,) = network.populations
    assert (population.neuron, population.shape) == (Threshold(0.125), (channels * directions, 10, 10))
    run = simulate(network, x, steps=1, engine=engine, dtype=dtype, probe=["spikes"])
    assert torch.equal(run.spikes[population.name][0, :, 0], model[:2](x) > 0)
    assert torch.equal(run.mean[0], model(x).to(dtype))


def test_contours_stand_before_lif_neurons_too() -> None:
    model = nn.Sequential(Contours(), nn.Flatten(), nn.Linear(4 * 36, 5), SoftLIF(), nn.Linear(5, 2))
    network = convert(model, torch.zeros(1, 1, 8, 8))
    assert [type(p.neuron).__name__ for p in network.populations] == ["Threshold", "LIF"]
    x = pictures(3, 1, 8)
    run = simulate(network, x, steps=4)
    assert torch.equal(run.counts[network.populations[0].name][0], 4 * model[0](x).sum((1, 2, 3)).long())


def test_settings_are_shown() -> None:
    assert repr(Contours(3)).startswith("Contours(\n  channels=3, directions=4\n  (spikes): Step(")
    assert repr(NoisySign(0.5)) == "NoisySign(sigma=0.5, threshold=0.0)"
    assert repr(Step(0.2)) == "Step(threshold=0.2)"
