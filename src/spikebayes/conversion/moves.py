"""What moves units: shapes, axes, parts, copies and gaps; nothing is multiplied or added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.conversion.affine import Affine
from spikebayes.conversion.refusals import Refused
from spikebayes.network.operators import Permute, Pick, Place, Reshape, Shape, Slice, size

ROWS = 13  # of a batch that shows what an operation on shapes does to the batch axis: a size no model writes down


def axis_of(x: Affine, dim: int, what: str) -> int:
    """An axis counted from the front, the batch axis being 0 and refused."""
    rank = x.constant.ndim
    if not -rank <= dim < rank:
        raise Refused(
            f"there is no axis {dim} in values of shape [B, {', '.join(map(str, x.shape))}]; the batch is axis 0"
        )
    if dim % rank == 0:
        raise Refused(f"it {what} along the batch axis; rows must stay apart, so name another axis")
    return dim % rank


# -- shapes ------------------------------------------------------------------------------------------------


def reshape(x: Affine, function: Callable[[Tensor], Tensor]) -> Affine:
    """Another shape, by a function that gives it."""
    after = function(torch.empty(ROWS, *x.shape, device="meta"))
    if after.shape[:1] != (ROWS,):
        raise Refused(
            f"it mixes rows: a row of shape {list(x.shape)} does not stay one row; "
            "keep the batch first, as x.flatten(1) and x.view(x.shape[0], -1) do"
        )
    return shaped(x, tuple(after.shape[1:]))


def shaped(x: Affine, shape: Shape) -> Affine:
    """Rows of that shape, units in the same order."""
    return x.then(Reshape(shape))


def permute(x: Affine, function: Callable[[Tensor], Tensor]) -> Affine:
    """Axes in another order, by a function that gives it."""
    marks = torch.empty([0, *range(1, x.constant.ndim)])  # sizes that tell the axes apart, no storage
    dims = tuple(function(marks).shape)
    if dims[0] != 0:
        raise Refused("it moves the batch axis; it must stay the first")
    return x.then(Permute(dims[1:]))


def unsqueezed(x: Affine, dim: int) -> Affine:
    """With an axis of one more."""
    return reshape(x, lambda t: t.unsqueeze(dim))


# -- parts -------------------------------------------------------------------------------------------------


def picked(x: Affine, dim: int, index: Tensor) -> Affine:
    """The units of these numbers along an axis counted from the front; -1 is a zero."""
    numbers = [int(i) for i in index]
    length = x.constant.shape[dim]
    step = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    if numbers and numbers[0] >= 0 and step > 0 and numbers == list(range(numbers[0], numbers[-1] + 1, step)):
        whole = len(numbers) == length
        return x if whole else x.then(Slice(dim, numbers[0], numbers[-1] + 1, step))
    return x.then(Pick(dim, torch.tensor(numbers, dtype=torch.int64)))


def cut(x: Affine, dim: int, how: Callable[[Tensor], Sequence[Tensor]]) -> tuple[Affine, ...]:
    """Parts along an axis, as a function cuts the axis's numbers."""
    dim = axis_of(x, dim, "cuts")
    return tuple(picked(x, dim, part) for part in how(torch.arange(x.constant.shape[dim])))


def split(x: Affine, split_size_or_sections: Any = None, dim: int = 0, *, split_size: Any = None) -> Any:
    sizes = split_size_or_sections if split_size is None else split_size
    return cut(x, dim, lambda numbers: torch.split(numbers, sizes))


def chunk(x: Affine, chunks: int, dim: int = 0) -> Any:
    return cut(x, dim, lambda numbers: torch.chunk(numbers, chunks))


def tensor_split(x: Affine, indices_or_sections: Any, dim: int = 0) -> Any:
    return cut(x, dim, lambda numbers: torch.tensor_split(numbers, indices_or_sections))


def unbind(x: Affine, dim: int = 0) -> Any:
    parts = cut(x, dim, lambda numbers: torch.split(numbers, 1))
    return tuple(reshape(part, lambda t: t.squeeze(dim)) for part in parts)


