"""A posterior for sharpened networks: masks, unreliable synapses, and what either is worth beside none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from spikebayes import Predictive, SpikingNetwork, Task, folded, predict, with_blank_out
from spikebayes.evaluate import class_rows
from studies.scoring import certain, compared, scored
from studies.whetstone2018.images import Rows
from studies.whetstone2018.judging import one_step, outputs, spiking
from studies.whetstone2018.learning import ORIGINAL, SPIKING, rows, trained
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.settings import Settings

DRAWN_SEED = 1000  # of samples, apart from those of training
PLAIN = "sharpened"  # without noise: what the others are compared with


def uncertainty(
    recipe: Recipe, home: Path, masks: tuple[Recipe, Path], data: Rows, unknown: Tensor, s: Settings, seed: int
) -> dict[str, Any]:
    """Scores of a network's predictions with and without noise, on test rows and on rows of no class.

    Args:
        recipe, home: of the network. masks: of one that was trained with permanent dropout.
        unknown: ``[N, *shape]`` rows of another set.
    """
    shape, classes = tuple(data.x.shape[1:]), len(data.classes)
    x_validation, x, other = (rows(recipe, part) for part in (data.x_validation, data.x_test, unknown))
    original = trained(recipe, shape, classes, home / ORIGINAL)
    network = spiking(folded(trained(recipe, shape, classes, home / SPIKING)), x)
    keep, tried = _best_keep(network, x_validation[: s.tuning_rows], data.y_validation[: s.tuning_rows], s)
    factor = _temperature(one_step(network, x_validation)[0], data.y_validation)

    def plain(part: Tensor) -> Predictive:
        return certain(one_step(network, part)[0])

    predicted = {
        "original": (certain(outputs(original, x)), certain(outputs(original, other))),
        PLAIN: (plain(x), plain(other)),
        "scaled": (certain(factor * one_step(network, x)[0]), certain(factor * one_step(network, other)[0])),
    }
    noisy = {
        "blank_out": with_blank_out(network, keep),
        "masks": spiking(folded(trained(masks[0], shape, classes, masks[1] / SPIKING)), x),
    }
    for name, made in noisy.items():
        predicted[name] = _sampled(made, x, s), _sampled(made, other, s)
    judged = {
        name: scored(inside, outside, data.y_test, s.resamples, seed) for name, (inside, outside) in predicted.items()
    }
    return {
        "rows": len(data.y_test),
        "unknown": len(unknown),
        "keep": keep,
        "keeps": tried,
        "temperature": 1 / factor,
        "against": compared(judged, PLAIN, s.resamples, seed),
        "networks": {name: {k: v for k, v in found.items() if k != "log_losses"} for name, found in judged.items()},
    }


def _sampled(network: SpikingNetwork, x: Tensor, s: Settings) -> Predictive:
    return predict(network, x, samples=s.samples, seed=DRAWN_SEED, task=Task.CLASSIFICATION)


def _best_keep(network: SpikingNetwork, x: Tensor, y: Tensor, s: Settings) -> tuple[float, dict[str, float]]:
    """The keep with the least log loss on validation rows, and every loss that was found."""
    tried = {
        keep: float(class_rows(_sampled(with_blank_out(network, keep), x, s).mean, y).log_loss.mean())
        for keep in s.keeps
    }
    return min(tried, key=tried.__getitem__), {f"{keep:.3f}": loss for keep, loss in tried.items()}


def _temperature(logits: Tensor, y: Tensor) -> float:
    """The factor on the logits with the least log loss (temperature scaling: Guo et al. 2017)."""

    def loss(factor: float) -> float:
        return float(torch.nn.functional.cross_entropy(factor * logits, y))

    return float(minimize_scalar(loss, bounds=(0.05, 5.0), method="bounded").x)  # pyright: ignore
