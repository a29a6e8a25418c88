"""What adds units up with fixed factors: products with matrices, sums and means over axes, interpolation."""

from __future__ import annotations

from collections.abc import Callable
from string import ascii_letters
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.conversion.affine import Affine
from spikebayes.conversion.moves import axis_of, flat, picked, shaped
from spikebayes.conversion.refusals import Refused
from spikebayes.network.operators import AdaptiveAvgPool, Conv, Dense, Mix, Operator, Permute, Scale, size

#: an operator for a key, made when it is first asked for
Once = Callable[[tuple[Any, ...], Callable[[], Operator]], Operator]

NOT_LINEAR = "a product of two network values is not linear; multiply by fixed tensors only, or add the values up"
INTERPOLATED = {"linear": "bilinear", "trilinear": "bilinear"}  # torch's names for the same along each axis


# -- products ----------------------------------------------------------------------------------------------


def matmul(once: Once, a: Any, b: Any) -> Affine:
    """a @ b, one of them a fixed matrix or a stack of them."""
    if isinstance(a, Affine) and isinstance(b, Affine):
        raise Refused(NOT_LINEAR)
    value, fixed = (a, b) if isinstance(a, Affine) else (b, a)
    rank = value.constant.ndim
    if fixed.ndim < 2 or fixed.ndim > rank or (value is b and rank < 3):
        raise Refused(
            f"a fixed tensor of shape {list(fixed.shape)} times rows of shape {list(value.shape)}; "
            "say what is summed by torch.einsum, with the batch axis first"
        )
    letters = ascii_letters[:rank]
    lead, (row, column), new = letters[:-2], letters[-2:], ascii_letters[rank]
    stacked = lead[len(lead) - (fixed.ndim - 2) :]
    if value is a:
        return einsum(once, f"{letters},{stacked}{column}{new}->{lead}{row}{new}", value, fixed)
    return einsum(once, f"{stacked}{new}{row},{letters}->{lead}{new}{column}", fixed, value)


def einsum(once: Once, equation: str, *operands: Any) -> Affine:
    """One network value with at most one fixed tensor; its first axis is the batch and stays first."""
    operands = tuple(operands[0]) if len(operands) == 1 and isinstance(operands[0], tuple | list) else operands
    values = [o for o in operands if isinstance(o, Affine)]
    if len(values) != 1:
        raise Refused(NOT_LINEAR)
    if len(operands) > 2:
        raise Refused("it multiplies several fixed tensors; multiply these with each other first")
    names, result = _named(equation, [o.constant.ndim if isinstance(o, Affine) else o.ndim for o in operands])
    (x,) = values
    at = next(k for k, o in enumerate(operands) if o is x)
    mine, batch = names[at][1:], names[at][0]
    other = names[1 - at] if len(operands) == 2 else ""
    if any(len(set(n)) != len(n) for n in (*names, result)):
        raise Refused(
            "an axis stands twice in one part of the equation; take the diagonal out before, or multiply by a mask"
        )
    if result[:1] != batch or batch in other or batch in mine:
        raise Refused("it sums over the batch axis or moves it; the batch is the first axis, before and after")
    fixed = operands[1 - at].detach() if other else torch.ones((), dtype=x.constant.dtype)
    sizes = dict(zip(mine, x.shape, strict=True))
    for name, n in zip(other, fixed.shape, strict=True):
        if sizes.setdefault(name, n) != n:
            raise Refused(
                f"axis {name!r} has {sizes[name]} units in one part of the equation, {n} in another; make them equal"
            )
    key = (operands[1 - at] if other else None, equation, x.shape)
    return _contracted(once, key, x, fixed, mine, other, result[1:], sizes)


def _named(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The axes of each operand and of the result, every one with a letter."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise Refused(
            f"the equation {equation!r} has {len(terms)} parts for {len(ranks)} tensors; write one for each"
        )
    spare = [c for c in ascii_letters if c not in equation]
    longest = ""
    found = []
    for term, rank in zip(terms, ranks, strict=True):
        hidden = rank - len(term.replace("...", ""))
        if hidden < 0 or (hidden and "..." not in term):
            raise Refused(
                f"{term!r} in the equation {equation!r} does not fit a tensor of {rank} axes; write a letter for each"
            )
        dots = "".join(spare[hidden - 1 :: -1][:hidden]) if hidden else ""  # broadcast from the last axis on
        longest = max(longest, dots, key=len)
        found.append(term.replace("...", dots))
    if not arrow:
        single = sorted(c for c in set("".join(found)) if "".join(found).count(c) == 1 and c not in longest)
        return found, longest + "".join(single)
    return found, result.replace("...", longest)


