"""TableScores: how good both networks of a run are on a table whose targets are known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from spikebayes.app.table_run import Spiking, TableRun
from spikebayes.app.table_task import COPIES
from spikebayes.data.columns import column_names
from spikebayes.data.encoding import outside_training
from spikebayes.data.row_numbers import row_places, taken
from spikebayes.data.targets import rows_with_target
from spikebayes.errors import DataError
from spikebayes.evaluate.groups import coverage_by_group
from spikebayes.evaluate.scores import scores
from spikebayes.machine.aligned import aligned
from spikebayes.machine.choices import near
from spikebayes.machine.memory import check_memory
from spikebayes.prediction.conformal import check_coverage
from spikebayes.prediction.predictive import COVERAGE
from spikebayes.prediction.sampling import SamplingPlan

NAMES = ("classical", "spiking")


@dataclass(frozen=True, eq=False)
class TableScores:
    """Scores of the classical and of the spiking network on the same rows.

    Args:
        rows: how many were scored.
        outside: how many of them lie outside what the run was trained on.
        coverage: that intervals and sets were asked for.
        scores: by network, then by name.
        groups: by network, coverage by fifths of the predicted std (of classes, the entropy).
    """

    rows: int
    outside: int
    coverage: float
    scores: dict[str, dict[str, float]]
    groups: dict[str, pd.DataFrame]

    def __str__(self) -> str:
        names = list(self.scores[NAMES[0]])
        lines = [["", *NAMES], *([name, *(f"{self.scores[n][name]:.4g}" for n in NAMES)] for name in names)]
        first, second = (self.groups[name] for name in NAMES)
        classes = "output" not in first
        what = "size of sets" if classes else "width"
        head = ["fifth", "rows", *(f"{part}, {name}" for part in ("coverage", what) for name in NAMES)]
        table = [head if classes or len(set(first["output"])) == 1 else ["output", *head]]
        for (_, one), (_, other) in zip(first.iterrows(), second.iterrows(), strict=True):
            cells = [f"{one['group']:.0f}", f"{one['rows']:.0f}"]
            cells += [f"{each[part]:.4g}" for part in ("coverage", "width") for each in (one, other)]
            table.append(cells if len(table[0]) == len(head) else [str(one["output"]), *cells])
        by = "entropy" if classes else "predicted std"
        held = f"what {100 * self.coverage:g}% {'sets' if classes else 'intervals'} hold, by {by}, most certain first"
        return "\n".join([*aligned(lines), "", held, *aligned(table)])

    def to_dict(self) -> dict[str, Any]:
        """JSON values; what is not defined on these rows is null."""
        finite = {
            network: {name: value if math.isfinite(value) else None for name, value in found.items()}
            for network, found in self.scores.items()
        }
        groups = {network: found.to_dict("records") for network, found in self.groups.items()}
        return {
            "rows": self.rows,
            "outside": self.outside,
            "coverage": self.coverage,
            "scores": finite,
            "coverage_by_group": groups,
        }


def with_targets(run: TableRun, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table whose targets are known.

    Raises:
        DataError: the table has no target, or none on any row.
    """
    names = column_names(table)
    for target in run.schema.targets:
        if target not in names:
            raise DataError(
                f"the table has no target column {target!r}{near(target, names)}: scores compare predictions with "
                "what was observed; give rows with it, or ask predict, which needs none"
            )
    there = rows_with_target(table, [*run.schema.targets], run.schema.targets)
    if not len(there):
        raise DataError(f"the target is missing on all {len(table)} rows: there is nothing to score against")
    return table if len(there) == len(table) else taken(table, there)


def with_targets_if_any(run: TableRun, table: pd.DataFrame) -> pd.DataFrame:
    """The same; but a table without targets as it is, and one whose targets are all missing without their columns."""
    targets = [*run.schema.targets]
    if not set(targets) <= set(column_names(table)):
        return table
    if len(table) and not len(rows_with_target(table, targets, run.schema.targets)):
        return table.drop(columns=targets)
    return with_targets(run, table)


def score_table(
    run: TableRun,
    table: pd.DataFrame,
    *,
    network: Spiking,
    coverage: float = COVERAGE,
    samples: int = 100,
    seed: int = 0,
    **settings: Any,
) -> TableScores:
    """Score both networks under the same masks.

    Args:
        run: what was trained.
        table: rows with targets, see :func:`with_targets`; their masks are those of their places in the whole table.
        network: the spiking network, or that of each member.
        coverage: of intervals and sets.
        samples, seed: of both predictions.
        settings: as for ``predict``.

    Raises:
        DataError: rows that cannot be used. ConfigError: a setting out of range.
    """
    check_coverage(coverage)
    SamplingPlan(samples, seed, least=2)
    numbers = 2 * samples * len(table) * run.architecture["outputs"]
    check_memory(COPIES * numbers, "so many samples of so many rows", "take fewer of either")
    y = run.targets(table)
    assert y is not None
    rows = torch.from_numpy(row_places(table))
    made = {
        name: run.predict(table, network=each, samples=samples, seed=seed, rows=rows, **settings)
        for name, each in zip(NAMES, (None, network), strict=True)
    }
    found = {name: scores(side, y, coverage) for name, side in made.items()}
    groups = {name: coverage_by_group(side, y, coverage=coverage) for name, side in made.items()}
    outside = sum(map(bool, outside_training(table, run.schema)))
    return TableScores(len(table), outside, coverage, found, groups)
