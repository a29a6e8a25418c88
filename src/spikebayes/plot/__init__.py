"""Plots: functions that take the library's results and matplotlib Axes to draw on, and return those Axes.

Colours can be told apart with any colour vision, and nothing is said by colour alone.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.plot.judging import effects, frontier, ks_histogram
    from spikebayes.plot.predictions import intervals, predicted, reliability, risk_coverage
    from spikebayes.plot.simulations import raster, trace

__all__ = [
    "effects",
    "frontier",
    "intervals",
    "ks_histogram",
    "predicted",
    "raster",
    "reliability",
    "risk_coverage",
    "trace",
]

import_late(
    __name__,
    {
        "judging": ["effects", "frontier", "ks_histogram"],
        "predictions": ["intervals", "predicted", "reliability", "risk_coverage"],
        "simulations": ["raster", "trace"],
    },
)
