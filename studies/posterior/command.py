"""The study from data to results/posterior.json and its page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from spikebayes import Outcome, compare, fit
from spikebayes.data import Split, load_split, split_rows
from spikebayes.nn import SoftLIF, zoo
from studies.posterior.page import render
from studies.results import provenance, write_page, write_results
from studies.sets import UCI_SETS

METHODS: dict[str, Callable[[], nn.Module]] = {
    "spikebayes": SoftLIF,
    "plain": lambda: SoftLIF(amplitude=0.063, gain=1.0, bias=1.0, tau_ref=0.002),
}


@dataclass(frozen=True)
class Settings:
    """What the study runs.

    Args:
        sets: names of the UCI sets.
        dropout: drop probabilities of the first method; the plain one is run at 0.1.
        hidden: width of each hidden layer.
        optimiser_steps: steps of training, at least 20 and at most 200 epochs.
        test_rows: most rows to predict.
        samples, steps, burn_in: as for ``predict``.
    """

    sets: tuple[str, ...] = UCI_SETS
    dropout: tuple[float, ...] = (0.05, 0.1, 0.5)
    hidden: tuple[int, ...] = (100, 100)
    optimiser_steps: int = 3000
    test_rows: int = 100
    samples: int = 100
    steps: int = 300
    burn_in: int = 200


PUBLISHED = Settings()


@dataclass(frozen=True)
class Figures:
    """What one case gave; spreads and errors in units of the classical predictive standard deviation."""

    set: str
    dropout: float
    method: str
    rows: int
    rate_hz: float
    uniformity_pvalue: float
    control_uniformity_pvalue: float
    rejections: int
    paired_rmse: float
    std_ratio: float
    std_ratio_independent: float
    wasserstein: float
    control_wasserstein: float
    pooled_mean_difference: float
    outcome: str
    control_outcome: str
    paired_outcome: str
    log_likelihood_classical: float
    log_likelihood_spiking: float
    rmse_classical: float
    rmse_spiking: float
    train_seconds: float
    classical_seconds: float
    spiking_seconds: float


def run_posterior(
    data: Path, results: Path, page: Path, *, settings: Settings = PUBLISHED, seed: int = 0, progress: bool = True
) -> dict[str, Any]:
    """Run every case, write the JSON file and the page.

    Args:
        data: folder that holds ``uci_regression/``; missing sets are downloaded into it.
        results: JSON file to write. page: Markdown page to write.
        settings: sets, sizes and budgets.
        seed: of training and of the first of three mask seeds.
        progress: show a progress bar.

    Returns:
        What the JSON file holds.
    """
    splits = {name: load_split(data, name) for name in settings.sets}  # a missing set is reported before any work
    cases = [(name, p, "spikebayes") for name in splits for p in settings.dropout]
    cases += [(name, 0.1, "plain") for name in splits]
    origin = provenance("python -m studies.posterior", seed)  # the code that runs, not what is there when it ends
    started = time.perf_counter()
    bar = track(cases, "cases", console=Console(stderr=True), disable=not progress)
    figures = [run_case(splits[n], p, method, seed, settings) for n, p, method in bar]
    found = {
        **origin,
        "settings": {**asdict(settings), "dt": 1e-3, "synapse": "Alpha(0.02)"},
        "seconds": time.perf_counter() - started,
        "summary": {m: summarise([f for f in figures if f.method == m]) for m in METHODS},
        "cases": [asdict(f) for f in figures],
    }
    write_results(found, results)
    write_page(render(found), page)
    return found


def run_case(split: Split, dropout: float, method: str, seed: int, settings: Settings = PUBLISHED) -> Figures:
    """Train, sample four times, compare."""
    x, y = split.x_train, split.y_train
    train, held = split_rows(len(x), 0.1, seed)
    batch = 64 if len(train) < 5000 else 256
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = zoo.mlp(x.shape[1], 1, settings.hidden, dropout, activation=METHODS[method])
    epochs = min(200, max(20, settings.optimiser_steps * batch // len(train)))
    options: dict[str, Any] = {"epochs": epochs, "batch_size": batch, "seed": seed, "error": None}
    fitted = fit(model, x[train], y[train], validation=(x[held], y[held]), calibration=0.0, **options)

    x_test, y_test = split.x_test[: settings.test_rows], split.y_test[: settings.test_rows]
    network = fitted.network()
    budget: dict[str, Any] = {"samples": settings.samples, "steps": settings.steps, "burn_in": settings.burn_in}
    clock = time.perf_counter()
    classical = fitted.predict(x_test, seed=seed, samples=settings.samples)
    classical_seconds = time.perf_counter() - clock
    control = fitted.predict(x_test, seed=seed + 1, samples=settings.samples)
    clock = time.perf_counter()
    spiking = fitted.predict(x_test, network=network, seed=seed + 2, **budget)
    spiking_seconds = time.perf_counter() - clock
    same = fitted.predict(x_test, network=network, seed=seed, **budget)

    verdict = compare(classical, spiking, control=control)
    paired = compare(classical, same)
    assert verdict.control is not None
    assert paired.paired_rmse is not None
    spikes = sum(spiking.settings["spikes_per_prediction"].values())
    return Figures(
        set=split.name,
        dropout=dropout,
        method=method,
        rows=len(x_test),
        rate_hz=spikes / (network.neurons * (1 - dropout) * settings.steps * network.dt),
        uniformity_pvalue=float(verdict.uniformity_pvalue or 0),
        control_uniformity_pvalue=float(verdict.control.uniformity_pvalue or 0),
        rejections=int(verdict.rejections or 0),
        paired_rmse=float(np.median(paired.paired_rmse)),
        std_ratio=float(np.median(paired.std_ratio)),
        std_ratio_independent=float(np.median(verdict.std_ratio)),
        wasserstein=float(np.median(verdict.wasserstein)),
        control_wasserstein=float(np.median(verdict.control.wasserstein)),
        pooled_mean_difference=verdict.pooled_mean_difference,
        outcome=verdict.outcome.value,
        control_outcome=verdict.control.outcome.value,
        paired_outcome=paired.outcome.value,
        log_likelihood_classical=float(classical.log_likelihood(y_test).mean()),
        log_likelihood_spiking=float(same.log_likelihood(y_test).mean()),
        rmse_classical=float((classical.mean - y_test).pow(2).mean().sqrt()),
        rmse_spiking=float((same.mean - y_test).pow(2).mean().sqrt()),
        train_seconds=fitted.history["seconds"],
        classical_seconds=classical_seconds,
        spiking_seconds=spiking_seconds,
    )


def summarise(figures: list[Figures]) -> dict[str, Any]:
    """Counts, medians and extremes over cases."""
    ratios = [f.std_ratio for f in figures]
    gaps = [abs(f.log_likelihood_spiking - f.log_likelihood_classical) for f in figures]
    return {
        "cases": len(figures),
        **{
            f"{side}{outcome}": sum(getattr(f, f"{side}outcome") == outcome for f in figures)
            for side in ("", "control_", "paired_")
            for outcome in Outcome
        },
        "uniform": sum(f.uniformity_pvalue > 0.01 for f in figures),
        "control_uniform": sum(f.control_uniformity_pvalue > 0.01 for f in figures),
        "paired_rmse_median": float(np.median([f.paired_rmse for f in figures])),
        "paired_rmse_largest": max(f.paired_rmse for f in figures),
        "std_ratio_median": float(np.median(ratios)),
        "std_ratio_smallest": min(ratios),
        "std_ratio_largest": max(ratios),
        "log_likelihood_gap_largest": max(gaps),
        "rate_hz_mean": float(np.mean([f.rate_hz for f in figures])),
    }
