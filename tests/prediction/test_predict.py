"""predict(): the same samples whatever the batching, and the same masks for the module and its spiking network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes import (
    Alpha,
    BlankOut,
    ConfigError,
    Connection,
    DataError,
    Predictive,
    SpikingNetwork,
    Task,
    check,
    compare,
    convert,
    fit,
    predict,
    simulate,
)
from spikebayes.network.noise import Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import Dense
from spikebayes.nn import BlankOutLinear, LIFRate, Permadrop, SoftLIF
from spikebayes.nn.zoo import s2m, s2m_conv, sigmoid_network
from spikebayes.prediction import cautions
from spikebayes.prediction.module_samples import ModuleSampler
from spikebayes.prediction.network_samples import NetworkSampler

ROUTES = ("classical", "cpu", "reference")


def dense() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    layers = [nn.Linear(13, 50), SoftLIF(1e-3), Permadrop(0.1), nn.Linear(50, 33), SoftLIF(1e-3), Permadrop(0.5)]
    return nn.Sequential(*layers, nn.Linear(33, 2)), torch.randn(15, 13)


def convolutional() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    features = [nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), SoftLIF(1e-3), nn.Dropout2d(0.3), nn.AvgPool2d(2)]
    head = [nn.Conv2d(5, 4, 2), SoftLIF(1e-3), nn.Dropout(0.2), nn.Flatten(), nn.Linear(16, 3)]
    return nn.Sequential(*features, *head).eval(), torch.randn(15, 2, 8, 8)


MODELS = {"dense": dense, "convolutional": convolutional}


@pytest.fixture(params=ROUTES)
def route(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=MODELS)
def case(request: pytest.FixtureRequest, route: str) -> tuple[Callable[..., Tensor], Tensor]:
    """A function from rows and settings to samples ``[S, B, C]`` in float32, and rows for it."""
    model, x = MODELS[request.param]()
    subject = model if route == "classical" else convert(model, x)
    engine = "auto" if route == "classical" else route

    def sample(x: Tensor, samples: int = 6, **settings: Any) -> Tensor:
        return predict(subject, x, samples=samples, engine=engine, steps=50, burn_in=20, **settings).samples

    return sample, x


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for as long as the test runs."""
    before = torch.get_num_threads(), numba.get_num_threads()

    def use(count: int) -> None:
        torch.set_num_threads(count)
        numba.set_num_threads(count)

    yield use
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])


# -- bit-identical samples -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["row", "pass"])
def test_samples_do_not_depend_on_the_batch_size(case: Any, scope: str) -> None:
    sample, x = case
    whole = sample(x, seed=3, mask_scope=scope)
    for batch_size in (1, 7, 15):
        assert torch.equal(sample(x, seed=3, mask_scope=scope, batch_size=batch_size), whole)
    assert whole.std(0).min() > 0


def test_samples_follow_their_rows(case: Any) -> None:
    """In another order, and in two calls."""
    sample, x = case
    whole = sample(x)
    order = torch.randperm(15, generator=torch.Generator().manual_seed(1))
    assert torch.equal(sample(x[order], rows=order), whole[:, order])
    parts = [sample(x[:4]), sample(x[4:], rows=range(4, 15))]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_more_samples_begin_with_the_fewer(case: Any) -> None:
    sample, x = case
    assert torch.equal(sample(x, samples=20)[:10], sample(x, samples=10))


@pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two cores")
def test_samples_do_not_depend_on_the_number_of_threads(case: Any, threads: Callable[[int], None]) -> None:
    sample, x = case
    threads(1)
    alone = sample(x)
    threads(2)
    assert torch.equal(sample(x), alone)
    assert torch.get_num_threads() == 2