def select(x: Affine, dim: int, index: int) -> Affine:
    return unbind(x, dim)[index]


def narrow(x: Affine, dim: int, start: int, length: int) -> Affine:
    (part,) = cut(x, dim, lambda numbers: [numbers.narrow(0, start, length)])
    return part


def index_select(x: Affine, dim: int, index: Tensor) -> Affine:
    (part,) = cut(x, dim, lambda numbers: [numbers[index]])
    return part


def index(x: Any, index: Any) -> Any:
    """``x[index]``: slices, integers, None, an ellipsis, and numbers of units for one axis."""
    if not isinstance(x, Affine):
        return x[index]
    items = list(index) if isinstance(index, tuple) else [index]
    numbered = [i for i in items if isinstance(i, list | Tensor)]
    if any(i is not Ellipsis and i is not None and not isinstance(i, int | slice | list | Tensor) for i in items):
        raise Refused("indexing by a network value or something else that is not known; use slices and integers")
    if len(numbered) > 1 or (numbered and any(isinstance(i, int) for i in items)):
        raise Refused("several axes are indexed by numbers at once; index one axis after another")
    if any(i is Ellipsis for i in items):
        at = next(k for k, i in enumerate(items) if i is Ellipsis)
        given = sum(i is not None for i in items) - 1
        items[at : at + 1] = [slice(None)] * (x.constant.ndim - given)
    if not items or not isinstance(items[0], slice) or items[0] != slice(None):
        raise Refused("it picks rows of the batch; begin with all of them, x[:, ...]")
    for dim, item in enumerate((i for i in items if i is not None), start=0):
        if dim == 0:
            continue
        length = x.constant.shape[dim]
        if isinstance(item, int):
            if not -length <= item < length:
                raise Refused(f"index {item} is out of range for an axis of length {length}; count from 0")
            item = slice(item % length, item % length + 1)
        numbers = torch.arange(length)[torch.as_tensor(item) if isinstance(item, list) else item]
        if numbers.ndim != 1:
            raise Refused("an axis is indexed by numbers in several axes; use one axis of numbers")
        x = picked(x, dim, numbers)
    rest = tuple(0 if isinstance(i, int) else None if i is None else slice(None) for i in items)
    return reshape(x, lambda t: t[rest])


# -- joined ------------------------------------------------------------------------------------------------


def cat(tensors: Any, dim: int = 0, *, axis: int | None = None) -> Affine:
    tensors = [_constant(t) for t in tensors]
    dim = axis_of(tensors[0], dim if axis is None else axis, "joins")
    sizes = [t.constant.shape[dim] for t in tensors]
    placed = [t.then(Place(dim, sum(sizes[:i]), sum(sizes[i + 1 :]))) for i, t in enumerate(tensors)]
    total = placed[0]
    for part in placed[1:]:
        total = total.plus(part)
    return total


def stack(tensors: Any, dim: int = 0) -> Affine:
    tensors = [_constant(t) for t in tensors]
    dim = dim % (tensors[0].constant.ndim + 1)
    if dim == 0:
        raise Refused("it joins along the batch axis; rows must stay apart, so name another axis")
    return cat([unsqueezed(t, dim) for t in tensors], dim)


def _constant(value: Any) -> Affine:
    """A network value, or a fixed tensor that is the same for every row, as one."""
    if isinstance(value, Affine):
        return value
    if len(value) != ROWS or not bool((value == value[:1]).all()):
        raise Refused(
            "it joins network values with fixed tensors; these need as many equal rows, t.expand(x.shape[0], ...)"
        )
    return Affine((), value[:1].detach())


# -- orders and copies -------------------------------------------------------------------------------------


def flip(x: Affine, *dims: Any) -> Affine:
    for dim in flat(dims):
        dim = axis_of(x, dim, "reverses the order of rows")
        x = picked(x, dim, torch.arange(x.constant.shape[dim]).flip(0))
    return x


