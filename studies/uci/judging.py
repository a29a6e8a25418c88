"""One split of one set: hyperparameters chosen on a part of the training rows, then a network of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import Digits, Predictive, SpikingNetwork, compare, fit
from spikebayes.data import load_split, split_rows
from spikebayes.nn import Permadrop, SoftLIF
from spikebayes.training import Fitted
from studies.uci.settings import Settings

LIF, CODE = "LIF", "digits"
UNITS: dict[str, Callable[[], nn.Module]] = {LIF: SoftLIF, CODE: nn.ReLU}
CODING = Digits(4, 4)
HEADROOM = 4.0
BATCH, MOST, LEAST = 128, 400, 20  # rows; epochs


def judge(name: str, split: int, settings: Settings, data: Path) -> dict[str, Any]:
    """RMSE and log-likelihood on the test rows of a split, classical and by spikes, in the data's units.

    Two networks are trained: one of SoftLIF units, which LIF neurons run, one of ReLUs, which a code runs.

    Returns:
        For each the dropout that was chosen, scores by side, and how far spikes are off under the same masks.
    """
    torch.set_num_threads(1)
    rows = load_split(data, name, split)
    x_test, y_test = rows.x_test[: settings.rows], rows.y_test[: settings.rows]
    found: dict[str, Any] = {"rows": [len(rows.x_train), len(x_test)]}
    for kind in UNITS:
        fitted, choice = chosen(kind, name, rows.x_train, rows.y_train, split, settings)
        budget: dict[str, Any] = {"samples": settings.samples, "seed": split}
        classical = fitted.predict(x_test, **budget)
        spiking = fitted.predict(x_test, network=network(kind, fitted), **budget)
        paired = compare(classical, spiking)
        assert paired.paired_rmse is not None
        found[kind] = {
            "dropout": choice.dropout,
            "learning_rate": choice.learning_rate,
            "noise_std": choice.noise.tolist(),
            "classical": scored(classical, y_test),
            "spiking": scored(spiking, y_test),
            "error": float(torch.as_tensor(paired.paired_rmse).median()),
            "outcome": paired.outcome.value,
            "steps": spiking.settings.get("steps") or spiking.settings["ticks_per_sample"],
        }
    return found


@dataclass(frozen=True, eq=False)
class Choice:
    """What held-out rows chose, and the noise measured on them, in the data's units."""

    dropout: float
    learning_rate: float
    noise: Tensor


def chosen(kind: str, name: str, x: Tensor, y: Tensor, seed: int, settings: Settings) -> tuple[Fitted, Choice]:
    """A network of all training rows, with the choice that makes a held-out part of them likeliest.

    The learning rate is chosen first, at the second drop probability; then the drop probability.
    """
    train, held = split_rows(len(x), settings.held, seed)
    x_held, y_held = x[held], y[held]

    def tried(dropout: float, learning_rate: float) -> tuple[float, Choice]:
        fitted = _fitted(kind, name, (x[train], y[train]), (x_held, y_held), dropout, learning_rate, seed, settings)
        made = fitted.predict(x_held, samples=settings.samples, seed=seed)
        assert fitted.noise_std is not None
        return float(made.log_likelihood(y_held).mean()), Choice(dropout, learning_rate, fitted.noise_std)

    def best(lines: list[tuple[float, Choice]]) -> Choice:
        return max(lines, key=lambda line: line[0])[1]

    middle = settings.dropout[min(1, len(settings.dropout) - 1)]
    rates = [tried(middle, rate) for rate in settings.learning_rates]
    rate = best(rates).learning_rate
    at_middle = [line for line in rates if line[1].learning_rate == rate]
    choice = best(at_middle + [tried(p, rate) for p in settings.dropout if p != middle])
    whole = _fitted(kind, name, (x, y), (x_held, y_held), choice.dropout, rate, seed, settings, error=0.03)
    return replace(whole, noise_std=choice.noise), choice


def network(kind: str, fitted: Fitted) -> SpikingNetwork:
    """The spiking network of a trained one."""
    return fitted.network() if kind == LIF else fitted.network(code=CODING, headroom=HEADROOM)


def scored(made: Predictive, y: Tensor) -> dict[str, float]:
    """RMSE of the mean prediction, and the mean log-likelihood, nats."""
    error = (made.mean - y).double().square().mean().sqrt()
    return {"rmse": float(error), "log_likelihood": float(made.log_likelihood(y).double().mean())}


def _fitted(
    kind: str,
    name: str,
    train: tuple[Tensor, Tensor],
    validation: tuple[Tensor, Tensor],
    dropout: float,
    learning_rate: float,
    seed: int,
    settings: Settings,
    *,
    error: float | None = None,
) -> Fitted:
    width, rows = settings.wide.get(name, settings.hidden), len(train[0])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = nn.Sequential(
            Permadrop(dropout),
            nn.Linear(train[0].shape[1], width),
            UNITS[kind](),
            Permadrop(dropout),
            nn.Linear(width, train[1].shape[1]),
        )
    epochs = min(MOST, max(LEAST, settings.optimiser_steps * BATCH // rows))
    options: dict[str, Any] = {"epochs": epochs, "patience": epochs, "batch_size": BATCH, "seed": seed}
    options |= {"learning_rate": learning_rate}
    return fit(model, *train, validation=validation, calibration=0.0, error=error, **options)
