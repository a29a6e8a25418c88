"""TableTask: a table made ready to be learned, once everything that can be wrong with it has been looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.app.row_weights import ClassWeights, check_weights_column, read_weights, row_weights
from spikebayes.data.columns import column_names, listed
from spikebayes.data.encoding import encode_features, encode_target, encode_training
from spikebayes.data.inference import infer_schema
from spikebayes.data.kinds import Levels, Number
from spikebayes.data.row_numbers import taken
from spikebayes.data.schema import TableSchema
from spikebayes.data.tables import split_rows
from spikebayes.data.targets import rows_with_target, target_columns
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.memory import check_memory
from spikebayes.machine.numbers import check_count
from spikebayes.nn import SoftLIF
from spikebayes.nn.zoo import check_widths
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.task import Task
from spikebayes.training.checks import Noise

Kind = Literal["lif", "sharpened", "s2m"]
DROPOUT = 0.1  # unless given
KEYS = 100  # units from which a sharpened network reads classes
COPIES = 6  # of samples that are in memory at once, while moments and quantiles are taken
KEEP, NOISE = 0.5, 0.3  # of S2M: synapses that transmit, and noise on trained mixtures of inputs
ENCODERS = 300  # these mixtures


@dataclass(frozen=True, eq=False)
class TableTask:
    """What :func:`~spikebayes.app.table_run.train_table` learns.

    Args:
        schema: what its columns mean.
        architecture: of the module, see :func:`~spikebayes.app.table_run.build`, but for outputs that tell the noise.
        x, y: encoded inputs and targets of all rows.
        train, held: row numbers to train on, and those that choose the weights, measure the noise and calibrate.
        seed: of weights, split, batches and masks.
        noise: as for ``training.fit``.
        weights: how much each row counts, or None.
        members: networks to train.
    """

    schema: TableSchema
    architecture: dict[str, Any]
    x: Tensor
    y: Tensor
    train: Tensor
    held: Tensor
    seed: int
    noise: Noise = "auto"
    weights: Tensor | None = None
    members: int = 1


def prepare_table(
    table: pd.DataFrame,
    target: str | Sequence[str],
    *,
    categorical: Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    weights: str | None = None,
    class_weights: ClassWeights | None = None,
    task: Task | None = None,
    network: Kind = "lif",
    hidden: Sequence[int] = (100, 100),
    dropout: float | None = None,
    validation: float = 0.1,
    noise: Noise = "auto",
    members: int = 1,
    seed: int = 0,
    among: Sequence[int] | NDArray[np.int64] | None = None,
) -> TableTask:
    """Read a table for a network whose samples are a posterior.

    Args:
        table: one row per observation; those whose target is missing are left out.
        target: column to predict, or several.
        categorical: columns to encode as one 0/1 input per level.
        columns: kinds of columns by name, see :func:`~spikebayes.data.infer_schema`.
        weights: column of how much each row counts in training; it is no feature.
        class_weights: how much the rows of each class count, by class; ``"balanced"`` lets all classes count alike.
        task: None takes classification for a target that is not numeric, or of few whole numbers.
        network: ``"lif"``: dropout, and SoftLIF units that become LIF neurons; ``"sharpened"``: dropout, and
            activations that become steps; ``"s2m"``: noisy signs of mixtures of inputs, then synapses that blank out.
        hidden: width of each hidden layer.
        dropout: drop probability after each hidden layer, in (0, 1); 0.1 unless given. S2M has none.
        validation: share of the rows held out of training.
        noise: of observations about the network's output (regression). ``"constant"``: one for all rows; ``"row"``:
            the network tells that of each row too; ``"auto"``: what held-out rows are likelier under.
        members: networks to train from different first weights, which predict together.
        seed: of everything.
        among: numbers of the rows that train or are held out, all of which must count; None takes all. What columns
            are is found in all rows.

    Raises:
        DataError: the table cannot be used. ConfigError: a setting is out of range.
    """
    if network not in get_args(Kind):
        raise ConfigError(f"network must be one of {', '.join(get_args(Kind))}; got {network!r}")
    if network == "s2m" and dropout is not None:
        raise ConfigError("s2m is random in its synapses: leave dropout out")
    rate = DROPOUT if dropout is None else dropout
    if not 0 < rate < 1:
        raise ConfigError(f"dropout must lie in (0, 1): without it nothing is random; got {rate}")
    split_seed(seed)
    check_count("members", members, 1)
    table = learnable(table, target, weights=weights, task=task)
    used = torch.arange(len(table)) if among is None else torch.as_tensor(among)
    train, held = (used[rows] for rows in split_rows(len(used), validation, seed))
    kinds = dict(columns or {}) | ({} if weights is None else {weights: "drop"})
    schema = infer_schema(table, target, categorical, task, columns=kinds, rows=train)
    x, y = encode_features(table, schema), encode_target(table, schema)
    x[train] = encode_training(table.iloc[train.numpy()], schema, seed)
    outputs = len(schema.output_names)
    check_widths(x.shape[1], outputs, hidden)
    size = sum(a * b for a, b in pairwise([x.shape[1], *hidden, outputs]))
    check_memory(COPIES * size, "training so wide a network", "take narrower hidden layers")
    # all numbers are stored with the run: defaults may change, what was trained must not
    architecture = {"kind": network, "inputs": x.shape[1], "outputs": outputs, "hidden": list(hidden)}
    match network:
        case "lif":
            architecture |= {"dropout": rate, "neuron": asdict(SoftLIF().neuron)}
        case "sharpened":
            width = KEYS if schema.task is Task.CLASSIFICATION else None
            architecture |= {"dropout": rate, "width": width}
        case "s2m":
            architecture |= {"keep": KEEP, "noise": NOISE, "encoders": ENCODERS}
    counts = row_weights(table, schema, y, train, weights, class_weights)
    return TableTask(schema, architecture, x, y, train, held, seed, noise, counts, members)


def learnable(
    table: pd.DataFrame,
    target: str | Sequence[str],
    *,
    weights: str | None = None,
    task: Task | None = None,
    kinds: Mapping[str, Number | Levels] | None = None,
) -> pd.DataFrame:
    """The rows of a table whose targets are all there, and which count.

    Args:
        table, target: as for :func:`prepare_table`.
        weights: column of how much rows count; where it is 0 they are as if they were not there.
        task, kinds: as for :func:`~spikebayes.data.targets.rows_with_target`.

    Raises:
        DataError: no such column, or fewer than 2 such rows.
    """
    names = target_columns(target, column_names(table))
    there = rows_with_target(table, names, kinds, task)
    if len(table) < 2:
        raise DataError(f"the table has {'one row' if len(table) else 'no rows'}; training needs at least 2")
    if len(there) < 2:
        raise DataError(
            f"{len(there)} of {len(table)} rows have a target ({listed(names)}); training needs at least 2"
        )
    table = table if len(there) == len(table) else taken(table, there)
    if weights is None:
        return table
    check_weights_column(table, weights, target)
    counted = read_weights(table, weights) > 0
    if not counted.any():
        raise DataError("every training row has the weight 0: nothing to learn; give some a weight above 0")
    return table if counted.all() else taken(table, np.flatnonzero(counted))
