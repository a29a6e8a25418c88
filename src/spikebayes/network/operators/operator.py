"""What an operator is: a linear map that describes itself to engines, counts and conversion."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import ConfigError
from spikebayes.machine.arguments import checked
from spikebayes.network.operators.patterns import Laid, Pattern

if TYPE_CHECKING:
    from scipy import sparse

    Matrix: TypeAlias = "NDArray[Any] | sparse.csr_array"

Shape = tuple[int, ...]

DENSE_FROM = 0.25  # share of nonzeros above which a matrix is stored dense
CHUNK = 1 << 22  # numbers held at once while a matrix is found
LINEAR = 1e-6  # relative error that float64 leaves far below


@dataclass(frozen=True, eq=False)
class WeightRows:
    """Rows of weights, each used at one place or at many: u[l, o] = sum_k weight[o, k] seen[l, k].

    What synapses that blank out one by one need: every k is a synapse.

    Args:
        weight: ``[O, K]``.
        unfold: what each place sees, ``[R, *source]`` to ``[R, L, K]``.
        fold: ``[R, L, O]`` and the target's shape to ``[R, *target]``.
    """

    weight: Tensor
    unfold: Callable[[Tensor], Tensor]
    fold: Callable[[Tensor, Shape], Tensor]


class Operator(nn.Module):
    """A linear map from ``[R, *source]`` to ``[R, *target]``, row by row and without a constant.

    A new operator needs ``forward`` and, if its constructor takes arguments, :meth:`config`; one with weights keeps
    them in a buffer ``weight``, its constructor's first argument. Everything else follows from these, if need be by
    sending units through it one by one, which works for every operator but is slow for large ones. A subclass
    overrides what it can do better.

    Attributes:
        weight: ``[O, ...]``, a row for each unit, or channel of units that share weights; None without weights.
            Functions that change a network's weights (grids, few bits, noise) change these.
        row_axis: the axis of a target row along which the rows of weights lie; None where they lie otherwise.
        rearranges: whether every target is one source unit's value or 0. Then ``forward`` must take every dtype.
        reshapes: whether the units, numbered in one line, stay as they are.

    Example:
        >>> class Flip(Operator):
        ...     def forward(self, x):
        ...         return x.flip(-1)
        >>> Flip().matrix((2,)).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
        >>> Flip().works((2,))
        False
    """

    weight: Tensor | None
    row_axis: int | None = None
    rearranges: bool = False
    reshapes: bool = False

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", None)

    def config(self) -> dict[str, Any]:
        """The arguments that rebuild it, tensors left out."""
        return {}

    # -- parts ---------------------------------------------------------------------------------------------

    @property
    def parts(self) -> tuple[Operator, ...]:
        """The operators that it applies one after another: itself, or those of a chain."""
        return (self,)

    def working(self, source: Shape) -> tuple[tuple[Operator, Shape], ...]:
        """Its parts, each with the shape of what it takes; those left out that only give units another shape."""
        found = []
        for part in self.parts:
            if not part.reshapes:
                found.append((part, source))
            source = target_shape(part, source)
        return tuple(found)

    def replaced(self, new: dict[Operator, Operator]) -> Operator:
        """The same with other parts; itself where none is replaced. Chains on the way are added to ``new``."""
        return new.get(self, self)

    def ending_in(self, last: Operator) -> Operator:
        """The same with another last part."""
        return last

    # -- weights -------------------------------------------------------------------------------------------

    def with_weight(self, weight: Tensor) -> Operator:
        """The same with other weights."""
        return type(self)(weight, **self.config())  # pyright: ignore[reportCallIssue]

    def with_scaled_rows(self, factor: Tensor) -> Operator:
        """The same with each row of weights times a factor of its own, ``[O]``."""
        weight = self._own_weight()
        return self.with_weight(weight * factor.reshape(-1, *[1] * (weight.ndim - 1)))

    def row_of(self, source: Shape) -> Tensor:
        """``[*target]`` int64: the row of weights that each target takes.

        Raises:
            ConfigError: it has no weights, or a target takes several rows.
        """
        weight = self._own_weight()
        if self.row_axis is not None:
            target = target_shape(self, source)
            rows = torch.arange(len(weight))
            axis = self.row_axis % len(target)
            return rows.reshape([-1 if k == axis else 1 for k in range(len(target))]).expand(target)
        ones, row = torch.ones(1, *source, dtype=weight.dtype), torch.zeros_like(weight)
        marks = []
        for o in range(len(weight)):
            row.zero_()[o] = 1
            marks.append(self.with_weight(row.clone())(ones)[0] != 0)
        found = torch.stack(marks)  # [O, *target]
        if bool((found.sum(0) > 1).any()):
            raise ConfigError(f"a target of {type(self).__name__} takes several rows of weights; expected one each")
        return found.int().argmax(0)

    def weight_rows(self) -> WeightRows | None:
        """Its rows of weights with what each place sees; None where there are no individual synapses."""
        return None

    def _own_weight(self) -> Tensor:
        if self.weight is None:
            raise ConfigError(f"{type(self).__name__} has no weights")
        return self.weight

    # -- units ---------------------------------------------------------------------------------------------

    def factors(self, source: Shape) -> Tensor | None:
        """``[*source]`` factors by which it multiplies every unit, if it does nothing else; else None."""
        return None

    def works(self, source: Shape) -> bool:
        """Whether it costs operations (products or sums), that is, does more than move units."""
        if self.rearranges or self.weight is not None:
            return not self.rearranges
        matrix = _sparse(self.matrix(source))
        return bool((matrix.data != 1).any()) or bool((np.bincount(matrix.indices, minlength=1) > 1).any())

    def only_moves(self, source: Shape) -> bool:
        """Whether every target is one source unit's value: none is multiplied, added to another or left empty."""
        return self.rearranges and bool((self(torch.ones(1, *source)) == 1).all())

    def offset(self, source: Shape) -> int | None:
        """Where the first source unit stands in the flattened target.

        None where units do not stay side by side in order, or where each is multiplied by a factor of its own.
        """
        if not self.rearranges:
            return None
        units = size(source)
        origin = self(torch.arange(1, units + 1, dtype=torch.float64).reshape(1, *source)).flatten()
        first = int((origin == 1).int().argmax())
        side_by_side = torch.equal(origin[first : first + units].long(), torch.arange(1, units + 1))
        return first if side_by_side and int(origin.count_nonzero()) == units else None

    def matrix(self, source: Shape) -> Matrix:
        """M ``[N_source, N_target]`` with ``operator(x).flatten(1) == x.flatten(1) @ M``; float64, dense or CSR.

        Raises:
            ConfigError: it turns out not to be linear, or to add a constant.
        """
        return selection(self, source) if self.rearranges else tidied(probed(self, source))

    def pattern(self, source: Shape) -> Pattern:
        """Which units reach which targets, whatever the weights."""
        alike = self if self.weight is None else self.with_weight(torch.ones_like(self.weight))
        return Laid(source, target_shape(self, source), _sparse(alike.matrix(source)) != 0)


