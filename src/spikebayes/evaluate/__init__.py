"""Judging predictions: against another prediction, against observations, and by what they cost.

Scores and effect sizes take arrays or tensors; ``compare`` puts the tests together, ``sb.energy`` the counts.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.evaluate.bootstrap import Interval, bootstrap
    from spikebayes.evaluate.class_scores import (
        ClassRows,
        brier,
        calibration_error,
        class_rows,
        error_rate,
        excess_risk_coverage_area,
        negative_log_likelihood,
        risk_coverage_area,
        single_sample_error,
    )
    from spikebayes.evaluate.decision import Decision, decide
    from spikebayes.evaluate.effect_sizes import RowEffects, mean_equivalence, row_effects, tost
    from spikebayes.evaluate.energy.classical_counts import ClassicalCounts
    from spikebayes.evaluate.energy.devices import DEVICES, Device, Memory
    from spikebayes.evaluate.energy.energy import Energy
    from spikebayes.evaluate.energy.hardware_limits import CHIPS, HARDWARE, Demand, Latency, Limits, demand, latency
    from spikebayes.evaluate.energy.meter import Meter
    from spikebayes.evaluate.energy.room import Room, Rooms, limits
    from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
    from spikebayes.evaluate.equivalence import Equivalence, compare
    from spikebayes.evaluate.groups import coverage_by_group, risk_coverage_curve
    from spikebayes.evaluate.ks import KsTest, exceedance, exchange_test, holm, ks_test, uniformity
    from spikebayes.evaluate.margins import Margins, Outcome
    from spikebayes.evaluate.row_scores import (
        binned_gap,
        coverage,
        crps,
        excess_risk_area,
        out_of_distribution_auroc,
        r_squared,
        risk_area,
        rmse,
    )
    from spikebayes.evaluate.rules import Finding

__all__ = [
    "CHIPS",
    "DEVICES",
    "HARDWARE",
    "ClassRows",
    "ClassicalCounts",
    "Decision",
    "Demand",
    "Device",
    "Energy",
    "Equivalence",
    "Finding",
    "Interval",
    "KsTest",
    "Latency",
    "Limits",
    "Margins",
    "Memory",
    "Meter",
    "Outcome",
    "Room",
    "Rooms",
    "RowEffects",
    "SpikingCounts",
    "binned_gap",
    "bootstrap",
    "brier",
    "calibration_error",
    "class_rows",
    "compare",
    "count",
    "coverage",
    "coverage_by_group",
    "crps",
    "decide",
    "demand",
    "error_rate",
    "exceedance",
    "excess_risk_area",
    "excess_risk_coverage_area",
    "exchange_test",
    "holm",
    "ks_test",
    "latency",
    "limits",
    "mean_equivalence",
    "negative_log_likelihood",
    "out_of_distribution_auroc",
    "r_squared",
    "risk_area",
    "risk_coverage_area",
    "risk_coverage_curve",
    "rmse",
    "row_effects",
    "single_sample_error",
    "tost",
    "uniformity",
]

import_late(
    __name__,
    {
        "bootstrap": ["Interval", "bootstrap"],
        "class_scores": [
            "ClassRows",
            "brier",
            "calibration_error",
            "class_rows",
            "error_rate",
            "excess_risk_coverage_area",
            "negative_log_likelihood",
            "risk_coverage_area",
            "single_sample_error",
        ],
        "decision": ["Decision", "decide"],
        "effect_sizes": ["RowEffects", "mean_equivalence", "row_effects", "tost"],
        "energy.classical_counts": ["ClassicalCounts"],
        "energy.devices": ["DEVICES", "Device", "Memory"],
        "energy.energy": ["Energy"],
        "energy.hardware_limits": ["CHIPS", "Demand", "HARDWARE", "Latency", "Limits", "demand", "latency"],
        "energy.meter": ["Meter"],
        "energy.room": ["Room", "Rooms", "limits"],
        "energy.spiking_counts": ["SpikingCounts", "count"],
        "equivalence": ["Equivalence", "compare"],
        "groups": ["coverage_by_group", "risk_coverage_curve"],
        "ks": ["KsTest", "exceedance", "exchange_test", "holm", "ks_test", "uniformity"],
        "margins": ["Margins", "Outcome"],
        "row_scores": [
            "binned_gap",
            "coverage",
            "crps",
            "excess_risk_area",
            "out_of_distribution_auroc",
            "r_squared",
            "risk_area",
            "rmse",
        ],
        "rules": ["Finding"],
    },
)
