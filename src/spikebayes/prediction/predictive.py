"""Predictive: samples of a network's output, and what is read from them.

The samples are kept, never only their moments: quantiles, entropies and tests all come from the same
``[S, B, C]`` tensor, which holds target units for regression and class probabilities for classification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError, StoreError
from spikebayes.machine.arguments import checked
from spikebayes.machine.checked_files import read_sealed, write_sealed
from spikebayes.machine.choices import unknown
from spikebayes.machine.fields import check_fields
from spikebayes.machine.kinds import Indices
from spikebayes.machine.memory import AT_ONCE, row_parts
from spikebayes.prediction import normal_mixture


@checked
@dataclass(frozen=True, eq=False)
class Draw:
    """Which masks made the samples: two predictions with equal draws are paired, sample by sample.

    Args:
        seed: key of the generator.
        scope: ``"row"`` (each observation its own masks) or ``"pass"`` (one mask per sample for all).
        rows: ``[B]`` int64, the observations' indices in the whole data set.
    """

    seed: int
    scope: str
    rows: Indices

    def same_masks(self, other: Draw) -> bool:
        """Whether sample s of observation b met the same masks in both predictions."""
        if self.seed != other.seed or self.scope != other.scope:
            return False
        return torch.equal(self.rows, other.rows)


if TYPE_CHECKING:
    import pandas as pd

FORMAT = "spikebayes.prediction.predictive.v2"
UNSEALED = "spikebayes.prediction.predictive.v1"  # of files from before there was a checksum
HEADER = "predictive"


class Task(StrEnum):
    """What the read-out means: real-valued targets, or one logit per class."""

    REGRESSION = "regression"
    CLASSIFICATION = "classification"

    @classmethod
    def _missing_(cls, value: object) -> Task:
        raise ConfigError(unknown("task", value, cls))


@checked
@dataclass(frozen=True, eq=False)
class Predictive:
    """Samples of the predictive distribution and its summaries.

    Args:
        samples: ``[S, B, C]`` float32, or float64 where target units need it; target units, or class probabilities
            that sum to 1 over C.
        draw: seed and rows of the masks.
        task: regression or classification.
        noise_std: ``[C]``, or one number for all outputs, positive: standard deviation of an observation about the
            network's output (regression; estimated on validation rows), or None when it is not known.
        names: one name per output.
        settings: how the samples were made (engine, steps, dt, ...), JSON values only.

    Raises:
        DataError: samples that are not ``[S, B, C]`` with S >= 1, not finite, or no probabilities although
            the task is classification; row indices, names or ``noise_std`` that do not match them.

    Example:
        >>> p = Predictive(torch.tensor([[[1.0]], [[3.0]]]), Draw(0, "row", torch.arange(1)))
        >>> p.mean.item(), round(p.std.item(), 4)
        (2.0, 1.4142)
    """

    samples: Tensor
    draw: Draw
    task: Task = Task.REGRESSION
    noise_std: Tensor | None = None
    names: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", Task(self.task))
        if self.samples.ndim != 3 or 0 in self.samples.shape:
            raise DataError(f"samples must be [S, B, C], none of them 0; got {list(self.samples.shape)}")
        if not all(bool(torch.isfinite(part).all()) for part in row_parts(self.samples)):
            bad = int((~torch.isfinite(self.samples)).any(0).any(-1).sum())
            raise DataError(f"samples are NaN or infinite on {bad} of {self.samples.shape[1]} rows")
        if len(self.draw.rows) != self.samples.shape[1]:
            raise DataError(f"{self.samples.shape[1]} rows of samples, {len(self.draw.rows)} row indices")
        outputs = self.samples.shape[2]
        if not self.names:
            object.__setattr__(self, "names", tuple(f"y{i}" for i in range(outputs)) if outputs > 1 else ("y",))
        if len(self.names) != outputs:
            raise DataError(f"{outputs} outputs, {len(self.names)} names: {', '.join(self.names)}")
        if self.noise_std is not None:
            object.__setattr__(self, "noise_std", as_noise_std(self.noise_std, outputs))
        if self.task is Task.CLASSIFICATION:
            off = max(float((part.sum(-1) - 1).abs().max()) for part in row_parts(self.samples))
            if off > 1e-3 or float(self.samples.min()) < 0:
                raise DataError(f"class probabilities must be 0 or more and sum to 1; a sum is off by {off:.3g}")

    def __repr__(self) -> str:
        s, b, c = self.samples.shape
        return f"Predictive({self.task}, {s} samples x {b} rows x {c} outputs, seed {self.draw.seed})"

    # -- moments and quantiles of the network's output ---------------------------------------------

    @property
    def mean(self) -> Tensor:
        """``[B, C]``, the mean over samples; for classification the predictive probabilities."""
        return self.samples.mean(0)

    @property
    def var(self) -> Tensor:
        """``[B, C]``, the unbiased variance over samples (S - 1 in the denominator)."""
        self._need_two()
        return self.samples.var(0)

    @property
    def std(self) -> Tensor:
        """``[B, C]``, the root of :attr:`var`: the model's own uncertainty, without observation noise."""
        return self.var.sqrt()

    @checked
    def quantile(self, q: float | Sequence[float]) -> Tensor:
        """Quantiles of the network's output over samples, linear between order statistics.

        Args:
            q: one probability or several.

        Returns:
            ``[B, C]`` for one probability, ``[Q, B, C]`` for several.
        """
        levels = torch.as_tensor(q, dtype=self.samples.dtype)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise ConfigError(f"quantiles must lie in [0, 1]; got {q}")
        s, b, c = self.samples.shape
        # torch.quantile refuses more than 16M elements
        # torch.quantile refuses more than 16M elements
        parts = self.samples.reshape(s, b * c).split(max(1, AT_ONCE // s), dim=1)
        return torch.cat([torch.quantile(part, levels, dim=0) for part in parts], -1).reshape(*levels.shape, b, c)

    @checked
    def interval(self, level: float) -> tuple[Tensor, Tensor]:
        """Central interval of the network's output (not of a new observation): two ``[B, C]`` tensors."""
        lower, upper = self.quantile(_tails(level))
        return lower, upper

    # -- a new observation: output plus residual noise ----------------------------------------------

    @property
    def observation_std(self) -> Tensor:
        """``[B, C]``, standard deviation of a new observation: sqrt(var + noise_std^2)."""
        return (self.var + self._noise() ** 2).sqrt()

    @checked
    def observation_interval(self, level: float) -> tuple[Tensor, Tensor]:
        """Central interval for a new observation: quantiles of the mixture (1/S) sum_s N(y_s, noise_std^2).

        Found by bisection, to 1e-6 of ``noise_std``.

        Returns:
            Two ``[B, C]`` tensors, the lower and the upper end.
        """
        noise = self._noise()
        lower, upper = (normal_mixture.quantile(self.samples, noise, q).to(self.samples) for q in _tails(level))
        return lower, upper

    @checked
    def log_likelihood(self, target: Tensor) -> Tensor:
        """Log predictive density (nats) of each row's target, averaged over samples in probability.

        Regression: log (1/S) sum_s N(target; y_s, noise_std^2), summed over outputs (Gal & Ghahramani 2016,
        eq. 8). Classification: log of the mean probability of the target class, floored at the smallest
        normal float32.

        Args:
            target: ``[B, C]`` (or ``[B]`` when C = 1) values in target units; ``[B]`` class indices.

        Returns:
            ``[B]`` float64.

        Raises:
            DataError: a target of another shape, not finite, or no class index.
        """
        target = self._target(target)
        if self.task is Task.CLASSIFICATION:
            chosen = self.mean.double().gather(1, target.long()[:, None])[:, 0]
            return chosen.clamp(min=torch.finfo(torch.float32).tiny).log()
        return normal_mixture.log_density(self.samples, self._noise(), target)

    # -- class probabilities -------------------------------------------------------------------------

    @property
    def entropy(self) -> Tensor:
        """``[B]``, entropy (nats) of the mean class probabilities: the total uncertainty."""
        self._need_classes("entropy")
        return torch.special.entr(self.mean.double()).sum(-1).float()

    @property
    def expected_entropy(self) -> Tensor:
        """``[B]``, mean over samples of each sample's entropy (nats): what no further training removes."""
        self._need_classes("expected_entropy")
        return torch.special.entr(self.samples.double()).sum(-1).mean(0).float()

    @property
    def mutual_information(self) -> Tensor:
        """``[B]``, entropy minus expected entropy (nats): what masks disagree on (Houlsby et al. 2011)."""
        return (self.entropy - self.expected_entropy).clamp(min=0)

    # -- tables and files ------------------------------------------------------------------------------

    @checked
    def to_pandas(self, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> pd.DataFrame:
        """One line per row: mean, std and quantiles; for classes also label, entropy and mutual information.

        Columns are prefixed with the output's name when there are several outputs. A known ``noise_std`` adds
        ``observation_std``.
        """
        import pandas as pd  # takes longer to import than many a prediction to make

        table: dict[str, Any] = {}
        mean, one = self.mean, len(self.samples) == 1
        std = torch.full_like(mean, math.nan) if one else self.std
        if self.task is Task.CLASSIFICATION:
            best = mean.argmax(-1)
            table["predicted"] = [self.names[i] for i in best.tolist()]
            table["entropy"] = self.entropy.numpy()
            table["mutual_information"] = self.mutual_information.numpy()
        levels = self.quantile(tuple(quantiles))
        around = None if self.noise_std is None else std if one else self.observation_std
        for c, name in enumerate(self.names):
            prefix = f"{name}." if len(self.names) > 1 else ""
            table[f"{prefix}mean"] = mean[:, c].numpy()
            table[f"{prefix}std"] = std[:, c].numpy()
            for q, values in zip(quantiles, levels, strict=True):
                table[f"{prefix}q{q:g}"] = values[:, c].numpy()
            if around is not None:
                table[f"{prefix}observation_std"] = around[:, c].numpy()
        return pd.DataFrame(table, index=pd.Index(self.draw.rows.numpy(), name="row"))

    @checked
    def save(self, path: str | Path) -> None:
        """Write one safetensors file, settings and a checksum of all in its header; whole or not at all."""
        tensors = {"samples": self.samples, "rows": self.draw.rows}
        if self.noise_std is not None:
            tensors["noise_std"] = self.noise_std
        header = {
            "seed": self.draw.seed,
            "scope": self.draw.scope,
            "task": self.task.value,
            "names": list(self.names),
            "settings": self.settings,
        }
        write_sealed(Path(path), HEADER, header, tensors, FORMAT)

    @classmethod
    @checked
    def load(cls, path: str | Path) -> Predictive:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: the file is missing, torn, edited, or no prediction of this library.
        """
        header, tensors = read_sealed(Path(path), HEADER, FORMAT, UNSEALED)
        try:
            draw = {"seed": header["seed"], "scope": header["scope"], "rows": tensors["rows"]}
            check_fields(Draw, draw)
            parts = {name: header[name] for name in ("task", "names", "settings")}
            parts |= {"samples": tensors["samples"], "noise_std": tensors.get("noise_std")}
            check_fields(cls, parts)
            return cls(
                **parts | {"draw": Draw(**draw), "task": Task(header["task"]), "names": tuple(header["names"])}
            )
        except (KeyError, TypeError, ConfigError, DataError, StoreError) as error:
            raise StoreError(f"{path} holds no whole prediction, or was edited: {error}") from error

    # -- checks ------------------------------------------------------------------------------------------

    def _need_two(self) -> None:
        if len(self.samples) < 2:
            raise ConfigError("a spread needs at least 2 samples; this prediction has 1")

    def _need_classes(self, what: str) -> None:
        if self.task is not Task.CLASSIFICATION:
            raise ConfigError(f"{what} is for class probabilities; this prediction is a regression")

    def _noise(self) -> Tensor:
        if self.task is Task.CLASSIFICATION:
            raise ConfigError("observation noise is for regression; this prediction holds class probabilities")
        if self.noise_std is None:
            raise ConfigError("no residual noise is known: pass noise_std to predict, or use a run made by fit")
        return self.noise_std

    def _target(self, target: Tensor) -> Tensor:
        """The target in float64, ``[B, C]`` values or ``[B]`` class indices; refuses what does not fit."""
        target = torch.as_tensor(target).double()
        _, rows, outputs = self.samples.shape
        classes = self.task is Task.CLASSIFICATION
        if not classes and outputs == 1 and target.ndim == 1:
            target = target[:, None]
        expected = (rows,) if classes else (rows, outputs)
        if target.shape != expected:
            raise DataError(f"target must be {list(expected)}; got {list(target.shape)}")
        if not target.isfinite().all():
            raise DataError("target is NaN or infinite")
        if classes and not ((target >= 0) & (target < outputs) & (target == target.floor())).all():
            low, high = float(target.min()), float(target.max())
            raise DataError(f"class indices must be whole, in 0..{outputs - 1}; got {low:g} to {high:g}")
        return target


def as_noise_std(given: Any, outputs: int) -> Tensor:
    """``[C]`` float32 out of a tensor, an array, a list or one number for all outputs (else DataError)."""
    try:
        noise = torch.as_tensor(given, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"noise_std must be a number, or one for each output: {error}") from error
    noise = noise.expand(outputs) if noise.ndim == 0 else noise
    if noise.shape != (outputs,) or not ((noise > 0) & noise.isfinite()).all():
        raise DataError(f"noise_std must be [{outputs}], positive and finite; got {noise.tolist()}")
    return noise


def _tails(level: float) -> tuple[float, float]:
    if not 0 < level < 1:
        raise ConfigError(f"an interval's level must lie in (0, 1); got {level}")
    return (1 - level) / 2, (1 + level) / 2
