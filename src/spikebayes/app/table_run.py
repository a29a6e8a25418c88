"""TableRun: a network trained on a table: what trains it, and what it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import pandas as pd
import torch
from torch import Tensor, nn

from spikebayes.app.table_task import TableTask
from spikebayes.conversion.calibration import LEAST_ROWS
from spikebayes.data.encoding import encode_features, encode_target
from spikebayes.data.kinds import Number
from spikebayes.data.schema import TableSchema
from spikebayes.errors import ConfigError
from spikebayes.machine.numbers import check_count
from spikebayes.machine.versions import versions
from spikebayes.network.codes import Code
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.synapses import Alpha
from spikebayes.nn import SoftLIF
from spikebayes.nn.zoo import mlp, s2m, sharpened
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task
from spikebayes.training.ensemble import Ensemble, fit_ensemble
from spikebayes.training.fit import fit
from spikebayes.training.fitted import Fitted

Spiking = SpikingNetwork | tuple[SpikingNetwork, ...]  # of a network, or of each member of an ensemble


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
        if len(calibrate) < LEAST_ROWS:
            raise ConfigError(
                f"a code needs {LEAST_ROWS} or more rows that were trained on, to know how large activations become; "
                f"there are {len(calibrate)}: train on a longer table, or take the code lif"
            )
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
