"""What a network's codes are measured by: errors under the same masks, verdicts, spikes, ticks, joules, time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import Predictive, SpikingNetwork, Task, compare, convert, energy, predict
from studies.codes.settings import Coding, Settings

FACTORS = (2.0, 4.0)  # by which inputs are multiplied, to see what saturates
REPEATS = 3  # of each timing

Rows = Tensor | Sequence[Tensor]


def measure(
    model: nn.Module,
    coding: Coding | None,
    rows: Rows,
    calibrate: Rows,
    settings: Settings,
    seed: int,
    *,
    samples: int,
    task: Task = Task.REGRESSION,
    scaled: bool = False,
    timed: bool = False,
    network: SpikingNetwork | None = None,
) -> dict[str, Any]:
    """The figures of a model under a code.

    Args:
        model: trained.
        coding: the code; None for the free-running network that is given.
        rows: to judge on. calibrate: training rows.
        settings: budgets. seed: of the first of three masks.
        samples: S.
        task: regression or classification.
        scaled: judge on rows times ``FACTORS`` too.
        timed: measure the time beside that of the classical passes.
        network: of LIF neurons, without a code.
    """
    if network is None:
        assert coding is not None
        network = convert(model, _list(calibrate), code=coding.code, headroom=coding.headroom)
    budget: dict[str, Any] = {"samples": samples, "task": task}
    classical, spiking = (predict(m, rows, seed=seed, **budget) for m in (model, network))
    other, control = (predict(model, rows, seed=seed + k, **budget) for k in (1, 2))
    paired, verdict = compare(classical, spiking), compare(other, spiking, control=control)
    found = {
        "code": "LIF" if coding is None else coding.name,
        "error": paired_error(classical, spiking),
        "std_ratio": _ratio(classical, spiking),
        "paired_outcome": paired.outcome.value,
        "outcome": verdict.outcome.value,
        "spikes": sum(spiking.settings["spikes_per_prediction"].values()) / network.neurons,
        "ticks": spiking.settings.get("ticks_per_sample", spiking.settings.get("steps")),
        "saturated": max(spiking.settings.get("saturated", {"": 0.0}).values()),
        "energy": _joules(network, rows, settings),
    }
    for factor in FACTORS if scaled else ():
        assert isinstance(rows, Tensor)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of saturation, which is what is looked at
            pair = [predict(m, factor * rows, seed=seed, **budget) for m in (model, network)]
        found[f"error_x{factor:g}"] = paired_error(*pair)
        found[f"std_ratio_x{factor:g}"] = _ratio(*pair)
    if timed:
        found["time"] = _time(model, network, rows, budget)
    return found


def _list(rows: Rows) -> Any:
    return rows if isinstance(rows, Tensor) else list(rows)


def paired_error(classical: Predictive, spiking: Predictive) -> float:
    """Median over rows of the rms difference under the same masks over the predictive standard deviation."""
    spread, difference = classical.samples.std(0), spiking.samples - classical.samples
    known = spread > 1e-6
    return float((difference.square().mean(0).sqrt()[known] / spread[known]).median())


def _ratio(classical: Predictive, spiking: Predictive) -> float:
    """Median over rows of the ratio of the spreads."""
    a, b = classical.samples.std(0), spiking.samples.std(0)
    known = a > 1e-6
    return float((b[known] / a[known]).median()) if bool(known.any()) else float("nan")


def _joules(network: SpikingNetwork, rows: Rows, settings: Settings) -> dict[str, float]:
    """On Loihi, over the dense classical passes there; and over those of a GPU."""
    few = rows[: settings.energy_rows] if isinstance(rows, Tensor) else [r[: settings.energy_rows] for r in rows]
    table = {line["device"]: line for line in energy(network, few, samples=settings.energy_samples).table()}
    chip, gpu = table["Loihi"], table["GPU"]
    dense = chip["classical_j"]
    return {
        "all": chip["spiking_j"] / dense,
        "awake": chip["spiking_awake_j"] / dense,
        "events": chip["spiking_events_j"] / dense,
        "classical_without_zeros": chip["classical_sparse_j"] / dense,
        "gpu": gpu["classical_j"] / chip["spiking_j"],
    }


def _time(model: nn.Module, network: SpikingNetwork, rows: Rows, budget: dict[str, Any]) -> dict[str, float]:
    """Processor seconds of predicting the rows, the least of some; on one thread, so that a busy machine tells."""
    threads, spent = torch.get_num_threads(), {"classical": [], "spiking": []}
    torch.set_num_threads(1)
    try:
        for _ in range(REPEATS):
            for name, m in (("classical", model), ("spiking", network)):
                started = time.process_time()
                predict(m, rows, **budget)
                spent[name].append(time.process_time() - started)
    finally:
        torch.set_num_threads(threads)
    least = {name: min(times) for name, times in spent.items()}
    return least | {"ratio": least["spiking"] / least["classical"]}
