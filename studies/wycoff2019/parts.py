"""Where the difference between a spiking and a classical sample comes from, part by part."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spikebayes import Alpha, Flat, Hann
from spikebayes.nn import SoftLIF
from studies.wycoff2019.methods import Bench, Method, hardened, with_gamma
from studies.wycoff2019.search import averaged, error, trace_of

GAMMAS = (0.1, 0.02, 0.005, 0.001, 0.0002)
BURN_IN = (0, 25, 50, 100, 150, 200)
AVERAGED = (10, 25, 50, 100, 200)
TOTALS = (50, 100, 150, 200, 300, 500, 1000)
SETTLED = 0.3  # share of the longest run after which the start is forgotten


def parts(bench: Bench, rows: int, samples: int, longest: int) -> dict[str, Any]:
    """One table: each part in units of the predictive standard deviation, over steps, synapse, rates and gamma."""
    which = bench.rows(rows)
    classical, control = bench.classical(which, samples), bench.classical(which, samples, shift=1)
    truth = classical.samples[..., 0].double()
    hard = bench.classical(which, samples, net=hardened(bench.net)).samples[..., 0].double()
    spread = truth.std(0)
    methods = [
        Method("Alpha 20 ms"),
        Method("Alpha 5 ms, spikes read out", Alpha(0.005), None),
        Method("Alpha 2 ms, spikes read out", Alpha(0.002), None),
        Method("rates x 1/2, Alpha 5 ms, spikes read out", Alpha(0.005), None, 0.5),
        Method("rates x 2, Alpha 5 ms, spikes read out", Alpha(0.005), None, 2.0),
        Method("rates x 4, Alpha 2 ms, spikes read out", Alpha(0.002), None, 4.0),
    ]
    return {
        "rows": rows,
        "samples": samples,
        "longest": longest,
        "gamma": [_gamma(bench, which, samples, gamma, hard) for gamma in GAMMAS],
        "trained_gamma": next(float(m.gamma) for m in bench.net.modules() if isinstance(m, SoftLIF)),
        "mask_sampling": {
            "measured": float(((control.mean - classical.mean)[:, 0] / spread).pow(2).mean().sqrt()),
            "expected": (2 / samples) ** 0.5,
        },
        "methods": [_line(bench, method, which, samples, longest, truth, hard) for method in methods],
    }


def _gamma(bench: Bench, rows: Tensor, samples: int, gamma: float, hard: Tensor) -> dict[str, float]:
    """The trained weights under a threshold of another width, against the LIF curve itself."""
    soft = bench.classical(rows, samples, net=with_gamma(bench.net, gamma)).samples[..., 0].double()
    return {"gamma": gamma, **error(soft, hard)}


def _line(
    bench: Bench, method: Method, rows: Tensor, samples: int, longest: int, truth: Tensor, hard: Tensor
) -> dict[str, Any]:
    trace, rate = trace_of(bench, method, rows, samples, longest)
    begin, spread = int(SETTLED * longest), truth.std(0)
    settled = averaged(trace, begin, longest, Hann())

    def size(difference: Tensor) -> float:
        return float((difference.pow(2).mean(0).sqrt() / spread).median())

    def off(start: int, steps: int) -> float:
        return size(averaged(trace, start, start + steps, Flat()) - settled)

    return {
        "method": replace(method, steps=longest, burn_in=begin).describe(),
        "name": method.name,
        "spikes_per_neuron_step": rate,
        "curve": size(hard - truth),
        "settled": size(settled - hard),
        "burn_in": {str(b): off(b, 100) for b in BURN_IN if b + 100 <= longest},
        "spike_noise": {str(n): off(begin, n) for n in AVERAGED if begin + n <= longest},
        "total": {
            str(t): error(truth, averaged(trace, 2 * t // 3, t, Flat()))["paired_rmse"]
            for t in TOTALS
            if t <= longest
        },
        "std_ratio": {
            str(t): error(truth, averaged(trace, 2 * t // 3, t, Flat()))["std_ratio"] for t in TOTALS if t <= longest
        },
        "mean": float(torch.median((settled - truth).mean(0).abs() / spread)),
    }