def roll(x: Affine, shifts: Any, dims: Any = None) -> Affine:
    if dims is None:
        raise Refused("it rolls over the batch axis; give the axes that it is to roll along")
    for shift, dim in zip(flat((shifts,)), flat((dims,)), strict=True):
        dim = axis_of(x, dim, "rolls")
        x = picked(x, dim, torch.arange(x.constant.shape[dim]).roll(shift))
    return x


def repeat_interleave(x: Affine, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Affine:
    if dim is None:
        raise Refused("it flattens the batch; give the axis along which it is to repeat")
    dim = axis_of(x, dim, "repeats rows")
    return picked(x, dim, torch.arange(x.constant.shape[dim]).repeat_interleave(repeats))


def repeat(x: Affine, *sizes: Any, **named: Any) -> Affine:
    times = flat(sizes or tuple(named.values()))
    times = [1] * (x.constant.ndim - len(times)) + times
    if len(times) > x.constant.ndim or times[0] != 1:
        raise Refused("it repeats rows of the batch; give 1 for the batch axis")
    for dim, count in enumerate(times):
        if count != 1:
            x = picked(x, dim, torch.arange(x.constant.shape[dim]).repeat(count))
    return x


def expand(x: Affine, *sizes: Any, **named: Any) -> Affine:
    wanted = flat(sizes or tuple(named.values()))
    if len(wanted) != x.constant.ndim or wanted[0] not in (-1, ROWS):
        raise Refused("it adds an axis before the batch axis, or repeats rows; give -1 for the batch axis")
    return widened(x, tuple(n if m == -1 else m for n, m in zip(x.shape, wanted[1:], strict=True)))


def expand_as(x: Affine, other: Any) -> Affine:
    return widened(x, other.shape if isinstance(other, Affine) else tuple(other.shape[1:]))


def widened(x: Affine, shape: Shape) -> Affine:
    """Axes of length 1 repeated, as torch broadcasts them."""
    if len(shape) != len(x.shape) or any(n not in (1, m) for n, m in zip(x.shape, shape, strict=True)):
        raise Refused(
            f"rows of shape {list(x.shape)} cannot be expanded to {list(shape)}; only axes of length 1 repeat"
        )
    for dim, (n, m) in enumerate(zip(x.shape, shape, strict=True), start=1):
        if n != m:
            x = picked(x, dim, torch.zeros(m, dtype=torch.int64))
    return x


def pad(x: Affine, pad: Any, mode: str = "constant", value: float | None = None) -> Affine:
    """Axes from the last on, ``(before, after)`` each; constants are zeros with something added."""
    sides = [(pad[k], pad[k + 1]) for k in range(0, len(pad), 2)]
    if len(sides) >= x.constant.ndim:
        raise Refused("it pads the batch axis; leave that one out")
    added = F.pad(torch.zeros_like(x.constant), tuple(pad), value=value) if mode == "constant" and value else None
    for k, (before, after) in enumerate(sides, start=1):
        dim = x.constant.ndim - k
        numbers = torch.arange(x.constant.shape[dim], dtype=torch.float64)[None, None]
        gaps = {"value": -1.0} if mode == "constant" else {}
        line = F.pad(numbers, (before, after), mode, **gaps)
        x = picked(x, dim, line[0, 0].long())
    return x if added is None else x.plus(added)


def rearranged(x: Affine, function: Callable[[Tensor], Tensor]) -> Affine:
    """Units of each row in whatever order, or left out, or set to 0, as a function orders numbers."""
    units = size(x.shape)
    numbers = torch.arange(1, 2 * units + 1, dtype=torch.float64).reshape(2, *x.shape)
    after = function(numbers)
    index = after[:1].flatten().long() - 1
    second = torch.where(index < 0, 0, index + units + 1)
    if len(after) != 2 or not torch.equal(after[1:].flatten().long(), second):
        raise Refused("it mixes rows; flatten each row first, with x.flatten(1)")
    flat_units = shaped(x, (units,))
    return shaped(picked(flat_units, 1, index), tuple(after.shape[1:]))


def flat(values: Any) -> list[int]:
    """Numbers given one by one or as a tuple."""
    return [int(n) for v in values for n in (v if isinstance(v, tuple | list | torch.Size) else (v,))]
