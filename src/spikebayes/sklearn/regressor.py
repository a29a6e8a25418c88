"""SpikingRegressor: numbers with their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from spikebayes.data.tables import split_rows
from spikebayes.errors import DataError
from spikebayes.machine.numbers import native
from spikebayes.prediction.predictive import default_names
from spikebayes.prediction.task import Task
from spikebayes.sklearn.estimator import VALIDATION, SpikingEstimator, counted, whole


class SpikingRegressor(RegressorMixin, SpikingEstimator):
    """Regression by a spiking network whose dropout is the Bayesian sampler.

    Args:
        hidden: width of each hidden layer; a number is one layer of that width.
        dropout: drop probability after each of them, in (0, 1).
        code: how neurons encode numbers, see :func:`spikebayes.convert`.
        epochs: passes over the training rows.
        samples: Monte Carlo samples of a prediction, of all members together.
        members: number of networks trained from different initial weights, whose samples are pooled.
        coverage: of :meth:`predict_interval`, by default.
        random_state: of everything.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 200)[:, None]
        >>> model = SpikingRegressor(hidden=(50,), epochs=20, random_state=0).fit(x, x[:, 0] ** 2)
        >>> mean, std = model.predict(x, return_std=True)
        >>> mean.shape, bool((std > 0).all())
        ((200,), True)
    """

    task = Task.REGRESSION

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingRegressor:
        """Train, convert and calibrate.

        Args:
            X: ``[B, F]`` finite numbers.
            y: ``[B]`` or ``[B, C]`` targets.
            sample_weight: ``[B]``, how much each row counts, 0 or more; None lets all count alike.

        Raises:
            ConfigError: a setting out of range.
            DataError: a constant target, or numbers that float32 does not hold.
        """
        kinds: dict[str, Any] = {"dtype": np.float64, "y_numeric": True, "multi_output": True}
        with whole(self):
            x, y = validate_data(self, native(X), native(y), **kinds, ensure_min_samples=2)
            x, y, weights = counted(x, y, sample_weight)
            seed = self._seed()
            with np.errstate(over="ignore"):  # of extended precision: what becomes infinite is refused later
                y = np.asarray(y, np.float64)
            _check_varies(y)
            held = np.zeros(len(x), bool)
            held[split_rows(len(x), VALIDATION, seed)[1].numpy()] = True
            self._fit(x, y, weights, held, seed, default_names(y[0].size))
            self._one_ = y.ndim == 1
        return self

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """The mean ``[B]`` (or ``[B, C]``); with ``return_std`` also the standard deviation of a new observation."""
        found = self.predictive(X)
        mean = self._shaped(found.samples.double().mean(0))
        return (mean, self._shaped(found.std)) if return_std else mean

    def predict_interval(self, X: Any, coverage: float | None = None) -> NDArray[np.floating[Any]]:
        """``[B, 2]`` (or ``[B, 2, C]``), an interval that contains a new observation with this probability.

        Calibrated on rows held out of training, where they were enough, see :meth:`spikebayes.Predictive.interval`.

        Args:
            X: ``[B, F]``.
            coverage: in (0, 1); the estimator's own unless given.
        """
        lower, upper = self.predictive(X).interval(self.coverage if coverage is None else coverage)
        return np.stack([self._shaped(lower), self._shaped(upper)], 1)

    def predict_quantiles(self, X: Any, quantiles: Sequence[float] = (0.05, 0.5, 0.95)) -> NDArray[np.floating[Any]]:
        """``[B, Q]`` (or ``[B, Q, C]``), quantiles of a new observation."""
        found = self.predictive(X).quantile(tuple(quantiles))
        return np.moveaxis(self._shaped(found), 0, 1)

    def sample(self, X: Any) -> NDArray[np.floating[Any]]:
        """``[S, B]`` (or ``[S, B, C]``): each sample is one function, evaluated at all rows."""
        return self._shaped(self.predictive(X).samples)

    def _shaped(self, values: torch.Tensor) -> NDArray[np.floating[Any]]:
        return (values[..., 0] if self._one_ else values).double().numpy()


def _check_varies(y: NDArray[np.float64]) -> None:
    """Refuse targets ``[B]`` or ``[B, C]`` of which one is the same on every row."""
    table = y.reshape(len(y), -1)
    same = (table == table[0]).all(0)
    if same.any():
        k = int(same.argmax())
        name, cure = ("the target", "") if table.shape[1] == 1 else (f"column {k} of the targets", "; leave it out")
        raise DataError(f"{name} is constant ({table[0, k]:g} on every row): nothing to learn{cure}")
