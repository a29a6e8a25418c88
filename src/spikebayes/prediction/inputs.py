"""Rows as they enter: validated once, then cut with their samples into blocks that bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikebayes.conversion.arguments import APART
from spikebayes.errors import DataError
from spikebayes.machine.numbers import native
from spikebayes.network.operators import Shape
from spikebayes.noise.keys import Keys
from spikebayes.prediction.over_time import STILL, changing
from spikebayes.prediction.rounding import Extremes, refuse_merged
from spikebayes.prediction.sampling import SamplingPlan, Values


@dataclass(frozen=True)
class Block:
    """Some samples of some rows; the pairs are listed sample by sample.

    Args:
        rows, samples: slices of all rows and samples.
        position: ``[R]`` which of the block's rows each pair is.
        keys: of the R pairs.
    """

    rows: slice
    samples: slice
    position: Tensor
    keys: Keys


def as_inputs(
    x: Values,
    shapes: Sequence[Shape] | None = None,
    dtype: torch.dtype = torch.float32,
    name: str = "the input",
    extremes: Extremes | None = None,
    still: str | None = STILL,
) -> tuple[Tensor, ...]:
    """The arguments of a network as finite tensors with equally many rows.

    Args:
        x: ``[B, *shape]``, or a tuple or list of them for several arguments; tensors, arrays or data frames.
        shapes: expected shape of one row of each argument, when known.
        dtype: of the computation; a value too large for it counts as infinite, and values that differ must differ in
            it.
        name: what errors call a single argument; several are called input 0, input 1, ...
        extremes: of rows that are one batch of several: told of the features, which are judged when all are there.
        still: why no argument may change over time, ``[B, T, *shape]``; None where they may.

    Raises:
        DataError: not numbers, no rows, unequal numbers of rows or steps, another shape, an argument over time that
            may not be, NaN or infinity, or differences between rows that rounding loses.
    """
    several = isinstance(x, tuple | list) and len(x) > 0 and is_array(x[0])
    parts = x if several else [x]
    tensors = [_as_tensor(part, dtype) for part in parts]
    if shapes is not None and len(tensors) != len(shapes):
        raise DataError(f"the network takes {len(shapes)} inputs; got {len(tensors)}")
    for i, tensor in enumerate(tensors):
        name = f"input {i}" if len(tensors) > 1 else name
        if tensor.ndim < 2 or 0 in tensor.shape:
            raise DataError(f"{name} must be [B, *shape] with at least one row; got {list(tensor.shape)}")
        if len(tensor) != len(tensors[0]):
            raise DataError(f"{name} has {len(tensor)} rows, the first input {len(tensors[0])}: give equally many")
        over_time = shapes is not None and _is_over_time(tensor, tuple(shapes[i]), name, still)
        finite = torch.isfinite(tensor)
        if not finite.all():
            rows = int((~finite).flatten(1).any(1).sum())
            raise DataError(
                f"{name} has NaN or infinite values in {rows} of {len(tensor)} rows; leave such rows out, or fill "
                "them in"
            )
        (refuse_merged if extremes is None else extremes.add)(_features(parts[i], over_time), dtype, name)
    _refuse_other_lengths(tensors, shapes)
    return tuple(tensors)


def is_array(value: Any) -> bool:
    """Whether a value is a tensor, an array or a data frame."""
    return isinstance(value, Tensor | np.ndarray) or hasattr(value, "to_numpy")


def plain(value: Any) -> Any:
    """A frame of pandas, Arrow or Polars as an array of its own, a list as NumPy takes it; anything else as it is.

    Raises:
        DataError: some values of a masked array are masked.
    """
    if isinstance(value, list | tuple):
        return np.asarray(value)
    if isinstance(value, Tensor) or not hasattr(value, "to_numpy"):
        return native(value)
    array = np.array(value.to_numpy())  # a copy: a frame may not be written to
    return array.astype(np.float64) if array.dtype == object else array


def _is_over_time(tensor: Tensor, shape: Shape, name: str, still: str | None) -> bool:
    """Whether an argument is ``[B, T, *shape]``; refused unless it is that or ``[B, *shape]``, and may be."""
    own = tuple(tensor.shape[1:])
    if own == shape:
        return False
    if own[1:] != shape:
        raise DataError(f"{name} must have rows of shape {list(shape)}; got {list(own)}")
    if still is not None:
        raise DataError(
            f"{name} has {own[0]} steps of rows of shape {list(shape)}, so it is an input over time; {still}"
        )
    return True


def _refuse_other_lengths(tensors: Sequence[Tensor], shapes: Sequence[Shape] | None) -> None:
    over_time = () if shapes is None else sorted(changing(tensors, shapes))
    lengths = {k: tensors[k].shape[1] for k in over_time}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"input {k} has {steps}" for k, steps in lengths.items())
        raise DataError(f"inputs over time must have equally many steps; {told}: give all of them the same T")


def _features(value: Any, over_time: bool) -> Iterator[tuple[str, np.ndarray]]:
    """Values ``[B, *shape]`` of features as they came; of a frame each, since its columns have types of their own.

    Of an input over time each step is one more row.
    """
    for name, values in _columns(value):
        yield name, values.reshape(-1, *values.shape[2:]) if over_time else values


def _columns(value: Any) -> Iterator[tuple[str, np.ndarray]]:
    if hasattr(value, "to_numpy") and hasattr(value, "columns"):
        yield from ((repr(name)[:60], plain(value[name])) for name in value.columns)
    elif not isinstance(value, Tensor):
        yield "", np.asarray(plain(value))
    elif value.dtype.itemsize > 2:  # NumPy does not know all others
        yield "", value.to_dense().numpy(force=True)


def _as_tensor(value: Any, dtype: torch.dtype) -> Tensor:
    parts = [value] if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    if any(isinstance(part, dict) or (isinstance(part, list | tuple) and any(map(is_array, part))) for part in parts):
        raise DataError(f"an input must be a tensor, array or data frame, one for each argument; {APART}")
    try:
        tensor = torch.as_tensor(plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"an input must be a tensor, array or data frame of numbers: {error}") from error
    if tensor.is_meta:
        raise DataError("an input has no values: it is on the meta device; give it on another")
    if tensor.is_complex():
        raise DataError("an input must be real; got complex numbers")
    tensor = tensor.to_dense() if tensor.layout != torch.strided else tensor
    return tensor.detach().to("cpu", dtype)


@dataclass(frozen=True, eq=False)
class Blocks:
    """S samples of B rows, cut into blocks of at most ``most`` pairs, with as many samples of a row together as fit.

    A block is made when it is its turn: all of them together would take more memory than the samples do.

    Args:
        rows: ``[B]`` int64, indices of the rows.
        plan: what is sampled.
        most: pairs in a block.

    Example:
        >>> [(b.rows, b.samples) for b in Blocks(torch.arange(3), SamplingPlan(samples=2), 4)]
        [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 3, None), slice(0, 2, None))]
    """

    rows: Tensor
    plan: SamplingPlan
    most: int

    @property
    def _lengths(self) -> tuple[int, int]:
        """Rows of a block, and samples of each."""
        per_block = max(1, self.most // self.plan.samples)
        return min(per_block, self.plan.batch_size or per_block), min(self.plan.samples, self.most)

    def __len__(self) -> int:
        rows, samples = self._lengths
        return -(-len(self.rows) // rows) * -(-self.plan.samples // samples)

    def __iter__(self) -> Iterator[Block]:
        per_block, together = self._lengths
        for first in range(0, len(self.rows), per_block):
            some = self.rows[first : first + per_block]
            for sample in range(0, self.plan.samples, together):
                last = min(self.plan.samples, sample + together)
                position = torch.arange(len(some)).repeat(last - sample)
                key = some[position] if self.plan.mask_scope == "row" else torch.zeros_like(position)
                keys = Keys(self.plan.seed, torch.arange(sample, last).repeat_interleave(len(some)), key)
                yield Block(slice(first, first + len(some)), slice(sample, last), position, keys)
