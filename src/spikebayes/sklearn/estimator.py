"""What both estimators are made of: rows in, a network and its spiking twin, samples out."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from spikebayes.errors import ConfigError
from spikebayes.machine.numbers import native
from spikebayes.network.codes import Code
from spikebayes.network.network import SpikingNetwork
from spikebayes.nn.zoo import mlp
from spikebayes.prediction.predictive import Predictive, Task
from spikebayes.training.ensemble import Ensemble, fit_ensemble

VALIDATION = 0.1  # share of the rows held out of training


class SpikingEstimator(BaseEstimator):
    """A multilayer perceptron with permanent dropout, whose predictions are those of its spiking network.

    A sample is one network, the same for all rows (``mask_scope="pass"``): what a row gets does not depend on its
    place, and :meth:`sample` draws functions.
    """

    task: Task
    ensemble_: Ensemble
    seed_: int
    networks_: tuple[SpikingNetwork, ...]

    def __init__(
        self,
        hidden: Sequence[int] = (100, 100),
        dropout: float = 0.1,
        code: Code | Literal["lif", "auto"] = "lif",
        epochs: int = 200,
        samples: int = 100,
        members: int = 1,
        coverage: float = 0.9,
        random_state: Any = None,
    ) -> None:
        self.hidden = hidden
        self.dropout = dropout
        self.code = code
        self.epochs = epochs
        self.samples = samples
        self.members = members
        self.coverage = coverage
        self.random_state = random_state

    def _fit(self, x: NDArray[Any], y: Tensor, held: NDArray[np.bool_], seed: int, names: tuple[str, ...]) -> None:
        """Train on the rows that are not held out, calibrate on some of those that are, and convert."""
        rows, held_out = torch.from_numpy(x), torch.from_numpy(held)
        outputs = len(names) if self.task is Task.CLASSIFICATION else 2 * len(names)  # the noise of each row, too
        ensemble = fit_ensemble(
            partial(mlp, x.shape[1], outputs, list(self.hidden), dropout=self.dropout),
            rows[~held_out],
            y[~held_out],
            validation=(rows[held_out], y[held_out]),
            members=self._whole("members"),
            seed=seed,
            samples=self._whole("samples"),
            mask_scope="pass",
            task=self.task,
            epochs=self.epochs,
            names=names,
        )
        self.ensemble_, self.seed_ = ensemble, seed
        self.networks_ = ensemble.network(code=self.code)

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _whole(self, name: str) -> int:
        value = getattr(self, name)
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
            raise ConfigError(f"{name} must be a whole number, at least 1; got {value!r}")
        return int(value)

    def predictive(self, X: Any) -> Predictive:
        """Samples and all that is read from them, see :class:`spikebayes.Predictive`."""
        check_is_fitted(self)
        x = torch.from_numpy(np.asarray(validate_data(self, native(X), reset=False, dtype=np.float64), np.float32))
        return self.ensemble_.predict(
            x, network=self.networks_, samples=self._whole("samples"), seed=self.seed_, mask_scope="pass"
        )
