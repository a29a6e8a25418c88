"""The trained networks that go out, one for each profile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from spikebayes import LIF, Lowpass, Population, Radix, SpikingNetwork, Timing, convert, fit
from spikebayes.data import load_split, split_rows
from spikebayes.network import Synapse
from spikebayes.nn import Sharpened, SoftLIF, zoo

DROPOUT = 0.1


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        set: UCI set. hidden: widths of its networks' layers. epochs: of training.
        rows: test rows that the simulators are shown, under the mask of each of ``masks`` samples.
        judge_rows, judge_samples: of the certificates.
        steps, burn_in: of networks that step freely. tau: of their Lowpass filters, s.
    """

    set: str = "kin8nm"
    hidden: tuple[int, ...] = (64, 64)
    epochs: int = 40
    rows: int = 50
    masks: int = 3
    judge_rows: int = 100
    judge_samples: int = 100
    steps: int = 300
    burn_in: int = 200
    tau: float = 0.02


PUBLISHED = Settings()


@dataclass(frozen=True, eq=False)
class Case:
    """A network that goes out.

    Args:
        model: trained. network: made of it. x: ``[B, F]`` test rows.
    """

    model: nn.Module
    network: SpikingNetwork
    x: Tensor


def portable_unit() -> SoftLIF:
    """The rate of neurons that fire at the end of a step: half a step in the place of a refractory time."""
    return SoftLIF(tau_ref=0.0005, gain=6.0, bias=1.6)


UNITS: dict[str, Callable[[], nn.Module]] = {
    "portable-lif": portable_unit,
    "threshold": Sharpened,
    "integrate-and-fire": nn.ReLU,
}


def case(data: Path, profile: str, settings: Settings, seed: int) -> Case:
    """The network of a profile, trained on a UCI set."""
    split = load_split(data, settings.set)
    train, held = split_rows(len(split.x_train), 0.1, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = zoo.mlp(split.x_train.shape[1], 1, settings.hidden, DROPOUT, activation=UNITS[profile])
    fitted = fit(
        model,
        split.x_train[train],
        split.y_train[train],
        validation=(split.x_train[held], split.y_train[held]),
        epochs=settings.epochs,
        seed=seed,
        calibration=0.0,
        error=None,
    )
    x = fitted.scaling.inputs(split.x_test)
    if profile == "integrate-and-fire":
        rows = fitted.scaling.inputs(split.x_train[train])
        return Case(fitted.model, convert(fitted.model, x[:1], code=Radix(1), calibrate=rows, headroom=1.0), x)
    network = filtered(fitted.model, x, Lowpass(settings.tau))
    if profile == "portable-lif":
        network = replace(network, timing=Timing(settings.steps, settings.burn_in))
        network = replace(network, populations=tuple(_without_rest(p) for p in network.populations))
    return Case(fitted.model, network, x)


def filtered(model: nn.Module, x: Tensor, synapse: Synapse) -> SpikingNetwork:
    """The module's network behind filters of a kind."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dt = ")  # longer than the refractory time
        return convert(model, x[:1], synapse=synapse)


def _without_rest(p: Population) -> Population:
    assert isinstance(p.neuron, LIF)
    return replace(p, neuron=replace(p.neuron, tau_ref=0.0))
