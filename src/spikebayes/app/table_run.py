"""TableRun: a network trained on a table, and what is done with it. The command line's verbs call these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikebayes.app.row_weights import ClassWeights, check_weights_column, read_weights, row_weights
from spikebayes.data.columns import column_names, listed
from spikebayes.data.encoding import encode_features, encode_target, encode_training
from spikebayes.data.inference import infer_schema
from spikebayes.data.kinds import Levels, Number
from spikebayes.data.schema import TableSchema
from spikebayes.data.tables import split_rows
from spikebayes.data.targets import rows_with_target, target_columns
from spikebayes.errors import ConfigError, DataError
from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.machine.memory import check_memory
from spikebayes.machine.numbers import check_count
from spikebayes.machine.versions import versions
from spikebayes.network.codes import Code
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.synapses import Alpha
from spikebayes.nn import SoftLIF
from spikebayes.nn.zoo import check_widths, mlp, s2m, sharpened
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.sampling import SamplingPlan, timing_of
from spikebayes.prediction.task import Task
from spikebayes.training.checks import Noise
from spikebayes.training.ensemble import Ensemble, fit_ensemble
from spikebayes.training.fit import fit
from spikebayes.training.fitted import Fitted

Kind = Literal["lif", "sharpened", "s2m"]
Spiking = SpikingNetwork | tuple[SpikingNetwork, ...]  # of a network, or of each member of an ensemble
DROPOUT = 0.1  # unless given
KEYS = 100  # units from which a sharpened network reads classes
COPIES = 6  # of samples that are in memory at once, while moments and quantiles are taken
KEEP, NOISE = 0.5, 0.3  # of S2M: synapses that transmit, and noise on trained mixtures of inputs
ENCODERS = 300  # these mixtures


@dataclass(frozen=True, eq=False)
class TableRun:
    """A trained network and the table it understands.

    Args:
        fitted: the network, its scaling and residual noise; of an ensemble the first.
        schema: what the table's columns mean.
        architecture: the kind of network, and the sizes and numbers that rebuild the module, see :func:`build`.
        config: settings of the training.
        versions: of the library and of what it stands on, when it was trained.
        ensemble: the networks that predict together, if there are several.
    """

    fitted: Fitted
    schema: TableSchema
    architecture: dict[str, Any]
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    ensemble: Ensemble | None = None

    @property
    def predictor(self) -> Fitted | Ensemble:
        """What predicts."""
        return self.fitted if self.ensemble is None else self.ensemble

    @property
    def members(self) -> tuple[Fitted, ...]:
        """The networks, one or several."""
        return (self.fitted,) if self.ensemble is None else self.ensemble.members

    def network(
        self,
        *,
        dt: float = 1e-3,
        tau: float | None = None,
        code: Code | Literal["lif", "auto"] = "lif",
        headroom: float = 4.0,
        calibrate: pd.DataFrame | None = None,
    ) -> Spiking:
        """The spiking network, or that of each member.

        Args:
            dt: time step, s.
            tau: time constant of the Alpha filters on the connections of LIF neurons, s; unless given what ``fit``
                chose, whose timing the network then has.
            code: of its neurons, see :func:`spikebayes.convert`.
            headroom: by which a code's numbers reach beyond the largest activation on the calibration rows.
            calibrate: rows of a table like the one trained on, which a code needs.

        Raises:
            ConfigError: a setting out of range, or tau for a network without memory or in a code.
        """
        kind = kind_of(self.architecture)
        if code == "lif":
            if tau is not None and kind != "lif":
                raise ConfigError(f"tau is for networks of LIF neurons; a step of the network {kind!r} is a sample")
            return self.predictor.network(dt=dt, synapse="tuned" if tau is None else Alpha(tau))
        if tau is not None:
            raise ConfigError(f"tau is for networks of LIF neurons; {code} has windows of ticks, and no filters")
        if kind != "lif":
            raise ConfigError(f"codes are for activations with real values; those of the network {kind!r} are steps")
        if calibrate is None:
            raise ConfigError("a code needs rows that show how large activations become: give calibrate")
        rows = self.fitted.scaling.inputs(encode_features(calibrate, self.schema))
        coded = [replace(m, calibration=rows).network(dt=dt, code=code, headroom=headroom) for m in self.members]
        return coded[0] if self.ensemble is None else tuple(coded)

    def predict(self, table: pd.DataFrame, *, network: Spiking | None = None, **settings: Any) -> Predictive:
        """Predictive distribution for every line of a table; ``network`` None asks the module itself."""
        return self.predict_inputs(encode_features(table, self.schema), network, **settings)

    def predict_inputs(self, x: Tensor, network: Spiking | None = None, **settings: Any) -> Predictive:
        """The same for encoded rows ``[B, F]``."""
        made = self.predict_encoded(x, network, **settings)
        return replace(made, samples=self.in_units(made.samples))

    def predict_encoded(self, x: Tensor, network: Spiking | None = None, **settings: Any) -> Predictive:
        """The same in units of encoded targets."""
        if self.ensemble is None:
            assert not isinstance(network, tuple)
            return self.fitted.predict(x, network=network, **settings)
        assert not isinstance(network, SpikingNetwork)
        return self.ensemble.predict(x, network=network, **settings)

    def targets(self, table: pd.DataFrame) -> Tensor | None:
        """The table's targets in its own units, or None when it has no such column."""
        known = set(self.schema.targets) <= set(table.columns)
        return self.in_units(encode_target(table, self.schema)) if known else None

    def in_units(self, y: Tensor) -> Tensor:
        """Encoded targets in the table's own units: float64 where float32 could not tell them apart."""
        offsets = [column.offset for column in self.schema.targets.values() if isinstance(column, Number)]
        return y.double() + torch.tensor(offsets, dtype=torch.float64) if any(offsets) else y


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