def test_samples_are_float32_whatever_new_tensors_are(case: Any) -> None:
    sample, x = case
    whole = sample(x)
    torch.set_default_dtype(torch.float64)
    try:
        again = sample(x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert whole.dtype == again.dtype == torch.float32
    assert torch.equal(whole, again)


def test_the_seed_alone_decides(case: Any) -> None:
    sample, x = case
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 (the global one is to stay untouched)
    first = sample(x, seed=5)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    torch.manual_seed(99)
    assert torch.equal(sample(x, seed=5), first)
    assert (sample(x, seed=6) != first).any(dim=2).float().mean() > 0.9


def test_a_pass_is_one_function_for_all_rows(case: Any) -> None:
    sample, x = case
    same = x[:1].expand(5, *x.shape[1:])
    together = sample(same, mask_scope="pass")
    assert torch.equal(together, together[:, :1].expand_as(together))
    assert torch.equal(sample(same, mask_scope="pass", rows=range(10, 15)), together)
    assert together.std(0).min() > 0
    assert sample(same, mask_scope="row").std(1).min() > 0


# -- masks ---------------------------------------------------------------------------------------------------


class Exposed(nn.Module):
    """Every kind of dropout once; returns the masked activations themselves. Its neurons fire whatever comes in."""

    def __init__(self) -> None:
        super().__init__()
        self.active = LIFRate(gain=1e-3, bias=4.0)
        self.conv, self.first, self.second = nn.Conv2d(2, 8, 3), nn.Linear(32, 40), nn.Linear(40, 50)
        self.third = nn.Linear(50, 60)
        self.channels, self.permanent, self.usual = nn.Dropout2d(0.5), Permadrop(0.1), nn.Dropout(0.25)

    def forward(self, x: Tensor) -> Tensor:
        a = self.channels(self.active(self.conv(x))).flatten(1)
        b = F.dropout(self.active(self.first(a)), 0.3, self.training)
        c = self.permanent(self.active(self.second(b)))
        d = self.usual(self.active(self.third(c)))
        return torch.cat([a, b, c, d], dim=1)


@pytest.mark.parametrize("engine", ["cpu", "reference"])
@pytest.mark.parametrize("scope", ["row", "pass"])
def test_the_module_drops_the_neurons_that_are_silent_in_the_network(engine: str, scope: Any) -> None:
    torch.manual_seed(0)
    model, x = Exposed().eval(), torch.randn(6, 2, 4, 4)
    settings = {"samples": 5, "seed": 21, "mask_scope": scope, "rows": [4, 0, 9, 2, 7, 5]}
    dropped = predict(model, x, **settings).samples == 0
    run = simulate(convert(model, x), x, steps=20, probe=["spikes"], engine=engine, **settings)
    silent = torch.cat([~spikes.any(2) for spikes in run.spikes.values()], dim=2)
    assert torch.equal(dropped, silent)

    draws = 5 * (6 if scope == "row" else 1)
    for part, p, shared in zip(dropped.split([32, 40, 50, 60], 2), (0.5, 0.3, 0.1, 0.25), (4, 1, 1, 1), strict=True):
        error = (p * (1 - p) / (draws * part.shape[2] / shared)) ** 0.5
        assert abs(part.double().mean() - p) < 4 * error  # one false alarm in 15,000
    maps = dropped[:, :, :32].unflatten(2, (8, 4))
    assert torch.equal(maps.all(3), maps.any(3))  # whole feature maps


def test_the_spiking_samples_are_the_classical_ones_up_to_spike_noise() -> None:
    model, x = dense()
    classical = predict(model, x, samples=30, seed=2)
    network = convert(model, x, synapse=Alpha(0.02))

    def distance(seed: int) -> Tensor:
        spiking = predict(network, x, samples=30, seed=seed)
        return ((spiking.samples - classical.samples) / classical.model_std).square().mean().sqrt()

    assert distance(2) < 0.2
    assert distance(3) > 1  # independent masks: sqrt(2)


# -- units and synapses that draw ----------------------------------------------------------------------------


def deep(sampling: Sampling) -> tuple[nn.Module, Tensor]:
    """Of a preprocessing that all samples of a row share, signs, and dropout among them."""
    torch.manual_seed(0)
    first = [nn.Linear(13, 40), nn.Tanh()]
    layers = [*s2m(40, 30, (50, 40), sampling=sampling), Permadrop(0.25)]
    return nn.Sequential(*first, *layers, nn.Linear(30, 2)), torch.randn(15, 13)


def maps(sampling: Sampling) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return s2m_conv(3, sampling=sampling), torch.rand(3, 1, 28, 28) * 2 - 1


def stochastic(sampling: Sampling) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    return nn.Sequential(*s2m(13, 30, (50, 40), keep=0.75, sampling=sampling), nn.Flatten()), torch.randn(15, 13)


SAMPLINGS = [Exact(), Gaussian(), Law()]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("make", [stochastic, maps])
def test_the_module_and_the_network_make_the_same_draws(make: Any, sampling: Sampling) -> None:
    """But for units within rounding of their threshold, at which few rows differ."""
    model, x = make(sampling)
    network = convert(model, x, sampling=sampling)
    classical, spiking = (predict(m, x, samples=30, seed=6).samples for m in (model, network))
    near = ((classical - spiking).abs() <= 1e-4 * classical.std()).all(2)
    assert near.double().mean() > 0.97
    others = predict(network, x, samples=30, seed=7).samples
    assert ((classical - others).abs() <= 1e-4 * classical.std()).all(2).double().mean() < 0.1


def test_sigmoid_units_make_the_same_draws() -> None:
    torch.manual_seed(0)
    model, x = sigmoid_network(13, 2, (50, 40)), torch.randn(15, 13)
    classical, spiking = (predict(m, x, samples=30).samples for m in (model, convert(model, x)))
    assert ((classical - spiking).abs() <= 1e-4).all(2).double().mean() > 0.97


@pytest.mark.parametrize("scope", ["row", "pass"])
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("make", [deep, maps])
def test_a_module_that_draws_gives_the_same_samples_in_any_batches(make: Any, sampling: Sampling, scope: Any) -> None:
    model, x = make(sampling)
    samples = predict(model, x, samples=40, mask_scope=scope).samples
    assert samples.std(0).min() > 0
    for batch_size in (1, 7):
        assert torch.equal(predict(model, x, samples=40, mask_scope=scope, batch_size=batch_size).samples, samples)
    order = torch.randperm(len(x))
    assert torch.equal(predict(model, x[order], rows=order, samples=40, mask_scope=scope).samples, samples[:, order])
    assert torch.equal(predict(model, x, samples=41, mask_scope=scope).samples[:40], samples)


def test_the_generator_of_torch_is_left_alone() -> None:
    model, x = deep(Law())
    state = torch.get_rng_state()
    predict(model, x, samples=3)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():
        model(x)
    assert not torch.equal(torch.get_rng_state(), state)  # on its own it draws from there


def test_the_law_is_the_distribution_of_the_draws() -> None:
    """At fan-in 300 the central limit's error is below what 300 samples tell, seeds fixed."""
    torch.manual_seed(0)
    model, x = s2m(300, 2, (300,), noise=0.2), torch.rand(12, 300).mul(2).sub(1)
    law, exact = (
        predict(convert(model, x, sampling=s), x, samples=300, seed=seed) for s, seed in ((Law(), 1), (Exact(), 2))
    )
    assert compare(law, exact).accepted
    narrower = predict(convert(nn.Sequential(model, nn.Linear(2, 2)), x), x, samples=300, seed=3)
    assert not compare(law, narrower).accepted


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (1, 0)),
        ({"steps": 5}, (5, 0)),
        ({"steps": 5, "burn_in": 2}, (5, 2)),
        ({"steps": 300}, (300, 0)),
    ],
)
@pytest.mark.slow
def test_a_step_of_a_network_without_memory_is_a_sample(given: dict[str, int], expected: tuple[int, int]) -> None:
    model, x = stochastic(Law())
    network = convert(model, x)
    found = predict(network, x, samples=3, **given)
    assert (found.settings["steps"], found.settings["burn_in"]) == expected
    named = {"steps": expected[0], "burn_in": expected[1]}
    assert torch.equal(found.samples, predict(network, x, samples=3, **named).samples)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (300, 200)),
        ({"steps": 250}, (250, 200)),
        ({"steps": 60, "burn_in": 0}, (60, 0)),
        ({"burn_in": 9}, (300, 9)),
    ],
)
def test_a_sample_of_a_network_with_memory_takes_300_steps(given: dict[str, int], expected: tuple[int, int]) -> None:
    model, x = dense()
    found = predict(convert(model, x), x[:1], samples=2, **given)
    assert (found.settings["steps"], found.settings["burn_in"]) == expected


