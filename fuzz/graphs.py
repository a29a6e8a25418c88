"""Modules by chance, converted: the network is the module's function under the same masks, or is refused."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import spikebayes as sb
from fuzz.modules import GAMMA, drawn
from fuzz.rate_form import rates
from fuzz.trial import Trial, Wrong
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks, evaluating

SAMPLES, ROWS = 3, 4
CALIBRATED = 128  # rows
ROUGH = 0.05  # of values, that a code of 256 levels may be off in the middle
DRAWS = 3  # of inputs; a threshold that rounding decides otherwise does so in one of them
SEED = 3


def prepare() -> None:
    """The engines of networks without memory are compiled once."""
    network = sb.convert(nn.Sequential(nn.Linear(2, 2), sb.nn.Step(), nn.Linear(2, 1)).double(), torch.rand(1, 2))
    sb.simulate(network, torch.rand(1, 2), steps=1, dtype=torch.float64)


def run(trial: Trial) -> None:
    unit = trial.one(("rate", "step"))
    model, example = drawn(trial, unit)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = [m.training for m in model.modules()]
    try:
        refused = None
        network = sb.convert(model, example, calibrate=_like(example, CALIBRATED))
    except sb.SpikebayesError as error:
        refused, network = error, None
    trial.say(f"refused: {refused}" if refused else "converted")
    obstacles = sb.check(model, example).obstacles
    if bool(obstacles) != bool(refused):
        raise Wrong(f"check and convert do not agree: {'; '.join(map(str, obstacles))} or {refused}")
    if [m.training for m in model.modules()] != training:
        raise Wrong("conversion left the module in another mode")
    after = model.state_dict()
    if any(not torch.equal(value, after[name]) for name, value in before.items()):
        raise Wrong("conversion changed the module's numbers")
    if network is not None and network.code is not None:
        _same_numbers(model, network, example)
    elif network is not None:
        _same_function(model, network, example, unit, trial)
    if network is None or network.is_random:
        _same_bits(model, example, trial)
    if refused is not None:
        raise refused


def _like(example: Tensor, rows: int) -> Tensor:
    return (torch.rand(rows, *example.shape[1:], dtype=torch.float64) * 2 - 0.5).to(example.dtype)


@torch.no_grad()
def _same_numbers(model: nn.Module, network: sb.SpikingNetwork, example: Tensor) -> None:
    """A coded network tells by products what it tells by ticks, and that is about what the module gives."""
    x = _like(example, ROWS)
    found = [
        sb.simulate(network, x, samples=SAMPLES, seed=SEED, engine=name).mean for name in ("windows", "reference")
    ]
    if not torch.equal(*found):
        raise Wrong(f"products differ from ticks by up to {float((found[0] - found[1]).abs().max()):.3g}")
    samples = torch.arange(SAMPLES).repeat_interleave(ROWS)
    with evaluating(model), Masks(Keys(SEED, samples, torch.arange(ROWS).repeat(SAMPLES))):
        expected = model(x.repeat(SAMPLES, *[1] * (x.ndim - 1)).double())
    apart = float((found[0].flatten(0, 1) - expected.flatten(1)).abs().median())
    if apart > ROUGH * (1 + float(expected.abs().max())):
        reach = float(expected.abs().max())
        raise Wrong(
            f"the coded network is not the module: off by {apart:.3g} in the middle of values up to {reach:.3g}"
        )


@torch.no_grad()
def _same_function(model: nn.Module, network: sb.SpikingNetwork, example: Tensor, unit: str, trial: Trial) -> None:
    samples = torch.arange(SAMPLES).repeat_interleave(ROWS)
    keys = Keys(SEED, samples, torch.arange(ROWS).repeat(SAMPLES))
    apart = []
    for _ in range(DRAWS):
        x = torch.rand(ROWS, *example.shape[1:], dtype=torch.float64) * 2 - 0.5
        with evaluating(model), Masks(keys):
            expected = model(x.repeat(SAMPLES, *[1] * (x.ndim - 1)))
        if unit == "rate":
            got = rates(network, [x.repeat(SAMPLES, *[1] * (x.ndim - 1))], keys, GAMMA)
        else:
            got = sb.simulate(network, x, samples=SAMPLES, seed=SEED, steps=1, dtype=torch.float64).mean.flatten(0, 1)
        near = 1e-7 if unit == "rate" else 1e-4
        apart.append(float((got - expected).abs().max() / (near * (1 + expected.abs().max()))))
    if min(apart) > 1 or (unit == "rate" and max(apart) > 1):
        raise Wrong(f"the network is not the module: apart by {apart} tolerances")


def _same_bits(model: nn.Module, x: Tensor, trial: Trial) -> None:
    """Predicted again, in other batches and rows alone: the same bits; a module that cannot do so is refused."""
    first = sb.predict(model, x, samples=SAMPLES, seed=SEED).samples
    for what, again in (
        ("again", sb.predict(model, x, samples=SAMPLES, seed=SEED).samples),
        ("row by row", sb.predict(model, x, samples=SAMPLES, seed=SEED, batch_size=1).samples),
        ("in threes", sb.predict(model, x, samples=SAMPLES, seed=SEED, batch_size=3).samples),
    ):
        if not torch.equal(first, again):
            raise Wrong(f"predicted otherwise {what}: by up to {float((first - again).abs().max()):.3g}")
    some = sb.predict(model, x[2:], samples=SAMPLES, seed=SEED, rows=[2, 3]).samples
    if not torch.equal(first[:, 2:], some):
        raise Wrong(
            f"rows are predicted otherwise without others: by up to {float((first[:, 2:] - some).abs().max()):.3g}"
        )
