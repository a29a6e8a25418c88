"""SpikingClassifier: classes with their uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from spikebayes.data.tables import split_rows
from spikebayes.machine.numbers import native
from spikebayes.prediction.task import Task
from spikebayes.sklearn.estimator import VALIDATION, SpikingEstimator, counted, whole


class SpikingClassifier(ClassifierMixin, SpikingEstimator):
    """Classification by a spiking network whose dropout is the Bayesian sampler.

    Args:
        hidden: width of each hidden layer; a number is one layer of that width.
        dropout: drop probability after each of them, in (0, 1).
        code: how neurons encode numbers, see :func:`spikebayes.convert`.
        epochs: passes over the training rows.
        samples: Monte Carlo samples of a prediction, of all members together.
        members: number of networks trained from different initial weights, whose samples are pooled.
        coverage: of :meth:`predict_set`, by default.
        random_state: of everything.

    Example:
        >>> import numpy as np
        >>> x = np.linspace(-1, 1, 200)[:, None]
        >>> model = SpikingClassifier(hidden=(50,), epochs=20, random_state=0).fit(x, np.where(x[:, 0] > 0, "b", "a"))
        >>> model.predict([[-0.9], [0.9]]).tolist()
        ['a', 'b']
    """

    task = Task.CLASSIFICATION
    classes_: NDArray[Any]

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> SpikingClassifier:
        """Train, convert and calibrate.

        Args:
            X: ``[B, F]`` finite numbers.
            y: ``[B]`` labels, of at least two classes.
            sample_weight: ``[B]``, how much each row counts, 0 or more; None lets all count alike.

        Raises:
            ConfigError: a setting out of range.
            DataError: numbers that float32 does not hold.
        """
        with whole(self):
            x, y = validate_data(self, native(X), native(y), dtype=np.float64, ensure_min_samples=2)
            check_classification_targets(y)
            x, y, weights = counted(x, y, sample_weight)
            self.classes_, indices = np.unique(y, return_inverse=True)
            if len(self.classes_) < 2:
                raise ValueError(f"a classifier needs at least 2 classes; got 1 class, {self.classes_[0]!r}")
            seed = self._seed()
            names = tuple(map(str, self.classes_))
            self._fit(x, indices, weights, _held(indices, seed), seed, names)
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """``[B]``, the most probable label."""
        best = self.predict_proba(X).argmax(1)
        return self.classes_[best]

    def predict_proba(self, X: Any) -> NDArray[np.floating[Any]]:
        """``[B, C]``, mean probabilities over samples, in the order of ``classes_``."""
        mean = self.predictive(X).samples.double().mean(0).numpy()
        return mean / mean.sum(1, keepdims=True)

    def predict_set(self, X: Any, coverage: float | None = None) -> NDArray[np.bool_]:
        """``[B, C]``, which classes are in a set that contains the true one this often, in the order of ``classes_``.

        Calibrated on rows held out of training, where they were enough, see :meth:`spikebayes.Predictive.sets`.

        Args:
            X: ``[B, F]``.
            coverage: in (0, 1); the estimator's own unless given.
        """
        return self.predictive(X).sets(self.coverage if coverage is None else coverage).numpy()

    def sample(self, X: Any) -> NDArray[np.floating[Any]]:
        """``[S, B, C]`` class probabilities: each sample is one network, asked for all rows."""
        return self.predictive(X).samples.double().numpy()


def _held(indices: NDArray[np.int64], seed: int) -> NDArray[np.bool_]:
    """Which rows are held out of training: of each class its share, where it has rows enough."""
    held = np.zeros(len(indices), bool)
    size, classes = max(1, round(VALIDATION * len(indices))), len(np.bincount(indices))
    if size >= classes and np.bincount(indices).min() >= 2:
        chosen = train_test_split(np.arange(len(held)), test_size=size, random_state=seed, stratify=indices)[1]
    else:
        chosen = split_rows(len(held), VALIDATION, seed)[1].numpy()
    held[chosen] = True
    return held
