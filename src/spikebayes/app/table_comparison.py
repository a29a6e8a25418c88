"""Comparison: whether spikes kept the predictive distribution of a run, on rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from spikebayes.app.table_run import Spiking, TableRun, networks_of
from spikebayes.app.table_task import COPIES
from spikebayes.data.row_numbers import row_places
from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.machine.memory import check_memory
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.sampling import SamplingPlan, timing_of


@dataclass(frozen=True, eq=False)
class Comparison:
    """Classical and spiking predictions of the same rows, judged twice.

    Args:
        classical, spiking: predictions with different seeds.
        verdict: independent samples, with the control beside it.
        paired: the spiking network under the classical prediction's own masks.
    """

    classical: Predictive
    spiking: Predictive
    verdict: Equivalence
    paired: Equivalence

    @property
    def paired_error(self) -> float:
        """Median over rows of the difference under the same masks, in classical standard deviations."""
        assert self.paired.paired_rmse is not None  # both sides have the same seed
        return float(np.median(self.paired.paired_rmse))

    def summary(self) -> str:
        """Both judgements in words."""
        errors = self.paired.paired_rmse
        if errors is not None and np.max(errors) == 0:
            paired = "Under the same masks both give the same judged number in every sample: the rest is chance."
        else:
            middle = f"{self.paired_error:.3f} standard deviations (median over rows)"
            paired = f"Under the same masks the two differ by {middle}."
        return f"{self.verdict.summary()}\n{paired}"


def compare_table(
    run: TableRun, table: pd.DataFrame, *, network: Spiking | None = None, seed: int = 0, **settings: Any
) -> tuple[Comparison, Spiking]:
    """Judge whether the spiking network keeps the classical predictive distribution on a table's rows.

    Four predictions: classical, classical with another seed (the control), spiking with a third seed, and spiking
    under the first one's masks.

    Args:
        run: what was trained.
        table: rows to predict; those that were taken out of a larger one keep their numbers, and their masks.
        network: the spiking network; None takes that of :meth:`TableRun.network`.
        seed: the first of three seeds.
        settings: samples, steps, burn_in, engine, batch_size, progress, as for ``predict``.
    """
    for each in (seed, seed + 2):
        SamplingPlan(settings.get("samples", 100), each, batch_size=settings.get("batch_size"), least=2)
    numbers = 4 * settings.get("samples", 100) * len(table) * run.architecture["outputs"]
    check_memory(COPIES * numbers, "comparing so many samples of so many rows", "take fewer of either")
    network = run.network() if network is None else network
    for each in networks_of(network):
        timing_of(each, settings.get("steps"), settings.get("burn_in"))
    settings["rows"] = torch.from_numpy(row_places(table))
    classical = run.predict(table, seed=seed, **settings)
    control = run.predict(table, seed=seed + 1, **settings)
    spiking = run.predict(table, network=network, seed=seed + 2, **settings)
    same = run.predict(table, network=network, seed=seed, **settings)
    verdict = compare(classical, spiking, control=control)
    return Comparison(classical, spiking, verdict, compare(classical, same)), network