def test_a_short_run_of_a_network_with_memory_needs_its_burn_in() -> None:
    model, x = dense()
    with pytest.raises(ConfigError, match=r"burn_in must be .* \[0, steps\); got 200 with steps=50"):
        predict(convert(model, x), x, samples=2, steps=50)


def test_a_layer_behind_a_first_one_without_draws() -> None:
    """Its lines are shared between the samples of a row until it draws."""
    torch.manual_seed(0)
    seen: list[int] = []

    class Counting(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(len(x))
            return super().forward(x)

    model, x = nn.Sequential(Counting(13, 20), BlankOutLinear(20, 5), nn.Linear(5, 1)), torch.randn(4, 13)
    predict(model, x, samples=512)
    assert sum(seen) < 0.2 * 512 * 4


# -- the module is left as it was ----------------------------------------------------------------------------


def test_batch_norm_and_modes_are_untouched() -> None:
    model, x = convolutional()
    expected = predict(model, x, samples=3).samples
    model.train()
    model[3].eval()
    modes = [module.training for module in model.modules()]
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    assert torch.equal(predict(model, x, samples=3).samples, expected)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_modes_are_restored_after_a_failure() -> None:
    model, x = dense()
    model.train()
    with pytest.raises(DataError, match=r"the model does not take rows of shape \[12\]"):
        predict(model, x[:, 1:])
    assert all(module.training for module in model.modules())


# -- what comes back -----------------------------------------------------------------------------------------


def test_classification_gives_class_probabilities(route: str) -> None:
    model, x = convolutional()
    subject = model if route == "classical" else convert(model, x)

    def run(task: Task) -> Predictive:
        engine = "auto" if route == "classical" else route
        return predict(subject, x, samples=4, steps=30, burn_in=10, engine=engine, task=task)

    classes = run(Task.CLASSIFICATION)
    assert torch.equal(classes.samples, run(Task.REGRESSION).samples.softmax(-1))
    torch.testing.assert_close(classes.samples.sum(-1), torch.ones(4, 15))
    assert classes.task is Task.CLASSIFICATION


def test_the_predictive_tells_how_it_was_made() -> None:
    model, x = dense()
    network = convert(model, x, dt=5e-4)
    settings = {"samples": 4, "seed": 8, "steps": 20, "burn_in": 5, "mask_scope": "pass", "rows": range(3, 18)}
    noise = torch.tensor([0.1, 0.2])
    posterior = predict(network, x, dtype=torch.float64, noise_std=noise, names=("a", "b"), **settings)
    run = simulate(network, x, dtype=torch.float64, **settings)
    assert torch.equal(posterior.samples, run.mean.float())
    assert posterior.noise_std is noise
    assert posterior.names == ("a", "b")
    assert (posterior.draw.seed, posterior.draw.scope) == (8, "pass")
    assert posterior.draw.rows.tolist() == list(range(3, 18))
    assert posterior.settings == {
        "kind": "spiking",
        "engine": "cpu",
        "dtype": "float64",
        "steps": 20,
        "burn_in": 5,
        "window": "Flat",
        "dt": 5e-4,
        "spikes_per_prediction": {name: float(count.double().mean()) for name, count in run.counts.items()},
        "samples": 4,
        "seed": 8,
        "mask_scope": "pass",
    }
    assert predict(model, x, samples=4, seed=8, mask_scope="pass", rows=range(3, 18)).draw.same_masks(posterior.draw)


def test_several_inputs_and_arrays() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(3, 8), nn.Linear(2, 8), nn.Linear(8, 1)
            self.active, self.drop = SoftLIF(), Permadrop(0.5)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.head(self.drop(self.active(self.a(x) + self.b(y))))

    torch.manual_seed(0)
    model, x, y = Sum(), torch.randn(4, 3), torch.randint(5, (4, 2))
    network = convert(model, (x, y.float()))
    for subject in (model, network):
        tensors = predict(subject, (x, y.float()), samples=2, steps=30, burn_in=10)
        arrays = predict(subject, [x.double().numpy(), y.numpy()], samples=2, steps=30, burn_in=10)
        assert torch.equal(tensors.samples, arrays.samples)


# -- refusals ------------------------------------------------------------------------------------------------


def predict_with(route: str, x: Any = None, **settings: Any) -> Predictive:
    model, rows = dense()
    subject = model if route == "classical" else convert(model, rows)
    settings = {"samples": 2, "steps": 4, "burn_in": 2} | settings
    return predict(subject, rows if x is None else x, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"samples": 0}, "samples must be a whole number, at least 1; got 0"),
        ({"samples": 2.0}, "samples must be a whole number; got 2.0"),
        ({"samples": True}, "samples must be .* got True"),
        ({"samples": 1 << 32}, "samples must be"),
        ({"batch_size": 0}, "batch_size must be a whole number, at least 1; got 0"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"mask_scope": "all"}, "mask_scope must be one of 'row', 'pass'; got 'all'"),
        ({"seed": -1}, r"a seed must be an integer in \[0, 2\^64\); got -1"),
        ({"seed": 1 << 64}, "seed must be (an integer|a whole number)"),
        ({"seed": 1.0}, "seed must be (an integer|a whole number)"),
    ],
)
@pytest.mark.parametrize("route", ["classical", "spiking"])
def test_settings_out_of_range(route: str, settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        predict_with(route, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0, "burn_in": 0}, "steps must be a whole number, at least 1; got 0"),
        ({"steps": 4.5}, "steps must be a whole number"),
        ({"burn_in": 4}, r"burn_in must be a whole number in \[0, steps\); got 4 with steps=4"),
        ({"burn_in": -1}, "burn_in must be .* got -1"),
        ({"burn_in": 0.5}, "burn_in must be a whole number"),
        ({"engine": "gpu"}, "engine must be one of 'auto', 'windows', 'cpu', 'reference'; got 'gpu'"),
        ({"dtype": torch.float16}, "dtype must be torch.float32 or torch.float64; got torch.float16"),
    ],
)
def test_settings_of_the_simulation_out_of_range(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        predict_with("spiking", **settings)


def test_unknown_probe() -> None:
    model, x = dense()
    with pytest.raises(ConfigError, match="no probe 'volts' here; there are spikes, potentials, trace"):
        simulate(convert(model, x), x, probe=["spikes", "volts"])


def spoilt(value: float) -> Tensor:
    x = torch.zeros(5, 13)
    x[1:3, 4] = value
    return x


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (spoilt(float("nan")), "NaN or infinite values in 2 of 5 rows"),
        (spoilt(float("-inf")), "NaN or infinite values in 2 of 5 rows"),
        (spoilt(1.0).double() * 1e300, "NaN or infinite values in 2 of 5 rows"),
        (torch.empty(0, 13), r"at least one row; got \[0, 13\]"),
        (torch.empty(3, 0), r"at least one row; got \[3, 0\]"),
        (torch.zeros(13), r"must be \[B, \*shape\] with at least one row; got \[13\]"),
        (torch.zeros(3, 12), r"rows of shape \[1[23]\]"),
        (torch.zeros(3, 13, dtype=torch.complex64), "must be real"),
        ("text", "tensor, .*array"),
        ([[1.0] * 13, [1.0]], "tensor, .*array"),
        ((torch.zeros(3, 13), torch.zeros(3, 13)), "takes 1 inputs; got 2|does not take rows"),
        ((torch.zeros(3, 13), torch.zeros(2, 13)), "takes 1 inputs; got 2|input 1 has 2 rows, the first input 3"),
    ],
    ids=str,
)
@pytest.mark.parametrize("route", ["classical", "spiking"])
def test_unusable_inputs(route: str, x: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict_with(route, x)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (range(14), "14 row indices were given for 15 rows"),
        ([0, *range(14)], "row indices must differ"),
        (range(-1, 14), r"must lie in \[0, 2\^32\)"),
        (range((1 << 32) - 14, (1 << 32) + 1), r"must lie in \[0, 2\^32\)"),
        (torch.arange(15.0), "must be whole numbers; got torch.float32"),
        (["a"] * 15, "must be whole numbers"),
    ],
    ids=["too few", "twice", "negative", "too large", "floats", "text"],
)
@pytest.mark.parametrize("route", ["classical", "spiking"])
def test_unusable_row_indices(route: str, rows: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        predict_with(route, rows=rows)


def test_a_model_without_randomness() -> None:
    model = nn.Sequential(nn.Linear(2, 3), SoftLIF(), Permadrop(0.0), nn.Linear(3, 1))
    x = torch.zeros(2, 2)
    for subject in (model, convert(model, x)):
        with pytest.raises(ConfigError, match=r"nothing in the model is random.*Permadrop"):
            predict(subject, x)


def test_blank_out_makes_a_network_random() -> None:
    model = nn.Sequential(nn.Linear(2, 3), SoftLIF(), nn.Linear(3, 1))
    plain = convert(model, torch.zeros(1, 2))
    weight = torch.ones(3, 2)

    def noisy(keep: float) -> SpikingNetwork:
        first = Connection("input_1", "layer1", Dense(weight), blank_out=BlankOut(keep, hold=None))
        return SpikingNetwork(plain.inputs, plain.populations, (first, *plain.connections[1:]), plain.readout)

    posterior = predict(noisy(0.5), torch.ones(2, 2), samples=30, steps=60, burn_in=20)
    assert posterior.settings["engine"] == "reference"
    assert posterior.model_std.min() > 0
    with pytest.raises(ConfigError, match="nothing in the model is random"):
        predict(noisy(1.0), torch.ones(2, 2))


@pytest.mark.parametrize("layer", [nn.AlphaDropout(0.5), nn.FeatureAlphaDropout(0.5), nn.Dropout3d(0.5)], ids=str)
def test_other_dropouts_are_refused(layer: nn.Module) -> None:
    with pytest.raises(ConfigError, match="is not supported; use Dropout, Dropout1d/2d or Permadrop"):
        predict(nn.Sequential(nn.Linear(2, 3), layer, nn.Dropout(0.5)).train(), torch.zeros(2, 2))


@pytest.mark.parametrize("call", [nn.Dropout1d(0.5), lambda h: F.dropout1d(h, p=0.5)])
def test_dropout_that_would_drop_whole_rows_in_torch_is_refused(call: Callable[[Tensor], Tensor]) -> None:
    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call(x)

    in_torch = F.dropout1d(torch.ones(200, 8), 0.5) == 0
    assert torch.equal(in_torch.all(1), in_torch.any(1))
    with pytest.raises(ConfigError, match=r"dropout1d sees \[128, 2\]: .* whole rows drop; use Dropout"):
        predict(Drops(), torch.ones(2, 2))


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_drop_probabilities_out_of_range(p: float) -> None:
    class Drops(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.dropout(x, p)

    with pytest.raises(ConfigError, match=r"a drop probability must lie in \[0, 1\)"):
        predict(Drops(), torch.zeros(2, 2))


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda x: F.dropout(x).sum(), "one tensor of real numbers, with a line for every row"),
        (lambda x: (F.dropout(x), x), "one tensor of real numbers, with a line for every row"),
        (lambda x: F.dropout(x) / 0, "NaN or infinite"),
    ],
    ids=["a sum", "a tuple", "infinite"],
)
def test_models_that_return_something_else(forward: Any, message: str) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return forward(x)

    with pytest.raises(DataError, match=message):
        predict(Model(), torch.ones(2, 2))


