"""TableRun: a network trained on a table, and what is done with it. The command line's verbs call these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from spikebayes.data.schema import TableSchema
from spikebayes.data.tables import encode_features, encode_target, infer_schema, split_rows
from spikebayes.errors import ConfigError
from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.network.network import SpikingNetwork
from spikebayes.predictive import Predictive, Task
from spikebayes.synapses import Alpha
from spikebayes.training.fit import fit
from spikebayes.training.fitted import Fitted
from spikebayes.zoo import mlp


@dataclass(frozen=True, eq=False)
class TableRun:
    """A trained network and the table it understands.

    Args:
        fitted: the network, its scaling and residual noise.
        schema: what the table's columns mean.
        architecture: arguments of ``zoo.mlp`` that rebuild the module.
        config: settings of the training.
        versions: of the library and of what it stands on, when it was trained.
    """

    fitted: Fitted
    schema: TableSchema
    architecture: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def network(self, *, dt: float = 1e-3, tau: float = 0.02) -> SpikingNetwork:
        """The spiking network, Alpha filters of time constant tau (s) on its connections."""
        return self.fitted.network(dt=dt, synapse=Alpha(tau))

    def predict(self, table: pd.DataFrame, *, network: SpikingNetwork | None = None, **settings: Any) -> Predictive:
        """Predictive distribution for every line of a table; ``network`` None asks the module itself."""
        return self.fitted.predict(encode_features(table, self.schema), network=network, **settings)

    def targets(self, table: pd.DataFrame) -> Tensor | None:
        """The table's targets, or None when it has no such column."""
        return encode_target(table, self.schema) if self.schema.target in table.columns else None


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


def fit_table(
    table: pd.DataFrame,
    target: str,
    *,
    categorical: Sequence[str] = (),
    task: Task | None = None,
    hidden: Sequence[int] = (100, 100),
    dropout: float = 0.1,
    validation: float = 0.1,
    seed: int = 0,
    **training: Any,
) -> TableRun:
    """Train a permanent-dropout network on a table.

    Args:
        table: one row per observation.
        target: column to predict.
        categorical: columns to encode as one 0/1 input per level.
        task: None takes classification for a target that is not numeric.
        hidden: width of each hidden layer.
        dropout: drop probability after each hidden layer, in (0, 1).
        validation: share of the rows that choose the weights and measure the residual noise.
        seed: of weights, split, batches and masks.
        training: the rest, as for ``training.fit``.

    Raises:
        DataError: the table cannot be used; ConfigError: a setting out of range.
    """
    if not 0 < dropout < 1:
        raise ConfigError(f"dropout must lie in (0, 1): without it nothing is random; got {dropout}")
    schema = infer_schema(table, target, categorical, task)
    x, y = encode_features(table, schema), encode_target(table, schema)
    train, held = split_rows(len(x), validation, seed)
    architecture = {
        "inputs": x.shape[1],
        "outputs": len(schema.classes) or 1,
        "hidden": list(hidden),
        "dropout": dropout,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = mlp(**architecture)
    names = schema.classes or (schema.target,)
    fitted = fit(
        model,
        x[train],
        y[train],
        validation=(x[held], y[held]),
        task=schema.task,
        seed=seed,
        names=tuple(names),
        **training,
    )
    return TableRun(fitted, schema, architecture)


def compare_table(
    run: TableRun, table: pd.DataFrame, *, seed: int = 0, dt: float = 1e-3, tau: float = 0.02, **settings: Any
) -> tuple[Comparison, SpikingNetwork]:
    """Judge whether the spiking network keeps the classical predictive distribution on a table's rows.

    Four predictions: classical, classical with another seed (the control), spiking with a third seed, and spiking
    under the first one's masks.

    Args:
        run: what was trained.
        table: rows to predict.
        seed: the first of three seeds.
        dt, tau: time step and synapse of the spiking network, s.
        settings: samples, steps, burn_in, engine, batch_size, progress, as for ``predict``.
    """
    network = run.network(dt=dt, tau=tau)
    classical = run.predict(table, seed=seed, **settings)
    control = run.predict(table, seed=seed + 1, **settings)
    spiking = run.predict(table, network=network, seed=seed + 2, **settings)
    same = run.predict(table, network=network, seed=seed, **settings)
    verdict = compare(classical, spiking, control=control)
    return Comparison(classical, spiking, verdict, compare(classical, same)), network


def is_run(folder: Path) -> bool:
    """Whether a folder holds a finished run."""
    return (folder / "run.json").exists()
