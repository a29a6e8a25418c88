"""Judging predictions: against another prediction, against the truth, and by what they cost.

Scores and effect sizes take arrays or tensors; ``compare`` puts the tests together, ``sb.energy`` the counts.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.evaluate.bootstrap import Interval, bootstrap
    from spikebayes.evaluate.effect_sizes import mean_equivalence, pooled_equivalence, tost
    from spikebayes.evaluate.energy.classical_counts import ClassicalCounts
    from spikebayes.evaluate.energy.devices import DEVICES, Device, Memory
    from spikebayes.evaluate.energy.energy import Energy
    from spikebayes.evaluate.energy.hardware_limits import HARDWARE, Demand, Limits, demand
    from spikebayes.evaluate.energy.meter import Meter
    from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
    from spikebayes.evaluate.equivalence import Equivalence, compare
    from spikebayes.evaluate.ks import KsTest, exceedance, holm, ks_test, uniformity
    from spikebayes.evaluate.scores import (
        ClassRows,
        binned_gap,
        brier,
        calibration_error,
        class_rows,
        coverage,
        crps,
        error_rate,
        excess_risk_area,
        excess_risk_coverage_area,
        negative_log_likelihood,
        out_of_distribution_auroc,
        r_squared,
        risk_area,
        risk_coverage_area,
        rmse,
        single_sample_error,
    )

__all__ = [
    "DEVICES",
    "HARDWARE",
    "ClassRows",
    "ClassicalCounts",
    "Demand",
    "Device",
    "Energy",
    "Equivalence",
    "Interval",
    "KsTest",
    "Limits",
    "Memory",
    "Meter",
    "SpikingCounts",
    "binned_gap",
    "bootstrap",
    "brier",
    "calibration_error",
    "class_rows",
    "compare",
    "count",
    "coverage",
    "crps",
    "demand",
    "error_rate",
    "exceedance",
    "excess_risk_area",
    "excess_risk_coverage_area",
    "holm",
    "ks_test",
    "mean_equivalence",
    "negative_log_likelihood",
    "out_of_distribution_auroc",
    "pooled_equivalence",
    "r_squared",
    "risk_area",
    "risk_coverage_area",
    "rmse",
    "single_sample_error",
    "tost",
    "uniformity",
]

import_late(
    __name__,
    {
        "bootstrap": ["Interval", "bootstrap"],
        "effect_sizes": ["mean_equivalence", "pooled_equivalence", "tost"],
        "energy.classical_counts": ["ClassicalCounts"],
        "energy.devices": ["DEVICES", "Device", "Memory"],
        "energy.energy": ["Energy"],
        "energy.hardware_limits": ["Demand", "HARDWARE", "Limits", "demand"],
        "energy.meter": ["Meter"],
        "energy.spiking_counts": ["SpikingCounts", "count"],
        "equivalence": ["Equivalence", "compare"],
        "ks": ["KsTest", "exceedance", "holm", "ks_test", "uniformity"],
        "scores": [
            "ClassRows",
            "binned_gap",
            "brier",
            "calibration_error",
            "class_rows",
            "coverage",
            "crps",
            "error_rate",
            "excess_risk_area",
            "excess_risk_coverage_area",
            "negative_log_likelihood",
            "out_of_distribution_auroc",
            "r_squared",
            "risk_area",
            "risk_coverage_area",
            "rmse",
            "single_sample_error",
        ],
    },
)
