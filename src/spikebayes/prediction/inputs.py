"""Rows and samples as they enter: validated once, then cut into blocks that bound memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.network.operators import Shape
from spikebayes.noise.philox import split_seed

MaskScope = Literal["row", "pass"]
Values = Tensor | np.ndarray | Sequence[Any]


@dataclass(frozen=True)
class Block:
    """Some samples of some rows; the pairs are listed sample by sample.

    Args:
        rows, samples: slices of all rows and samples.
        position: ``[R]`` which of the block's rows each pair is.
        row_keys, sample_keys: ``[R]`` int64, what keys the masks.
    """

    rows: slice
    samples: slice
    position: Tensor
    row_keys: Tensor
    sample_keys: Tensor


def as_inputs(
    x: Values,
    shapes: Sequence[Shape] | None = None,
    dtype: torch.dtype = torch.float32,
    name: str = "the input",
) -> tuple[Tensor, ...]:
    """The arguments of a network as finite tensors with equally many rows.

    Args:
        x: ``[B, *shape]``, or a tuple or list of them for several arguments; tensors or arrays.
        shapes: expected shape of one row of each argument, when known.
        dtype: of the computation; a value too large for it counts as infinite.
        name: what errors call a single argument; several are called input 0, input 1, ...

    Raises:
        DataError: not numbers, no rows, unequal numbers of rows, another shape, NaN or infinity.
    """
    several = isinstance(x, tuple | list) and len(x) > 0 and isinstance(x[0], Tensor | np.ndarray)
    tensors = [_as_tensor(part, dtype) for part in (x if several else [x])]
    if shapes is not None and len(tensors) != len(shapes):
        raise DataError(f"the network takes {len(shapes)} inputs; got {len(tensors)}")
    for i, tensor in enumerate(tensors):
        name = f"input {i}" if len(tensors) > 1 else name
        if tensor.ndim < 2 or 0 in tensor.shape:
            raise DataError(f"{name} must be [B, *shape] with at least one row; got {list(tensor.shape)}")
        if len(tensor) != len(tensors[0]):
            raise DataError(f"{name} has {len(tensor)} rows, the first input {len(tensors[0])}")
        if shapes is not None and tuple(tensor.shape[1:]) != tuple(shapes[i]):
            raise DataError(f"{name} must have rows of shape {list(shapes[i])}; got {list(tensor.shape[1:])}")
        finite = torch.isfinite(tensor)
        if not finite.all():
            rows = int((~finite).flatten(1).any(1).sum())
            raise DataError(f"{name} has NaN or infinite values in {rows} of {len(tensor)} rows")
    return tuple(tensors)


def _as_tensor(value: Any, dtype: torch.dtype) -> Tensor:
    try:
        tensor = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"an input must be a tensor or array of numbers: {error}") from error
    if tensor.is_complex():
        raise DataError("an input must be real; got complex numbers")
    return tensor.detach().to(dtype)


def row_indices(rows: Values | None, count: int) -> Tensor:
    """``[B]`` int64 row indices, 0 .. B - 1 unless given.

    Raises:
        DataError: not B distinct indices in [0, 2^32).
    """
    if rows is None:
        return torch.arange(count)
    try:
        indices = torch.as_tensor(rows).flatten()
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"row indices must be whole numbers: {error}") from error
    if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
        raise DataError(f"row indices must be whole numbers; got {indices.dtype}")
    indices = indices.long()
    if len(indices) != count:
        raise DataError(f"{len(indices)} row indices were given for {count} rows")
    if int(indices.min()) < 0 or int(indices.max()) >= 1 << 32:
        raise DataError("row indices must lie in [0, 2^32)")
    if len(indices.unique()) != count:
        raise DataError("row indices must differ from one another: two rows with one index would share their masks")
    return indices


def check_sampling(samples: int, least: int, seed: int, mask_scope: str, batch_size: int | None) -> None:
    """Refuse settings out of range (ConfigError)."""
    split_seed(seed)
    if not is_whole(samples) or not least <= samples < 1 << 32:
        raise ConfigError(f"samples must be a whole number, at least {least}; got {samples!r}")
    if mask_scope not in ("row", "pass"):
        raise ConfigError(f"mask_scope must be 'row' or 'pass'; got {mask_scope!r}")
    if batch_size is not None and (not is_whole(batch_size) or batch_size < 1):
        raise ConfigError(f"batch_size must be a whole number of rows, at least 1, or None; got {batch_size!r}")


def check_steps(steps: int, burn_in: int) -> None:
    """Refuse a simulation with nothing to average (ConfigError)."""
    if not is_whole(steps) or steps < 1:
        raise ConfigError(f"steps must be a whole number, at least 1; got {steps!r}")
    if not is_whole(burn_in) or not 0 <= burn_in < steps:
        raise ConfigError(f"burn_in must be a whole number in [0, steps); got {burn_in!r} with steps={steps}")


def is_whole(value: object) -> bool:
    """Whether a value is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def blocks(rows: Tensor, samples: int, most: int, mask_scope: str, batch_size: int | None) -> Iterator[Block]:
    """Cut S samples of B rows into blocks of at most ``most`` pairs, with as many samples of a row together as fit.

    Example:
        >>> [(b.rows, b.samples) for b in blocks(torch.arange(3), 2, 4, "row", None)]
        [(slice(0, 2, None), slice(0, 2, None)), (slice(2, 3, None), slice(0, 2, None))]
    """
    per_block = max(1, most // samples)
    if batch_size is not None:
        per_block = min(per_block, batch_size)
    together = min(samples, most)
    for first in range(0, len(rows), per_block):
        some = rows[first : first + per_block]
        for sample in range(0, samples, together):
            last = min(samples, sample + together)
            position = torch.arange(len(some)).repeat(last - sample)
            keys = some[position] if mask_scope == "row" else torch.zeros_like(position)
            which = torch.arange(sample, last).repeat_interleave(len(some))
            yield Block(slice(first, first + len(some)), slice(sample, last), position, keys, which)