def test_what_is_no_model() -> None:
    with pytest.raises(ConfigError, match=r"a SpikingNetwork, an IntegerNetwork or a Module; got 'model'"):
        predict("model", torch.ones(2, 2))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("law", [Exact(), Law()])
@pytest.mark.parametrize("engine", ["reference", "cpu"])
def test_samples_of_several_steps_share_no_draws(law: Sampling, engine: str) -> None:
    """One run of all steps, cut into samples: neighbours that shared steps would be averages of the same draws."""
    torch.manual_seed(0)
    x = torch.randn(3, 6)
    network = convert(s2m(6, 2, (20, 10), sampling=law), x, sampling=law)
    samples, steps = 12, 5
    made = predict(network, x, samples=samples, steps=steps, seed=3, engine=engine)
    run = simulate(network, x, samples=1, steps=samples * steps, seed=3, probe=["trace"], engine=engine)
    assert run.trace is not None
    expected = run.trace[0].unflatten(1, (samples, steps)).mean(2).transpose(0, 1)  # [S, B, C]
    torch.testing.assert_close(made.samples, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ["a", "a"]}, "names must differ"),
        ({"names": ["a"]}, "2 outputs, 1 names: a"),
        ({"noise_std": -1.0}, r"noise_std must be \[2\] or \[3, 2\], positive and finite"),
        ({"noise_std": torch.ones(4, 2)}, r"noise_std must be \[2\] or \[3, 2\]"),
        ({"task": "classification", "noise_std": 1.0}, "class probabilities have none"),
    ],
)
@pytest.mark.parametrize("spiking", [False, True])
def test_what_does_not_fit_the_outputs_is_refused_before_any_sample(
    spiking: bool, settings: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = nn.Sequential(nn.Linear(4, 5), SoftLIF(1e-3), nn.Dropout(0.5), nn.Linear(5, 2)), torch.randn(3, 4)
    subject: Any = convert(model, x) if spiking else model
    sampler = NetworkSampler if spiking else ModuleSampler
    monkeypatch.setattr(sampler, "__call__", lambda *_, **__: pytest.fail("samples were drawn"))
    with pytest.raises(DataError, match=message):
        predict(subject, x, **settings)
    if "noise_std" not in settings or not isinstance(settings["noise_std"], Tensor):
        with pytest.raises(DataError, match=message.replace("3", "1")):
            predict(subject, iter([x]), **settings)


def test_what_a_loop_is_told_by_does_not_grow() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(1, 1))
    rows = [torch.full((1, 1), float(at)) for at in range(5)]
    with pytest.warns(UserWarning, match="rows were predicted with one seed"):
        _ = [predict(model, x, samples=2) for x in rows]
    kinds = cautions._asked[model]
    assert [len(marks) for marks in kinds.values()] == [cautions.BATCHES]
    for seed in range(100):
        predict(model, torch.zeros(1, 1), samples=2, seed=seed)
    assert len(kinds) <= cautions.REMEMBERED


