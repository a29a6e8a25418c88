"""Standardised inputs and targets, learned on the training rows only."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.memory import check_size
from spikebayes.machine.numbers import check_spread


@checked
@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and standard deviations of the training rows; constant columns have a standard deviation of 1.

    Args:
        x_mean, x_std: ``[*shape]`` of one row's input.
        y_mean, y_std: ``[C]``, or None when targets are classes.
    """

    x_mean: Tensor
    x_std: Tensor
    y_mean: Tensor | None = None
    y_std: Tensor | None = None

    @classmethod
    @checked
    def learn(cls, x: Tensor, y: Tensor | None) -> Scaling:
        """From training rows ``[B, *shape]`` and real targets ``[B, C]`` (None for classes).

        Raises:
            DataError: no rows, numbers that are not finite, or targets whose variance is none of float32's numbers.

        Example:
            >>> s = Scaling.learn(torch.tensor([[0.0], [2.0]]), torch.tensor([[10.0], [30.0]]))
            >>> s.inputs(torch.tensor([[4.0]])).item(), s.outputs(torch.tensor([1.0])).item()
            (3.0, 30.0)
        """
        for values in (x,) if y is None else (x, y):
            if values.ndim < 2 or not values.numel() or not bool(values.isfinite().all()):
                raise DataError(f"training rows [B, ...] of finite numbers are needed; got {list(values.shape)}")
        x_mean, x_std = (part.reshape(x.shape[1:]) for part in _moments(x.flatten(1)))
        y_mean, y_std = (None, None) if y is None else _moments(y)
        for k, std in enumerate([] if y_std is None else y_std.tolist()):
            check_spread(std, "the target" if y_std is not None and len(y_std) == 1 else f"column {k} of the targets")
        return cls(x_mean, x_std, y_mean, y_std)

    @classmethod
    @checked
    def identity(cls, shape: tuple[int, ...]) -> Scaling:
        """For inputs of one row's ``shape`` and targets that already are in the network's units."""
        check_size("a row", *shape)
        return cls(torch.zeros(shape), torch.ones(shape))

    @property
    def is_identity(self) -> bool:
        """Whether inputs stay as they are."""
        return not bool(self.x_mean.any()) and bool((self.x_std == 1).all())

    @checked
    def inputs(self, x: Tensor) -> Tensor:
        """Inputs ``[B, *shape]`` in the units the network takes; DataError for rows of another shape."""
        if x.shape[1:] != self.x_mean.shape:
            raise DataError(f"rows must have the shape {list(self.x_mean.shape)}; got {list(x.shape)} of them all")
        return (x - self.x_mean) / self.x_std

    @checked
    def targets(self, y: Tensor) -> Tensor:
        """Targets ``[B, C]`` in the units the network gives; DataError for another C."""
        self._check_targets(y)
        return y if self.y_mean is None or self.y_std is None else (y - self.y_mean) / self.y_std

    @checked
    def outputs(self, y: Tensor) -> Tensor:
        """The network's outputs ``[..., C]`` in the targets' own units; DataError for another C."""
        self._check_targets(y)
        return y if self.y_mean is None or self.y_std is None else y * self.y_std + self.y_mean

    def _check_targets(self, y: Tensor) -> None:
        if self.y_mean is not None and y.shape[-1:] != self.y_mean.shape:
            raise DataError(f"targets must have {len(self.y_mean)} columns; got the shape {list(y.shape)}")


def _moments(columns: Tensor) -> tuple[Tensor, Tensor]:
    scaler = StandardScaler().fit(columns.detach().cpu().double().numpy())
    return torch.from_numpy(scaler.mean_).float(), torch.from_numpy(scaler.scale_).float()