@dataclass(frozen=True, eq=False)
class TableTask:
    """A table made ready to be learned: everything that can be wrong with it has been looked for.

    Args:
        schema: what its columns mean.
        architecture: of the module, see :func:`build`, but for outputs that tell the noise.
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
    table = table if len(there) == len(table) else table.iloc[there].reset_index(drop=True)
    if weights is None:
        return table
    check_weights_column(table, weights, target)
    counted = read_weights(table, weights) > 0
    if not counted.any():
        raise DataError("every training row has the weight 0: nothing to learn; give some a weight above 0")
    return table if counted.all() else table.iloc[np.flatnonzero(counted)].reset_index(drop=True)


def networks_of(network: Spiking) -> tuple[SpikingNetwork, ...]:
    """One or several."""
    return (network,) if isinstance(network, SpikingNetwork) else network


def share_of(network: Spiking, samples: int, least: int = 1) -> int:
    """How many of the samples a network gives at most: all, or of an ensemble's members each its share.

    Raises:
        ConfigError: fewer than ``least`` for each.
    """
    members = len(networks_of(network))
    check_count("samples", samples, least * members)
    return -(-samples // members)


def kind_of(architecture: dict[str, Any]) -> str:
    """The kind of network; the first runs did not say, since there was one only."""
    return architecture.get("kind", "lif")


def build(architecture: dict[str, Any]) -> nn.Sequential:
    """The untrained module that an architecture describes."""
    numbers = {name: value for name, value in architecture.items() if name not in ("kind", "neuron")}
    match kind_of(architecture):
        case "lif":
            return mlp(**numbers, activation=lambda: SoftLIF(**architecture["neuron"]))
        case "sharpened":
            return sharpened((numbers.pop("inputs"),), numbers.pop("outputs"), **numbers)
        case "s2m":
            return s2m(**numbers)
        case other:
            raise ConfigError(f"there is no network {other!r}")


def train_table(task: TableTask, **training: Any) -> TableRun:
    """Train on a prepared table; ``training`` as for ``training.fit``."""
    outputs = len(task.schema.output_names)
    told = task.schema.task is Task.REGRESSION and task.noise != "constant"  # of each row, behind its means
    wide = task.architecture | {"outputs": 2 * outputs if told else outputs}
    sides: list[tuple[Tensor, ...]] = [(task.x[rows], task.y[rows]) for rows in (task.train, task.held)]
    weights = None
    if task.weights is not None:
        weights = task.weights[task.train]
        if bool(task.weights[task.held].any()):  # else all of them count alike
            sides[1] = (*sides[1], task.weights[task.held])
    training |= {"weights": weights, "task": task.schema.task, "names": task.schema.output_names, "noise": task.noise}
    training |= {"validation": sides[1], "seed": task.seed}
    if task.members > 1:
        ensemble = fit_ensemble(partial(build, wide), *sides[0], members=task.members, **training)
        fitted = ensemble.members[0]
    else:
        with torch.random.fork_rng():
            torch.manual_seed(task.seed)
            model = build(wide)
        ensemble, fitted = None, fit(model, *sides[0], **training)
    architecture = task.architecture | {"outputs": outputs_of(fitted, outputs)}
    return TableRun(fitted, task.schema, architecture, versions=versions(), ensemble=ensemble)


def with_history(run: TableRun, more: Mapping[str, Any]) -> TableRun:
    """With more figures in the history of its training, or of its first network's."""
    fitted = replace(run.fitted, history=run.fitted.history | dict(more))
    if run.ensemble is None:
        return replace(run, fitted=fitted)
    return replace(run, fitted=fitted, ensemble=replace(run.ensemble, members=(fitted, *run.ensemble.members[1:])))


def outputs_of(fitted: Fitted, outputs: int) -> int:
    """Of its module, which may tell the noise of each row beside so many outputs."""
    return 2 * outputs if fitted.noise == "row" else outputs


def compare_table(
    run: TableRun, table: pd.DataFrame, *, network: Spiking | None = None, seed: int = 0, **settings: Any
) -> tuple[Comparison, Spiking]:
    """Judge whether the spiking network keeps the classical predictive distribution on a table's rows.

    Four predictions: classical, classical with another seed (the control), spiking with a third seed, and spiking
    under the first one's masks.

    Args:
        run: what was trained.
        table: rows to predict.
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
    classical = run.predict(table, seed=seed, **settings)
    control = run.predict(table, seed=seed + 1, **settings)
    spiking = run.predict(table, network=network, seed=seed + 2, **settings)
    same = run.predict(table, network=network, seed=seed, **settings)
    verdict = compare(classical, spiking, control=control)
    return Comparison(classical, spiking, verdict, compare(classical, same)), network
