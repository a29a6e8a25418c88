"""The trained networks that go out, one for each profile."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import Hann, Lowpass, Radix, SpikingNetwork, Task, Timing, convert, fit
from spikebayes.data import ImageSet, Split, split_rows
from spikebayes.network import Synapse
from spikebayes.nn import DiscreteSoftLIF, Sharpened, zoo
from spikebayes.training import Fitted, Scaling
from studies.export.settings import Settings

DROPOUT = 0.1
PORTABLE = "portable-lif"
Kind = Callable[..., nn.Module]  # of network: from inputs, outputs, widths of the hidden layers and dropout
KINDS: dict[str, Kind] = {
    PORTABLE: zoo.discrete,
    "threshold": partial(zoo.mlp, activation=Sharpened),
    "integrate-and-fire": partial(zoo.mlp, activation=nn.ReLU),
}
USUAL = 0.003  # learning rate


def network(fitted: Fitted, x: Tensor, profile: str, settings: Settings) -> SpikingNetwork:
    """What goes out of a trained module.

    Args:
        x: ``[B, F]`` training rows in the module's units.
    """
    if profile == "integrate-and-fire":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "under .* strays from the module", UserWarning)  # the study measures it
            return convert(fitted.model, x[:1], code=Radix(1), calibrate=x, headroom=1.0)
    made = filtered(fitted.model, x, Lowpass(0.02))  # which no neuron of these has behind it
    return made if made.is_memoryless else replace(made, timing=Timing(settings.steps, settings.burn_in, Hann()))


def filtered(model: nn.Module, x: Tensor, synapse: Synapse) -> SpikingNetwork:
    """The module's network behind filters of a kind."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dt = ")  # longer than the refractory time
        return convert(model, x[:1], synapse=synapse)


def trained(
    split: Split,
    profile: str,
    hidden: tuple[int, ...],
    epochs: int,
    batch: int,
    settings: Settings,
    seed: int,
    **unit: Any,
) -> Fitted:
    """A network on a UCI set, whose weights a tenth of the training rows chose: of SoftLIF units for no profile.

    Args:
        unit: settings of portable neurons in place of their defaults.
    """
    train, held = split_rows(len(split.x_train), 0.1, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        given = {"unit": partial(DiscreteSoftLIF, **unit)} if unit else {}
        model = KINDS.get(profile, zoo.mlp)(split.x_train.shape[1], 1, hidden, DROPOUT, **given)
    return fit(
        model,
        split.x_train[train],
        split.y_train[train],
        validation=(split.x_train[held], split.y_train[held]),
        epochs=epochs,
        batch_size=batch,
        learning_rate=settings.learning_rate if profile == PORTABLE else USUAL,
        seed=seed,
        calibration=0.0,
        error=None,
    )


def digits(images: ImageSet, settings: Settings, seed: int) -> Fitted:
    """A portable network of MNIST's digits, as wide as those of the benchmarks."""
    x, y = images.x_train.flatten(1), images.y_train
    train, held = split_rows(len(x), 0.1, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = zoo.discrete(x.shape[1], len(images.classes), settings.images, DROPOUT)
    return fit(
        model,
        x[train],
        y[train],
        validation=(x[held], y[held]),
        task=Task.CLASSIFICATION,
        scaling=Scaling.identity(tuple(x.shape[1:])),
        epochs=settings.images_epochs,
        batch_size=256,
        learning_rate=settings.learning_rate,
        seed=seed,
        calibration=0.0,
        error=None,
    )


def training_rows(fitted: Fitted, split: Split, seed: int) -> Tensor:
    """Those that the weights were trained on, in the module's units."""
    train, _ = split_rows(len(split.x_train), 0.1, seed)
    return fitted.scaling.inputs(split.x_train[train])
