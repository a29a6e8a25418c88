"""The paper's checks, and the larger one that its footnote doubts: is the spiking distribution the classical one?"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from spikebayes import Equivalence, Predictive, compare, simulate
from spikebayes.evaluate import mean_equivalence
from studies.wycoff2019.methods import Bench, Method, as_list, row_steps

PAIRED_RMSE, STD_RATIO, R2_GAP, UNIFORMITY = 0.10, (0.97, 1.03), 0.005, 0.01  # what counts as kept
EQUIVALENT, EQUIVALENCE_MARGIN = 0.95, 0.1  # share of rows, and standard deviations


def output_trace(bench: Bench, method: Method, steps: int) -> dict[str, Any]:
    """Figure 3: the read-out of the first row, step by step, beside the network's output under the same mask."""
    rows = bench.rows(1)
    network = bench.network(method)
    run = simulate(network, bench.inputs(rows), seed=bench.seed, steps=steps, rows=rows, probe=["trace"])
    assert run.trace is not None
    classical = bench.classical(rows, 2).samples[0, 0, 0]
    outputs = bench.task.scaling.outputs
    return {
        "row": int(rows[0]),
        "trace": as_list(outputs(run.trace[0, 0, :, 0])),
        "classical": float(outputs(classical)),
        "burn_in": method.burn_in,
        "method": method.describe(),
    }


def protocol(bench: Bench, method: Method, rows: int, samples: int, *, keep_worst: bool = False) -> dict[str, Any]:
    """KS tests under independent masks beside a control, errors under the same masks, accuracy of the averages."""
    which = bench.rows(rows)
    classical, control = bench.classical(which, samples), bench.classical(which, samples, shift=1)
    started = time.perf_counter()
    spiking = bench.spiking(method, which, samples, shift=2)
    seconds = time.perf_counter() - started
    same = bench.spiking(method, which, samples)
    verdict, pairs = compare(classical, spiking, control=control), compare(classical, same)
    assert verdict.control is not None
    assert pairs.paired_rmse is not None
    r2 = {"classical": bench.r2(which, classical), "spiking": bench.r2(which, same)}
    found: dict[str, Any] = {
        "rows": rows,
        "samples": samples,
        "method": method.describe(),
        "seconds": seconds,
        "row_steps_per_second": row_steps(method, spiking) / seconds,
        "spikes_per_prediction": sum(spiking.settings["spikes_per_prediction"].values()),
        "paired_rmse": float(np.median(pairs.paired_rmse)),
        "paired_rmse_by_row": as_list(pairs.paired_rmse),
        "std_ratio": float(np.median(pairs.std_ratio)),
        "std_ratio_by_row": as_list(pairs.std_ratio),
        "paired_equivalent_share": _equivalent_share(classical, same, paired=True),
        "paired_outcome": pairs.outcome.value,
        "paired_mean_difference_largest": float(np.abs(pairs.mean_difference).max()),
        "r2": r2,
        "spiking": _judged(verdict, _equivalent_share(classical, spiking, paired=False)),
        "control": _judged(verdict.control, _equivalent_share(classical, control, paired=False)),
    }
    found["kept"] = {
        "uniform": found["spiking"]["uniformity_pvalue"] > UNIFORMITY,
        "paired_rmse": found["paired_rmse"] <= PAIRED_RMSE,
        "std_ratio": STD_RATIO[0] <= found["std_ratio"] <= STD_RATIO[1],
        "r2": abs(r2["spiking"] - r2["classical"]) <= R2_GAP,
    }
    if keep_worst:
        assert verdict.ks_pvalues is not None
        assert verdict.ks_statistic is not None
        worst = int(np.argmax(verdict.ks_statistic))
        outputs = bench.task.scaling.outputs
        found["worst"] = {
            "row": int(which[worst]),
            "statistic": float(verdict.ks_statistic[worst]),
            "pvalue": float(verdict.ks_pvalues[worst]),
            "classical": as_list(outputs(classical.samples[:, worst, 0])),
            "spiking": as_list(outputs(spiking.samples[:, worst, 0])),
        }
    return found


def _equivalent_share(classical: Predictive, other: Predictive, *, paired: bool) -> float:
    """Share of rows on which two one-sided tests find the mean within the margin."""
    a, b = (side.samples[..., 0].double().numpy() for side in (classical, other))  # [S, B]
    return float((mean_equivalence(a, b, EQUIVALENCE_MARGIN * a.std(0, ddof=1), paired=paired) < 0.05).mean())


def _judged(verdict: Equivalence, equivalent_share: float) -> dict[str, Any]:
    assert verdict.ks_pvalues is not None
    assert verdict.ks_pvalues_randomised is not None
    uniformity = verdict.uniformity_pvalue
    return {
        "uniformity_pvalue": float("nan") if uniformity is None else uniformity,
        "ks_pvalues": as_list(verdict.ks_pvalues),
        "ks_pvalues_randomised": as_list(verdict.ks_pvalues_randomised),
        "rejections": verdict.rejections,
        "mean_difference": as_list(verdict.mean_difference),
        "std_ratio": as_list(verdict.std_ratio),
        "wasserstein": float(np.median(verdict.wasserstein)),
        "equivalent_share": equivalent_share,
        "pooled_mean_difference": verdict.pooled_mean_difference,
        "outcome": verdict.outcome.value,
    }
