"""What the posterior is for: intervals that hold, pairs to measure next, answers not given, unknown drugs."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.stats import mannwhitneyu
from torch import Tensor

from spikebayes import Predictive, predict
from spikebayes.evaluate import coverage_by_group
from studies.wycoff2019.methods import Bench, Method
from studies.wycoff2019.settings import Settings

COVERAGE, RISK, NEXT = 0.9, 0.2, 10
TOLERANCE = 0.5  # standard deviations of the target: an answer that is further off is wrong
LEVEL = 0.05  # of the test whether a row is unlike those that calibrated


def decisions(bench: Bench, method: Method, s: Settings) -> dict[str, Any]:
    """One of each, by spikes, on test rows; other held-out rows tell the noise, and others again calibrate.

    Returns:
        ``coverage`` in all and by fifths of the predicted std, of calibrated intervals and of samples alone;
        ``next``: the rows whose measurement tells most; ``abstain``; ``outliers``: p-values of test rows, and of rows
        whose second drug has every feature from another drug.
    """
    start, rows, samples = s.learning.validation_rows, s.decided_rows, s.decided_samples
    held = bench.task.split.validation[start : start + 2 * rows]
    test = bench.rows(rows)
    target = bench.task.data.target
    noise = _noise(_in_units(bench, method, held[:rows], samples), target[held[:rows]])
    calibrating = replace(_in_units(bench, method, held[rows:], samples), noise_std=noise)
    known = calibrating.calibrate(target[held[rows:]])
    told = replace(_in_units(bench, method, test, samples), noise_std=noise, conformal=known)
    y = target[test]
    tolerance = TOLERANCE * float(bench.task.scaling.target_std)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that no answer is safe enough: the page says so
        silent = told.abstain(RISK, tolerance=tolerance)
    wrong = (told.mean - y).abs()[:, 0] > tolerance
    low, high = told.model_quantile([(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    fifths = coverage_by_group(told, y, coverage=COVERAGE)
    order = np.argsort(told.std[:, 0].numpy(), kind="stable")
    errors = (told.mean - y)[:, 0].numpy()
    strange = replace(_in_units(bench, method, test, samples, strange=True), noise_std=noise, conformal=known)
    usual, unusual = told.outlier_pvalue.numpy(), strange.outlier_pvalue.numpy()
    return {
        "method": method.describe(),
        "rows": rows,
        "samples": samples,
        "noise_std": float(noise[0]),
        "coverage": {
            "samples alone": float(((low <= y) & (y <= high)).double().mean()),
            "calibrated": float(np.average(fifths["coverage"], weights=fifths["rows"])),
            "fifths": fifths["coverage"].tolist(),
            "width": float(np.average(fifths["width"], weights=fifths["rows"])),
            "rmse": [float(np.sqrt(np.mean(part**2))) for part in np.array_split(errors[order], 5)],
        },
        "next": [_named(bench, told, int(row)) for row in told.acquire(NEXT)],
        "abstain": {
            "tolerance": tolerance,
            "risk": RISK,
            "answered": float((~silent).double().mean()),
            "wrong of those": float(wrong[~silent].double().mean()) if bool((~silent).any()) else None,
            "wrong of all": float(wrong.double().mean()),
        },
        "outliers": {
            "test rows below": float((usual < LEVEL).mean()),
            "strange rows below": float((unusual < LEVEL).mean()),
            "area": float(mannwhitneyu(usual, unusual).statistic / (len(usual) * len(unusual))),
        },
    }


def _noise(made: Predictive, y: Tensor) -> Tensor:
    """``[1]``: the standard deviation that the samples' spread leaves to noise."""
    left = (made.mean - y).square().mean(0) - made.model_std.square().mean(0)
    return left.clamp(min=1e-12).sqrt()


def _in_units(bench: Bench, method: Method, rows: Tensor, samples: int, *, strange: bool = False) -> Predictive:
    """Spiking samples in the target's units; of strange rows the second drug has features of many drugs."""
    inputs = bench.inputs(rows)
    if strange:
        made = torch.Generator().manual_seed(bench.seed)
        drugs = bench.task.tables.drugs
        picked = torch.randint(len(drugs), inputs[2].shape, generator=made)
        inputs = (*inputs[:2], drugs.gather(0, picked))
    budget = {"samples": samples, "seed": bench.seed, "rows": rows, "progress": bench.progress}
    found = predict(bench.network(method), inputs, **budget, **method.sampling())
    return replace(found, samples=bench.task.scaling.outputs(found.samples))


def _named(bench: Bench, told: Predictive, row: int) -> dict[str, Any]:
    data, place = bench.task.data, int((told.draw.rows == row).nonzero()[0])
    cell, one, two = data.index[row].tolist()
    return {
        "cell": data.cell_names[cell],
        "drugs": [data.drug_names[one], data.drug_names[two]],
        "mean": float(told.mean[place, 0]),
        "model_std": float(told.model_std[place, 0]),
        "information": float(told.mutual_information[place]),
    }