@pytest.mark.parametrize(
    ("offset", "told"), [(1.7e9, "do not differ at all"), (1e5, r"differ by 0\.\d+"), (10.0, "")]
)
@pytest.mark.parametrize("spiking", [False, True])
def test_a_spread_that_float32_does_not_tell_is_said(spiking: bool, offset: float, told: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 40), SoftLIF(1e-3), nn.Dropout(0.5), nn.Linear(40, 1)).double()
    x = torch.randn(30, 3).double()
    with torch.no_grad():
        model[3].weight *= 0.1 / predict(model, x).model_std.median()  # pyright: ignore
        model[3].bias += offset
    subject = convert(model, x) if spiking else model
    if told:
        with pytest.warns(UserWarning, match=f"samples of y {told}, where float32, .*has steps"):
            predict(subject, x, samples=20)
    else:
        predict(subject, x, samples=20)


def test_a_module_of_indices_is_told_how_to_take_them() -> None:
    class Embedded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.drop = nn.Embedding(5, 2), nn.Dropout(0.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.drop(self.table(x).mean(1))

    with pytest.raises(DataError, match=r"let forward begin with x = x\.long\(\)"):
        predict(Embedded(), torch.randint(0, 5, (4, 3)))


class InPlace(nn.Module):
    """Centres its input where it lies, as careless code does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(3, 8), nn.Dropout(0.5), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.drop(torch.relu(self.first(x.sub_(1.0)))))


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_forward_that_works_in_place_leaves_the_rows_as_they_are(task: str) -> None:
    x = torch.randn(120, 3)
    before = x.clone()
    first = predict(InPlace(), x, samples=3, task=task)
    assert torch.equal(x, before)
    y = torch.randn(120, 2) if task == "regression" else torch.randint(0, 2, (120,))
    fit(InPlace(), x[:100], y[:100], validation=(x[100:], y[100:]), task=task, epochs=2, spiking=False)
    check(InPlace(), x)
    assert torch.equal(x, before)
    assert first.samples.shape == (3, 120, 2)
