"""Rows that come batch by batch, from a loader or a generator: numbered on, checked, and joined to larger pieces.

A row's number keys its masks. Batches are numbered in the order in which they come, so that the samples are those of
all rows in one call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, IterableDataset, SequentialSampler

from spikebayes.errors import ConfigError, DataError
from spikebayes.network.operators import Shape
from spikebayes.prediction.inputs import as_inputs, is_array
from spikebayes.prediction.rounding import Extremes
from spikebayes.prediction.sampling import Sampler

PAIRS = 1 << 16  # of samples and rows in a piece
NUMBERS = 1 << 24  # of inputs in a piece, 64 MiB, if that leaves it as many rows as
ROWS = 16  # which a module is tried on
ONE_BY_ONE = "rows are numbered in the order in which batches come, and the number of a row says which masks it has"


def is_batches(x: Any) -> bool:
    """Whether rows come batch by batch: a loader, an iterator, a generator.

    Example:
        >>> is_batches(torch.ones(2).split(1)), is_batches(iter(torch.ones(2).split(1)))
        (False, True)
    """
    at_once = isinstance(x, Tensor | np.ndarray | Sequence | Mapping | Set) or is_array(x) or hasattr(x, "__array__")
    return isinstance(x, Iterable) and not at_once


def pieces(x: Iterable[Any], sampler: Sampler) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Arguments and indices ``[b]`` of rows, several batches at a time where they are small.

    Raises:
        ConfigError: row indices were given, or the loader gives rows in another order than theirs.
        DataError: no batch; one that is mis-shaped, empty, NaN or infinite, that begins with other arguments than the
            model's, or lasts for other steps than the first; rows that rounding merges.
    """
    if sampler.plan.rows is not None:
        raise ConfigError(f"rows= is for rows that are there all at once; {ONE_BY_ONE}: leave rows out")
    if isinstance(x, DataLoader):
        _refuse_other_orders(x)
    shapes, first, waiting = sampler.shapes, 0, []
    alike: list[Shape] = []  # of a row of the first batch, steps included
    extremes = Extremes()

    def joined() -> tuple[tuple[Tensor, ...], Tensor]:
        inputs = tuple(parts[0] if len(parts) == 1 else torch.cat(parts) for parts in zip(*waiting, strict=True))
        waiting.clear()
        return inputs, torch.arange(first - len(inputs[0]), first)

    for number, batch in enumerate(x, start=1):
        try:
            arguments = _arguments(batch, *sampler.arguments)
            inputs = as_inputs(arguments, shapes, sampler.dtype, extremes=extremes, still=sampler.still)
            alike = alike or [tuple(part.shape[1:]) for part in inputs]
            _refuse_other_shapes(inputs, alike)
        except DataError as error:
            raise DataError(f"batch {number}, whose first row is row {first}: {error}") from error
        shapes = sampler.shapes or alike
        waiting.append(tuple(part.clone() for part in inputs))  # whoever gives batches may use their memory again
        first += len(inputs[0])
        if sum(len(parts[0]) for parts in waiting) >= _together(inputs, sampler):
            yield joined()
    if waiting:
        yield joined()
    if not first:
        raise DataError("there are no rows: no batch came; an iterator gives its batches once, so make it anew")
    extremes.refuse(sampler.dtype)


def parts(inputs: tuple[Tensor, ...], rows: Tensor, sampler: Sampler) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Rows that are there at once, as the same pieces."""
    together = _together(inputs, sampler)
    for first in range(0, len(rows), together):
        some = slice(first, first + together)
        yield tuple(part[some] for part in inputs), rows[some]


def _together(inputs: tuple[Tensor, ...], sampler: Sampler) -> int:
    """Rows of a piece."""
    numbers = sum(part[0].numel() for part in inputs)
    return max(1, min(PAIRS // sampler.plan.samples, max(ROWS, NUMBERS // numbers)))


def _arguments(batch: Any, fewest: int, most: float) -> Any:
    """The model's arguments, with which a batch that is a tuple or a list begins; labels and the like may follow."""
    if not isinstance(batch, tuple | list) or not batch:
        return batch
    if isinstance(batch[0], tuple | list) and batch[0] and is_array(batch[0][0]):  # ((first, second), label)
        return batch[0]
    if not is_array(batch[0]):
        return batch
    if len(batch) < fewest:
        raise DataError(f"the model takes {fewest} arguments; the batch holds {len(batch)}")
    if fewest < most < float("inf") and len(batch) > fewest:
        raise DataError(
            f"the model takes {fewest} to {most} arguments and the batch holds {len(batch)} things, so which of "
            f"them are arguments is not known; give tuples of {fewest}, as in ((x,) for x, label in loader)"
        )
    return tuple(batch[: None if most == float("inf") else int(most)])


def _refuse_other_shapes(inputs: tuple[Tensor, ...], alike: Sequence[Shape]) -> None:
    """Refuse what is over time for another number of steps than in the first batch, or in one of them alone."""
    for part, shape in zip(inputs, alike, strict=True):
        if tuple(part.shape[1:]) != shape:
            raise DataError(
                f"all batches must last equally long; this one has rows of shape {list(part.shape[1:])}, the first "
                f"{list(shape)}: give every row the same T, predict those of another T by themselves"
            )


def _refuse_other_orders(loader: DataLoader[Any]) -> None:
    """Refuse a loader whose rows do not come in the order of its data set, or not all of them."""
    if not loader.in_order:
        raise ConfigError(
            f"the loader gives batches in the order in which its workers have them, but {ONE_BY_ONE}; give one with "
            "in_order=True"
        )
    if isinstance(loader.dataset, IterableDataset):
        return
    way: Any = loader.batch_sampler
    others = [loader.sampler, *([] if way is None else [getattr(way, "sampler", way)])]
    other = next((s for s in others if type(s) is not SequentialSampler), None)
    if other is None and way is not None and type(way) is not BatchSampler:
        other = way
    if other is not None:
        raise ConfigError(
            f"the loader gives its rows in an order of its own (by a {type(other).__name__}), but {ONE_BY_ONE}; give "
            "a loader without shuffling or sampler, over a torch.utils.data.Subset for some of the rows"
        )
    if loader.drop_last and len(loader.dataset) % (loader.batch_size or 1):  # pyright: ignore[reportArgumentType]
        raise ConfigError("the loader leaves out its last rows; give one with drop_last=False")