def _contracted(
    once: Once, key: Any, x: Affine, fixed: Tensor, mine: str, other: str, result: str, sizes: dict[str, int]
) -> Affine:
    """The sum over all axes that the result has not, of x times a fixed tensor."""
    alone = [k for k, c in enumerate(mine) if c not in result and c not in other]
    x = total(x, [k + 1 for k in alone], keepdim=False) if alone else x
    mine = "".join(c for c in mine if c in result or c in other)
    idle = [k for k, c in enumerate(other) if c not in result and c not in mine]
    fixed = fixed.sum(idle) if idle else fixed
    other = "".join(c for c in other if c in result or c in mine)
    if not set(result) <= set(mine + other):
        raise Refused("the result has an axis that none of the tensors has; expand() repeats values along a new axis")

    def named(names: str) -> tuple[int, ...]:
        return tuple(sizes[c] for c in names)

    def ordered(names: str) -> Tensor:
        return fixed.permute([other.index(c) for c in names])

    kept = "".join(c for c in mine if c not in other)
    paired = "".join(c for c in mine if c in other and c in result)
    summed = "".join(c for c in mine if c in other and c not in result)
    new = "".join(c for c in other if c not in mine)
    if not summed and not new:
        if paired:
            factor = ordered(paired).reshape([sizes[c] if c in paired else 1 for c in mine])
            x = x.then(once((*key, "scale"), lambda: Scale(factor.to(x.constant.dtype).clone())))
        return _arranged(x, mine, result)
    if not paired:
        weight = ordered(new + summed).reshape(size(named(new)), size(named(summed)))
        x = shaped(_arranged(x, mine, kept + summed), (*named(kept), size(named(summed))))
        x = x.then(once((*key, "dense"), lambda: Dense(weight.to(x.constant.dtype).clone())))
        return _arranged(shaped(x, (*named(kept), *named(new))), kept + new, result)
    groups, into, out = (size(named(names)) for names in (paired, summed, new))
    weight = ordered(paired + new + summed).reshape(groups * out, into, 1)
    x = shaped(_arranged(x, mine, paired + summed + kept), (groups * into, size(named(kept))))
    conv = once((*key, "conv"), lambda: Conv(weight.to(x.constant.dtype).clone(), (1,), (0,), (1,), groups))
    return _arranged(shaped(x.then(conv), named(paired + new + kept)), paired + new + kept, result)


def _arranged(x: Affine, names: str, wanted: str) -> Affine:
    """Axes in the order of their names."""
    return x if names == wanted else x.then(Permute(tuple(names.index(c) + 1 for c in wanted)))


# -- sums over axes ----------------------------------------------------------------------------------------


def sum_of(x: Affine, dim: Any = None, keepdim: bool = False, **named: Any) -> Affine:
    return total(x, _axes(x, dim, keepdim, named, "a sum"), keepdim)


def mean_of(x: Affine, dim: Any = None, keepdim: bool = False, **named: Any) -> Affine:
    dims = _axes(x, dim, keepdim, named, "a mean")
    if dims == list(range(2, x.constant.ndim)) and len(dims) in (1, 2):
        pooled = x.then(AdaptiveAvgPool((1,) * len(dims)))
        return pooled if keepdim else shaped(pooled, x.shape[:1])
    return total(x, dims, keepdim, mean=True)


def total(x: Affine, dims: list[int], keepdim: bool, mean: bool = False) -> Affine:
    """Sums, or means, over axes counted from the front."""
    for dim in dims:
        n = x.constant.shape[dim]
        x = x.then(Mix(dim, torch.full((1, n), 1 / n if mean else 1.0, dtype=x.constant.dtype)))
    return x if keepdim else shaped(x, tuple(n for k, n in enumerate(x.shape, start=1) if k not in dims))


def cumsum(x: Affine, dim: int, **_: Any) -> Affine:
    dim = axis_of(x, dim, "adds up rows")
    return x.then(Mix(dim, torch.ones([x.constant.shape[dim]] * 2, dtype=x.constant.dtype).tril()))


def _axes(x: Affine, dim: Any, keepdim: bool, named: dict[str, Any], what: str) -> list[int]:
    dim = named.pop("axis", dim)
    unknown = [name for name, value in named.items() if name != "dtype" and value is not None]
    if unknown:
        raise Refused(f"{what} with {unknown[0]} is not supported; leave it out")
    if dim is None:
        raise Refused(f"{what} over everything mixes rows; give the axes, without the batch axis")
    dims = sorted(axis_of(x, d, "sums") for d in flat((dim,)))
    if len(dims) == len(x.shape) and not keepdim:
        raise Refused(f"{what} over all axes leaves a row without any; keep one, with keepdim=True")
    return dims


# -- interpolation -----------------------------------------------------------------------------------------


def interpolate(
    input: Affine,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Affine:
    """Up- or downsampling of all spatial axes, one after the other: what torch does to one of them is a matrix."""
    x, axes = input, len(input.shape) - 1
    sizes, scales = _each(size, axes), _each(scale_factor, axes)
    for k in range(axes):
        dim, n = k + 2, x.constant.shape[k + 2]
        # two columns: of one alone torch 2.13 takes the axes the wrong way round where it smooths
        lines = torch.eye(n, dtype=torch.float64)[:, None, :, None].repeat(1, 1, 1, 2)  # [n, 1, n, 2]
        along = F.interpolate(
            lines,
            None if sizes is None else (sizes[k], 2),
            None if scales is None else (float(scales[k]), 1.0),
            INTERPOLATED.get(mode, mode),
            align_corners,
            recompute_scale_factor,
            antialias,
        )[:, 0, :, 0].T  # [m, n]
        copies = bool(((along == 0) | (along == 1)).all()) and bool((along.sum(1) == 1).all())
        x = picked(x, dim, along.argmax(1)) if copies else x.then(Mix(dim, along.to(x.constant.dtype).contiguous()))
    return x


def _each(value: Any, axes: int) -> list[Any] | None:
    if value is None:
        return None
    found = list(value) if isinstance(value, tuple | list | torch.Size) else [value] * axes
    if len(found) != axes:
        raise Refused(f"it gives {len(found)} sizes for {axes} spatial axes; give one for each")
    return found