@checked
def target_shape(operator: nn.Module, source: Shape) -> Shape:
    """Shape per row after the operator.

    Raises:
        ConfigError: the operator does not take that shape.

    Example:
        >>> from spikebayes.network.operators import Dense
        >>> target_shape(Dense(torch.zeros(3, 4)), (4,))
        (3,)
    """
    try:
        with torch.no_grad():
            return tuple(operator(torch.zeros(1, *source, **_like(operator))).shape[1:])
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{operator} does not take rows of shape {list(source)}: {reason}") from error


def _like(operator: nn.Module) -> dict[str, Any]:
    """The dtype of what it takes, and where that must be."""
    buffers = list(operator.buffers())
    numbers = [b.dtype for b in buffers if b.is_floating_point()]
    return {
        "dtype": numbers[0] if numbers else torch.get_default_dtype(),
        "device": buffers[0].device if buffers else None,
    }


@checked
def size(shape: Shape) -> int:
    """Number of elements of a shape."""
    return math.prod(shape)


# -- matrices ----------------------------------------------------------------------------------------------


def tidied(matrix: Any) -> Matrix:
    """A sparse matrix as CSR, or dense where much of it is not zero."""
    from scipy import sparse

    if isinstance(matrix, np.ndarray):
        return matrix
    if matrix.nnz > DENSE_FROM * matrix.shape[0] * matrix.shape[1]:
        return matrix.toarray()
    return sparse.csr_array(matrix)


def selection(operator: Operator, source: Shape) -> sparse.csr_array:
    """The matrix of an operator that rearranges: the units' numbers are sent through it."""
    from scipy import sparse

    numbers = torch.arange(1, size(source) + 1, dtype=torch.float64).reshape(1, *source)
    origin = operator(numbers).flatten().long().numpy()  # 0 where a zero was put
    targets = np.flatnonzero(origin)
    ones = np.ones(len(targets))
    return sparse.csr_array((ones, (origin[targets] - 1, targets)), shape=(size(source), len(origin)))


def probed(operator: Operator, source: Shape) -> sparse.csr_array:
    """The matrix of any operator: every unit on its own is sent through it, some at a time.

    Raises:
        ConfigError: what it gives for random values is not what its matrix gives.
    """
    from scipy import sparse

    exact, units = copy.deepcopy(operator).double(), size(source)
    step = max(1, CHUNK // max(1, units, size(target_shape(operator, source))))
    lines = []
    with torch.no_grad():
        for first in range(0, units, step):
            ones = F.one_hot(torch.arange(first, min(first + step, units)), units).double()
            lines.append(sparse.csr_array(exact(ones.reshape(-1, *source)).flatten(1).numpy()))
        matrix = sparse.csr_array(sparse.vstack(lines, format="csr"))
        x = torch.randn(2, units, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        given, expected = exact(x.reshape(-1, *source)).flatten(1).numpy(), x.numpy() @ matrix
    if not np.abs(given - expected).max(initial=0) <= LINEAR * np.abs(expected).max(initial=0):
        raise ConfigError(
            f"{type(operator).__name__} is not linear, or adds a constant; an operator gives sums of its source's "
            "units times factors, and constants belong to the target"
        )
    return matrix


def _sparse(matrix: Matrix) -> sparse.csr_array:
    from scipy import sparse

    return sparse.csr_array(matrix)
