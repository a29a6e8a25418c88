"""What both estimators are made of: rows in, a network and its spiking twin, samples out."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from spikebayes.errors import ConfigError
from spikebayes.machine.kinds import shown
from spikebayes.machine.numbers import check_count, is_whole, native
from spikebayes.network.codes import Code
from spikebayes.network.network import SpikingNetwork
from spikebayes.nn.zoo import mlp
from spikebayes.prediction.conformal import check_coverage
from spikebayes.prediction.predictive import Predictive
from spikebayes.prediction.task import Task
from spikebayes.sklearn.offsets import as_float32, column_offsets
from spikebayes.training.ensemble import Ensemble, fit_ensemble

VALIDATION = 0.1  # share of the rows held out of training

Counted = tuple[NDArray[Any], NDArray[Any], NDArray[np.float64] | None]  # rows, their targets, how much they count


def counted(x: Any, y: Any, sample_weight: Any) -> Counted:
    """The rows that count, and how much each does: those of weight 0 are as if they were not there.

    Args:
        x: ``[B, F]``. y: ``[B]`` or ``[B, C]``.
        sample_weight: ``[B]`` numbers, 0 or more; None lets all rows count alike.

    Raises:
        ValueError: weights of another shape, below 0, not finite, or with fewer than 2 above 0.

    Example:
        >>> counted(np.arange(6).reshape(3, 2), np.array([0, 1, 0]), [1, 0, 2])
        (array([[0, 1],
               [4, 5]]), array([0, 0]), array([1., 2.]))
    """
    if sample_weight is None:
        return x, y, None
    weights = check_array(native(sample_weight), ensure_2d=False, dtype="float64", input_name="sample_weight")
    if weights.shape != (len(x),):
        raise ValueError(f"sample_weight must be one number per row, [{len(x)}]; got {list(weights.shape)}")
    if (weights < 0).any():
        raise ValueError(f"sample_weight must be 0 or more; the least is {weights.min():g}")
    if (more := weights > 0).sum() < 2:
        raise ValueError(f"training needs at least 2 rows of a weight above zero; got {more.sum()}")
    return x[more], y[more], weights[more]


@contextmanager
def whole(estimator: BaseEstimator) -> Iterator[None]:
    """A fit that leaves the estimator as it was where it ends by an error, or by Ctrl-C.

    Columns and classes are noted before anything is learned: the networks of the fit before would be given the
    columns of this one, and their answers its classes.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class SpikingEstimator(BaseEstimator):
    """A multilayer perceptron with permanent dropout, whose predictions are those of its spiking network.

    A sample is one network, the same for all rows (``mask_scope="pass"``): what a row gets does not depend on its
    place, and :meth:`sample` draws functions.

    The networks see float32, which could not tell apart numbers far from 0, such as seconds since 1970. From columns
    whose mean is more than a thousand times their spread that mean is taken first, in float64: it is in ``x_offset_``
    ``[F]`` and ``y_offset_`` ``[C]`` (0 for other columns; None for classes). ``ensemble_`` and ``networks_`` have
    numbers less these. A fit that ends by an error leaves what the one before has learned.
    """

    task: Task
    ensemble_: Ensemble
    seed_: int
    x_offset_: NDArray[np.float64]
    y_offset_: NDArray[np.float64] | None
    networks_: tuple[SpikingNetwork, ...]

    def __init__(
        self,
        hidden: int | Sequence[int] = (100, 100),
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

    def _fit(
        self,
        x: Any,
        y: NDArray[Any],
        weights: NDArray[np.float64] | None,
        held: NDArray[np.bool_],
        seed: int,
        names: tuple[str, ...],
    ) -> None:
        """Train on the rows that are not held out, calibrate on some of those that are, and convert.

        Args:
            x: ``[B, F]`` float64.
            y: ``[B]`` class indices; ``[B]`` or ``[B, C]`` float64 targets.
            weights: ``[B]``, how much each row counts, above 0; None lets all count alike.
            held: ``[B]``, which rows are held out.
            seed: of weights, batches and masks.
            names: of the classes or targets.
        """
        self._check_settings()
        classes = self.task is Task.CLASSIFICATION
        x_offset, y_offset = column_offsets(x[~held]), None
        rows = torch.from_numpy(as_float32(x, x_offset, "X", self._columns()))
        if not classes:
            y_offset = column_offsets(y[~held].reshape(-1, len(names)))
            y = as_float32(y, y_offset, "y")
        held_out = torch.from_numpy(held)
        parts = [rows, torch.from_numpy(y), *([] if weights is None else [torch.from_numpy(weights)])]
        learned, others = ([part[side] for part in parts] for side in (~held_out, held_out))
        outputs = len(names) if classes else 2 * len(names)  # the noise of each row, too
        ensemble = fit_ensemble(
            partial(mlp, x.shape[1], outputs, self._widths(), dropout=self.dropout),
            learned[0],
            learned[1],
            validation=tuple(others),
            weights=None if weights is None else learned[2],
            members=self._whole("members"),
            seed=seed,
            samples=self._whole("samples"),
            mask_scope="pass",
            task=self.task,
            epochs=self.epochs,
            names=names,
        )
        networks = ensemble.network(code=self.code)
        self.ensemble_, self.networks_, self.seed_ = ensemble, networks, seed
        self.x_offset_, self.y_offset_ = x_offset, y_offset

    def _check_settings(self) -> None:
        """Refuse what else would fail when the training is done, or later (ConfigError)."""
        if not (isinstance(self.code, Code) or (isinstance(self.code, str) and self.code in ("lif", "auto"))):
            raise ConfigError(f"code must be 'lif', 'auto' or a code, as Digits(4, 4); got {shown(self.code)}")
        if not isinstance(self.dropout, numbers.Real) or not 0 < self.dropout < 1:
            raise ConfigError(f"dropout must lie in (0, 1): without it nothing is random; got {shown(self.dropout)}")
        if not isinstance(self.coverage, numbers.Real):
            raise ConfigError(f"coverage must be a number in (0, 1); got {shown(self.coverage)}")
        check_coverage(float(self.coverage))

    def _seed(self) -> int:
        return int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))

    def _whole(self, name: str) -> int:
        value = getattr(self, name)
        check_count(name, value, 1)
        return int(value)

    def _widths(self) -> list[int]:
        widths = self.hidden if isinstance(self.hidden, Iterable) else [self.hidden]
        found = list(widths)
        if not all(map(is_whole, found)):
            raise ConfigError(
                "hidden must be the width of a layer, as 100, or of each layer, as (100, 100); got "
                f"{shown(self.hidden)}"
            )
        return [int(width) for width in found]

    def _columns(self) -> Sequence[str]:
        """Names of the inputs, or none."""
        return getattr(self, "feature_names_in_", ())

    def predictive(self, X: Any) -> Predictive:
        """Samples and all that is read from them, see :class:`spikebayes.Predictive`; float64 where targets need it.

        Args:
            X: ``[B, F]`` finite numbers.

        Raises:
            DataError: numbers that float32 does not hold.
        """
        check_is_fitted(self)
        rows = np.asarray(validate_data(self, native(X), reset=False, dtype=np.float64))
        made = self.ensemble_.predict(
            torch.from_numpy(as_float32(rows, self.x_offset_, "X", self._columns())),
            network=self.networks_,
            samples=self._whole("samples"),
            seed=self.seed_,
            mask_scope="pass",
        )
        if self.y_offset_ is None or not self.y_offset_.any():
            return made
        return replace(made, samples=made.samples.double() + torch.from_numpy(self.y_offset_))
