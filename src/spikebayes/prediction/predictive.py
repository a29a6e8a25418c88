"""Predictive: samples of a network's output, and what is read from them.

The samples are kept, never only their moments: quantiles, entropies and tests all come from the same
``[S, B, C]`` tensor, which holds target units for regression and class probabilities for classification.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.extras import needed
from spikebayes.machine.memory import AT_ONCE, row_parts
from spikebayes.machine.notebook import as_html
from spikebayes.machine.numbers import native
from spikebayes.prediction import abstaining, calibrating, labelled, normal_mixture, prediction_file
from spikebayes.prediction.class_sets import class_sets, likely_sets
from spikebayes.prediction.conformal import (
    Conformal,
    check_coverage,
    check_noise,
    outlier_pvalues,
    quantile_interval,
    rounded_outward,
    scaled_interval,
    scaled_quantile,
)
from spikebayes.prediction.draw import Draw
from spikebayes.prediction.noise_std import as_noise_std, noise_over_samples
from spikebayes.prediction.task import Task

__all__ = ["Predictive", "default_names", "open_levels"]

COVERAGE = 0.9  # of intervals and sets, unless another is asked for
NO_LEVELS = "give a probability, as in quantile(0.5), or several; got none"
SHOWN = 10  # rows of a prediction, in a notebook


if TYPE_CHECKING:
    import pandas as pd
    import xarray


@checked
@dataclass(frozen=True, eq=False)
class Predictive:
    """Samples of the predictive distribution and its summaries.

    Args:
        samples: ``[S, B, C]`` float32, or float64 where target units need it (of fewer bits they become float32);
            target units, or class probabilities that sum to 1 over C. Kept without the graph that made them.
        draw: seed and rows of the masks.
        task: regression or classification.
        noise_std: ``[C]``, or ``[B, C]`` where it depends on the row, or one number for all outputs, positive:
            standard deviation of an observation about the network's output (regression), or None when it is not
            known.
        names: one name per output.
        settings: how the samples were made (engine, steps, dt, ...), JSON values only.
        noise_samples: ``[S, B, C]``, the noise's standard deviation as each sample predicts it; then ``noise_std`` is
            its root mean square over samples, and must not be given.
        conformal: calibration on held-out rows, see :meth:`calibrate`.

    Raises:
        DataError: samples that are not ``[S, B, C]`` with S >= 1, not finite, or not probabilities although the task
            is classification; row indices, names, noise or a calibration that do not match them; a noise of classes,
            or two outputs of one name.

    Example:
        >>> p = Predictive(torch.tensor([[[1.0]], [[3.0]]]), Draw(0, "row", torch.arange(1)), noise_std=torch.ones(1))
        >>> p.mean.item(), round(p.model_std.item(), 4), p.noise_std.item(), round(p.std.item(), 4)
        (2.0, 1.4142, 1.0, 1.7321)
    """

    samples: Tensor
    draw: Draw
    task: Task = Task.REGRESSION
    noise_std: Tensor | None = None
    names: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    noise_samples: Tensor | None = None
    conformal: Conformal | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "task", Task(self.task))
        for name in ("samples", "noise_std", "noise_samples"):
            given = getattr(self, name)
            if isinstance(given, Tensor) and (given.requires_grad or not given.is_cpu):
                object.__setattr__(self, name, given.detach().cpu())
        if self.samples.ndim != 3 or 0 in self.samples.shape:
            raise DataError(f"samples must be [S, B, C], none of them 0; got {list(self.samples.shape)}")
        if not self.samples.is_floating_point():
            raise DataError(f"samples must be float32 or float64; got {self.samples.dtype}: give samples.float()")
        if self.samples.dtype not in (torch.float32, torch.float64):  # in which sums are rounded away
            object.__setattr__(self, "samples", self.samples.float())
        if not all(bool(torch.isfinite(part).all()) for part in row_parts(self.samples)):
            bad = int((~torch.isfinite(self.samples)).any(0).any(-1).sum())
            raise DataError(f"samples are NaN or infinite on {bad} of {self.samples.shape[1]} rows")
        if len(self.draw.rows) != self.samples.shape[1]:
            raise DataError(
                f"{self.samples.shape[1]} rows of samples, {len(self.draw.rows)} row indices: give draw one for each"
            )
        outputs = self.samples.shape[2]
        if not self.names:
            object.__setattr__(self, "names", default_names(outputs))
        check_names(self.names, outputs)
        if self.noise_samples is not None:
            over_samples = noise_over_samples(self.noise_samples, self.samples.shape, self.noise_std)
            object.__setattr__(self, "noise_std", over_samples)
        elif self.noise_std is not None:
            object.__setattr__(self, "noise_std", as_noise_std(self.noise_std, self.samples.shape))
        if self.conformal is not None:
            self._check_conformal(self.conformal)
        if self.task is Task.CLASSIFICATION:
            off = max(float((part.sum(-1) - 1).abs().max()) for part in row_parts(self.samples))
            if off > 1e-3 or float(self.samples.min()) < 0:
                raise DataError(f"class probabilities must be 0 or more and sum to 1; a sum is off by {off:.3g}")
            if self.noise_std is not None:
                raise DataError("noise_std is for values, and class probabilities have none: leave it out")

    def __repr__(self) -> str:
        s, b, c = self.samples.shape
        return f"Predictive({self.task}, {s} samples x {b} rows x {c} outputs, seed {self.draw.seed})"

    # -- moments and quantiles of the network's output ---------------------------------------------

    @property
    def mean(self) -> Tensor:
        """``[B, C]``, the mean over samples; for classification the predictive probabilities."""
        return self.samples.mean(0)

    @property
    def model_std(self) -> Tensor:
        """``[B, C]``, the unbiased standard deviation over samples: the model's own uncertainty, without noise."""
        self._need_several()
        return self.samples.std(0)

    @checked
    def model_quantile(self, q: float | Sequence[float]) -> Tensor:
        """Quantiles of the network's output over samples, linear between order statistics.

        Args:
            q: one probability or several.

        Returns:
            ``[B, C]`` for one probability, ``[Q, B, C]`` for several.

        Raises:
            ConfigError: a probability outside [0, 1], or a single sample.
        """
        self._need_several()
        levels = torch.as_tensor(q, dtype=self.samples.dtype)
        if not levels.numel():
            raise ConfigError(NO_LEVELS)
        if not ((levels >= 0) & (levels <= 1)).all():
            raise ConfigError(f"quantiles must lie in [0, 1]; got {q}")
        s, b, c = self.samples.shape
        # torch.quantile refuses more than 16M elements
        parts = self.samples.reshape(s, b * c).split(max(1, AT_ONCE // s), dim=1)
        return torch.cat([torch.quantile(part, levels, dim=0) for part in parts], -1).reshape(*levels.shape, b, c)

    # -- a new observation: output plus noise, calibrated where held-out rows are known ----------------

    @property
    def std(self) -> Tensor:
        """``[B, C]``, of a new observation: sqrt(model_std^2 + noise_std^2), or model_std where no noise is known."""
        spread = self.model_std
        if self.noise_std is None:
            return spread
        squares = spread.double() ** 2 + self._noise_std().double() ** 2  # which float32 may not hold
        return squares.sqrt().to(spread)

    @property
    def lower(self) -> Tensor:
        """``[B, C]``, lower end of :meth:`interval` at coverage 0.9."""
        return self.interval()[0]

    @property
    def upper(self) -> Tensor:
        """``[B, C]``, its upper end."""
        return self.interval()[1]

    @checked
    def interval(self, coverage: float = COVERAGE) -> tuple[Tensor, Tensor]:
        """Interval for a new observation.

        Each output has its own: all of a row's observations lie in theirs together less often. If calibrated, it
        contains the observation at least as often as asked, provided that the row and the calibration rows are
        exchangeable (:mod:`spikebayes.prediction.conformal`). Otherwise it is the central
        interval of the mixture (1/S) sum_s N(y_s, noise_s^2), by bisection to 1e-6 of the noise; where no noise is
        known, that of the samples.

        Returns:
            Two ``[B, C]`` tensors, the lower and the upper end.

        Warns:
            UserWarning: too few calibration rows for the coverage.

        Raises:
            ConfigError: coverage outside (0, 1), or other than the one that quantiles were calibrated at; a
                calibration of predictions that knew a noise, where none is known here, or otherwise; a
                classification.
        """
        self._need_values("an interval", "sets() has classes")
        check_coverage(coverage)
        known = self._of_such_noise()
        if known is not None and known.method == "scaled":
            middles = self.mean, self.mean
            lower, upper = scaled_interval(known, self.mean, self.std, coverage)
        else:
            middles = lower, upper = self.predicted_quantile(((1 - coverage) / 2, (1 + coverage) / 2))
            if known is not None:
                lower, upper = quantile_interval(known, lower, upper, coverage)
        if known is None:
            return lower.to(self.samples), upper.to(self.samples)
        dtype = self.samples.dtype
        return rounded_outward(lower, middles[0], dtype, up=False), rounded_outward(upper, middles[1], dtype)

    @checked
    def quantile(self, q: float | Sequence[float]) -> Tensor:
        """Quantiles of a new observation, calibrated where held-out rows are known; see :meth:`interval`.

        Args:
            q: one probability or several.

        Returns:
            ``[B, C]`` for one probability, ``[Q, B, C]`` for several.
        """
        self._need_values("a quantile", "model_quantile() has those of probabilities")
        known = self._of_such_noise()
        if known is None:
            return self.predicted_quantile(q)
        mean, std = self.mean, self.std
        found = [
            rounded_outward(scaled_quantile(known, mean, std, each), mean, mean.dtype, up=each > 0.5)
            for each in _some_levels(q)
        ]
        return torch.stack(found) if isinstance(q, Sequence) else found[0]

    @checked
    def log_likelihood(self, target: Tensor | np.ndarray) -> Tensor:
        """Log predictive density (nats) of each row's target, averaged over samples in probability.

        Regression: log (1/S) sum_s N(target; y_s, noise_s^2), summed over outputs (Gal & Ghahramani 2016,
        eq. 8). Classification: log of the mean probability of the target class, floored at the smallest
        normal float32.

        Args:
            target: ``[B, C]`` (or ``[B]`` when C = 1) values in target units; ``[B]`` class indices.

        Returns:
            ``[B]`` float64.

        Raises:
            DataError: a target of another shape, not finite, or no class index.
        """
        target = self.observed(target)
        if self.task is Task.CLASSIFICATION:
            chosen = self.mean.double().gather(1, target.long()[:, None])[:, 0]
            return chosen.clamp(min=torch.finfo(torch.float32).tiny).log()
        return normal_mixture.log_density(self.samples, self._noise(), target)

    @checked
    def calibrate(
        self,
        target: Tensor | np.ndarray,
        method: Literal["scaled", "quantile"] = "scaled",
        *,
        coverage: float = COVERAGE,
        penalty: float = 0.0,
        free: int = 1,
    ) -> Conformal:
        """Calibrate predictions by these rows, which must not have been trained on.

        ``replace(other, conformal=...)`` (of dataclasses) applies the result to another prediction; ``fit`` does so
        by itself. For its guarantee, and what exchangeable means, see :mod:`spikebayes.prediction.conformal`.

        Args:
            target: as for :meth:`log_likelihood`.
            method: for regression. ``"scaled"``: residuals in standard deviations of their rows, for any coverage;
                ``"quantile"``: what must be added to predicted quantiles, for one coverage. Classes get adaptive
                sets.
            coverage: of the quantiles.
            penalty, free: of sets: what is added to a class's score for each rank beyond the first ``free`` ones;
                APS if it is 0, else RAPS.

        Raises:
            ConfigError: a setting out of range.
            DataError: a target that does not fit, or a row with a standard deviation of 0.

        Example:
            >>> from dataclasses import replace
            >>> rows = Draw(0, "row", torch.arange(99))
            >>> held_out = Predictive(torch.randn(50, 99, 1), rows, noise_std=torch.ones(1))
            >>> known = held_out.calibrate(torch.randn(99))
            >>> lower, upper = replace(held_out, conformal=known).interval(0.95)
        """
        check_coverage(coverage)
        target = self.observed(target)
        if self.task is Task.CLASSIFICATION:
            return calibrating.on_classes(self, target.long(), penalty, free)
        return calibrating.on_values(self, target, method, coverage)

    # -- class probabilities -------------------------------------------------------------------------

    @property
    def entropy(self) -> Tensor:
        """``[B]``, entropy (nats) of the mean class probabilities: the total uncertainty."""
        self._need_classes("entropy")
        return self._entropy().float()

    @property
    def expected_entropy(self) -> Tensor:
        """``[B]``, mean over samples of each sample's entropy (nats): what no further training removes."""
        self._need_classes("expected_entropy")
        return self._expected_entropy().float()

    @checked
    def sets(self, coverage: float = COVERAGE) -> Tensor:
        """``[B, K]`` bool, for each row a set of classes meant to contain the true one; none is empty.

        If calibrated, it does so at least as often as asked, under the conditions of :meth:`interval`; nothing in it
        is random. Otherwise it is the fewest classes whose probabilities add up to the coverage.
        """
        self._need_classes("a set of classes")
        check_coverage(coverage)
        if self.conformal is None:
            return likely_sets(self.mean, coverage)
        return class_sets(self.conformal, self.mean, coverage)

    # -- decisions -------------------------------------------------------------------------------------

    @property
    def mutual_information(self) -> Tensor:
        """``[B]``, what an observation of the row would tell about the model (nats): how far samples disagree.

        For classes, entropy minus expected entropy; for values, treated as normal, sum_c log(1 + model_var /
        noise_var) / 2 (Houlsby et al. 2011, eq. 2).
        """
        if self.task is Task.CLASSIFICATION:
            return (self._entropy() - self._expected_entropy()).clamp(min=0).float()
        return 0.5 * torch.log1p((self.model_std / self._noise_std()) ** 2).sum(-1)

    @checked
    def acquire(self, n: int) -> Tensor:
        """``[n]`` row indices (``draw.rows``) at which an observation would tell most about the model, best first.

        By :attr:`disagreement`.

        Example:
            >>> Predictive(torch.tensor([[[1.0], [5]], [[1], [6]]]), Draw(0, "row", torch.tensor([7, 9]))).acquire(1)
            tensor([9])
        """
        if not 1 <= n <= self.samples.shape[1]:
            raise ConfigError(f"n must lie in 1..{self.samples.shape[1]}, the number of rows; got {n}")
        order = self.disagreement.argsort(descending=True, stable=True)
        return self.draw.rows[order[:n]]

    @property
    def outlier_pvalue(self) -> Tensor:
        """``[B]``, small where samples disagree more than on the calibration rows; about uniform for rows like those.

        It is based on :attr:`disagreement`, not on the inputs themselves (Bates et al. 2023, eq. 2).
        """
        return outlier_pvalues(self._calibrated(), self.disagreement)

    @checked
    def abstain(self, risk: float = 0.05, *, delta: float = 0.1, tolerance: Tensor | float | None = None) -> Tensor:
        """``[B]`` bool, rows on which to give no answer, so that the share of wrong answers is at most ``risk``.

        With probability 1 - delta over the draw of the calibration rows, the probability that an answer is wrong is
        at most ``risk``, if rows are independent and identically distributed (Geifman & El-Yaniv 2017; for the method
        see :func:`spikebayes.prediction.abstaining.threshold`).

        Args:
            risk: in (0, 1), largest share of wrong answers among those given.
            delta: in (0, 1), probability that the guarantee fails.
            tolerance: for regression, one number or ``[C]``, in its units: an answer is wrong if the observation is
                further from the mean, in any output. None for classes: an answer is wrong if the class is.

        Warns:
            UserWarning: no share of the calibration rows is safe enough, so there is no answer at all.
        """
        return abstaining.abstained(self, self._calibrated(), risk, delta, tolerance)

    # -- tables and files ------------------------------------------------------------------------------

    @checked
    def to_pandas(self, quantiles: Sequence[float] = (), coverage: float = COVERAGE) -> pd.DataFrame:
        """One line per row, see :func:`spikebayes.prediction.columns.columns`.

        Values: mean, model_std, noise_std, std, lower and upper of a new observation, and its quantiles (``q0.05``),
        each preceded by the output's name when there are several. Classes: class, p_<label> of each, entropy,
        mutual_information and set (labels of :meth:`sets`, separated by "|").
        """
        pd = needed("pandas", "to_pandas")  # takes longer to import than many a prediction to make
        from spikebayes.prediction.columns import columns

        return pd.DataFrame(
            columns(self, tuple(quantiles), coverage), index=pd.Index(self.draw.rows.numpy(), name="row")
        )

    def to_xarray(self) -> xarray.DataTree:
        """The samples as ArviZ 1.x reads them: group ``posterior``, dimensions chain (one), draw (S), row and output.

        ``prediction`` is the network's own output, without observation noise; ``noise_std`` is added where each
        sample predicts the noise. Classifications have ``probability``, with a dimension ``class``. Needs
        ``[xarray]``.
        """
        return labelled.as_datatree(self)

    def _repr_html_(self) -> str:
        """For notebooks: the first rows of :meth:`to_pandas`."""
        s, b, c = self.samples.shape
        few = min(b, SHOWN)
        first = replace(self, samples=self.samples[:, :few], draw=replace(self.draw, rows=self.draw.rows[:few]))
        if self.noise_samples is not None:
            first = replace(first, noise_std=None, noise_samples=self.noise_samples[:, :few])
        elif self.noise_std is not None and self.noise_std.ndim == 2:
            first = replace(first, noise_std=self.noise_std[:few])
        heading = f"{self.task.value}: {s} samples x {b} rows x {c} outputs"
        more = f" (the first {few} rows)" if few < b else ""
        try:
            table = first.to_pandas().to_html()
        except ConfigError:  # without pandas there are no more than means
            means = [(int(row), *(f"{v:.6g}" for v in m)) for row, m in zip(first.draw.rows, first.mean, strict=True)]
            return as_html(heading + more, [("row", *self.names), *means])
        return as_html(heading + more, after=table)

    @checked
    def save(self, path: str | Path) -> None:
        """Write one safetensors file, settings and a checksum of all in its header; whole or not at all."""
        prediction_file.write(self, Path(path))

    @classmethod
    @checked
    def load(cls, path: str | Path) -> Predictive:
        """Read what :meth:`save` wrote.

        Raises:
            StoreError: the file is missing, damaged, edited, or not a prediction of this library.
        """
        return prediction_file.read(cls, Path(path))

    # -- checks ------------------------------------------------------------------------------------------

    def _need_classes(self, what: str) -> None:
        if self.task is not Task.CLASSIFICATION:
            raise ConfigError(f"{what} is for class probabilities; this prediction is a regression")

    def _need_values(self, what: str, cure: str) -> None:
        if self.task is Task.CLASSIFICATION:
            raise ConfigError(f"{what} of a new observation is for regression; {cure}")

    def _entropy(self) -> Tensor:
        """``[B]`` float64 throughout, so that what is a difference of two of them is told."""
        return torch.special.entr(self.samples.mean(0, dtype=torch.float64)).sum(-1)

    def _expected_entropy(self) -> Tensor:
        """``[B]`` float64."""
        return torch.special.entr(self.samples.double()).sum(-1).mean(0)

    def _of_such_noise(self) -> Conformal | None:
        """The calibration, refused where it knew a noise and this does not, or otherwise.

        Only where it is used: who replaces parts of a prediction may give it before the noise.
        """
        if self.conformal is not None and self.task is not Task.CLASSIFICATION:
            check_noise(self.conformal, known=self.noise_std is not None)
        return self.conformal

    def _calibrated(self) -> Conformal:
        known = self._of_such_noise()
        if known is None:
            raise ConfigError(
                "this needs calibration rows: replace(prediction, conformal=held_out.calibrate(y)), or a run that "
                "fit made"
            )
        return known

    def _noise_std(self) -> Tensor:
        """``[C]`` or ``[B, C]``."""
        if self.task is Task.CLASSIFICATION:
            raise ConfigError("observation noise is for regression; this prediction holds class probabilities")
        if self.noise_std is None:
            raise ConfigError("no noise is known: pass noise_std to predict, or use a run made by fit")
        return self.noise_std

    def _noise(self) -> Tensor:
        """``[S, B, C]`` where each sample tells its own, else :meth:`_noise_std`."""
        return self._noise_std() if self.noise_samples is None else self.noise_samples

    @checked
    def predicted_quantile(self, q: float | Sequence[float]) -> Tensor:
        """Quantiles of a new observation by samples and noise, uncalibrated: ``[B, C]``, or ``[Q, B, C]``."""
        if self.noise_std is None:
            return self.model_quantile(q)
        found = [
            normal_mixture.quantile(self.samples, self._noise(), each).to(self.samples) for each in _some_levels(q)
        ]
        return torch.stack(found) if isinstance(q, Sequence) else found[0]

    @property
    def disagreement(self) -> Tensor:
        """``[B]``, a score of how unlike the training rows a row is: how far samples disagree.

        :attr:`mutual_information`, or where no noise is known ``model_std``, summed over outputs.
        """
        known = self.task is Task.CLASSIFICATION or self.noise_std is not None
        return (self.mutual_information if known else self.model_std.sum(-1)).double()

    def _need_several(self) -> None:
        """Refuse a single sample, which shows no spread: a standard deviation of 0, or an interval of no width."""
        if len(self.samples) < 2:
            raise ConfigError("a spread needs at least 2 samples; this prediction has 1")

    def _check_conformal(self, conformal: Conformal) -> None:
        classes = self.task is Task.CLASSIFICATION
        outputs = 1 if classes else self.samples.shape[2]
        if (conformal.method == "sets") is not classes or conformal.scores.shape[1] != outputs:
            raise DataError(
                f"the calibration {conformal!r} of {conformal.scores.shape[1]} outputs does not fit {self!r}"
            )

    @checked
    def observed(self, target: Tensor | np.ndarray) -> Tensor:
        """The target in float64, ``[B, C]`` values or ``[B]`` class indices; refused if it does not fit."""
        target = torch.as_tensor(native(target)).detach().to("cpu", torch.float64)
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


def check_names(names: tuple[str, ...], outputs: int) -> None:
    """Refuse names that are not one for each output, and all different (DataError)."""
    if len(names) != outputs:
        raise DataError(f"{outputs} outputs, {len(names)} names: {', '.join(names)}; give one for each")
    if len(set(names)) != outputs:
        raise DataError(f"names must differ from one another, since a table has a column each; got {names}")


def default_names(outputs: int) -> tuple[str, ...]:
    """Of outputs that were given none.

    Example:
        >>> default_names(1), default_names(2)
        (('y',), ('y0', 'y1'))
    """
    return tuple(f"y{i}" for i in range(outputs)) if outputs > 1 else ("y",)


def open_levels(q: float | Sequence[float]) -> list[float]:
    """Probabilities of quantiles that are finite (else ConfigError)."""
    levels = [float(each) for each in (q if isinstance(q, Sequence) else (q,))]
    if not all(0 < each < 1 for each in levels):
        raise ConfigError(f"quantiles of a new observation must lie in (0, 1); got {q}")
    return levels


def _some_levels(q: float | Sequence[float]) -> list[float]:
    """The same, and at least one."""
    levels = open_levels(q)
    if not levels:
        raise ConfigError(NO_LEVELS)
    return levels
