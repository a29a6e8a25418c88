"""The networks run as spiking networks: test errors, and the law that synapses that blank out obey."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from scipy import stats
from scipy.special import erf
from torch import Tensor

from spikebayes import Exact, Law, Predictive, SpikingNetwork, Task, convert, predict, scaled
from spikebayes.evaluate import error_rate, single_sample_error
from spikebayes.network import Sampling
from spikebayes.nn import BlankOutLinear
from studies.neftci2017.learning import Digits
from studies.neftci2017.networks import CONV, S2M, Run, Trained, rows

SCALE = 0.1  # of the weights in the paper's third line
STDERR = Console(stderr=True)
DRAWN_SEED = 1  # of the samples; networks that are compared share it


def spiking(trained: Trained, run: Run, epoch: int | None = None, sampling: Sampling = Exact()) -> SpikingNetwork:
    """A trained network as a spiking one, in which a step is a sample."""
    shape = (1, 1, 28, 28) if run.kind == CONV else (1, 784)
    return convert(trained.module(run, epoch), torch.zeros(shape), sampling=sampling)


def sampled(network: SpikingNetwork, images: Tensor, samples: int, *, progress: bool = False) -> Predictive:
    """S samples of class probabilities for each image."""
    options: dict[str, Any] = {"samples": samples, "seed": DRAWN_SEED, "progress": progress}
    return predict(network, images, task=Task.CLASSIFICATION, **options)


def errors(network: SpikingNetwork, images: Tensor, target: Tensor, samples: int) -> dict[str, float]:
    """Test error of a single sample (mean over all) and of the average of S."""
    made = sampled(network, images, samples)
    return {"single": single_sample_error(made.samples, target), "average": error_rate(made.mean, target)}


def last_epochs(
    trained: Trained,
    run: Run,
    digits: Digits,
    samples: int,
    spaced: int,
    *,
    factor: float = 1.0,
    progress: bool,
) -> dict[str, Any]:
    """A line of the paper's table: errors with the weights after every ``spaced``-th of the last epochs."""
    s, x, lines = trained.learning, rows(run.kind, digits.x_test), []
    epochs = range(s.epochs - 1, s.epochs - s.averaged - 1, -spaced)[::-1]
    for epoch in track(epochs, f"{run.name}, last epochs", console=STDERR, disable=not progress):
        network = spiking(trained, run, epoch)
        lines.append(errors(network if factor == 1 else scaled(network, factor), x, digits.y_test, samples))
    mean = {name: float(np.mean([line[name] for line in lines])) for name in lines[0]}
    return {"samples": samples, "epochs": len(lines), "mean": mean, "lines": lines}


def law(fan_ins: tuple[int, ...], draws: int, seed: int) -> list[dict[str, Any]]:
    """How far the probability that a unit behind exact synapses is on lies from eq. 3, by fan-in.

    Units with normal weights, all of which see one pattern of +-1.
    """
    found = []
    for fan_in in fan_ins:
        units = 200
        each = draws // units
        with torch.random.fork_rng():
            torch.manual_seed(seed + fan_in)
            layer = BlankOutLinear(fan_in, units, sampling=Exact())
            z = torch.randint(0, 2, (1, fan_in)).float() * 2 - 1
        on = torch.zeros(units, dtype=torch.float64)
        with torch.no_grad():
            expected = 0.5 * (1 + erf(layer.law(z)[0].double().numpy()))
            made = predict(layer, z, samples=each, seed=seed)
            on = (made.samples[:, 0] > 0).double().mean(0).numpy()
        noise = expected * (1 - expected) / each
        square = float(((on - expected) ** 2 / noise).sum())
        found.append(
            {
                "fan_in": fan_in,
                "units": units,
                "draws": each * units,
                "chi_square": square,
                "p_value": float(stats.chi2.sf(square, units)),
                "rms_deviation": math.sqrt(max(0.0, float(((on - expected) ** 2 - noise).mean()))),
                "largest_deviation": float(np.abs(on - expected).max()),
                "sampling_error": float(np.sqrt(noise).max()),
            }
        )
    return found


def samplings(trained: Trained, digits: Digits, seed: int, samples: int) -> dict[str, Any]:
    """The S2M's errors by either way of sampling it."""
    run = Run(S2M, seed)
    x = rows(run.kind, digits.x_test)
    ways: dict[str, Callable[[], SpikingNetwork]] = {
        "exact": lambda: spiking(trained, run),
        "law": lambda: spiking(trained, run, sampling=Law()),
    }
    return {name: errors(make(), x, digits.y_test, samples) for name, make in ways.items()}
