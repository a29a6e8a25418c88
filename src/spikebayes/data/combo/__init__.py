"""Pairs of drugs on cell lines: NCI-ALMANAC's scores, the original Combo task, splits that hold drugs out, scaling.

``load_almanac`` or ``load_benchmark`` gives a :class:`ComboData`, ``split_pairs`` says which rows train, and
``ComboScaling.learn(data, split.train).apply(data)`` the tables that a network takes.

Reference: Wycoff et al., Neuromorphic Acceleration for Approximate Bayesian Inference on Neural Networks via
Permanent Dropout, ICONS 2019.
"""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late

if TYPE_CHECKING:
    from spikebayes.data.combo.almanac import load_almanac
    from spikebayes.data.combo.benchmark import load_benchmark
    from spikebayes.data.combo.pairs import ComboData
    from spikebayes.data.combo.scaling import ComboScaling, ComboTables, TableScaling
    from spikebayes.data.combo.splits import PairSplit, SplitBy, split_pairs

__all__ = [
    "ComboData",
    "ComboScaling",
    "ComboTables",
    "PairSplit",
    "SplitBy",
    "TableScaling",
    "load_almanac",
    "load_benchmark",
    "split_pairs",
]

import_late(
    __name__,
    {
        "almanac": ["load_almanac"],
        "benchmark": ["load_benchmark"],
        "pairs": ["ComboData"],
        "scaling": ["ComboScaling", "ComboTables", "TableScaling"],
        "splits": ["PairSplit", "SplitBy", "split_pairs"],
    },
)
