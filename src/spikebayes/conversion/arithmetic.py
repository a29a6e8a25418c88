"""Sums and products: a network value with another, or with a constant."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikebayes.conversion.affine import Affine
from spikebayes.conversion.moves import ROWS, widened
from spikebayes.conversion.refusals import Refused
from spikebayes.network.operators import Scale


def add(a: Any, b: Any, *, alpha: float = 1) -> Affine:
    """a + alpha b, one of them a network value, the other too or a constant; axes of length 1 are repeated."""
    b = b if alpha == 1 else multiply(b, alpha)
    if not isinstance(a, Affine):
        a, b = b, a
    b = detached(b)
    other = tuple(b.constant.shape) if isinstance(b, Affine) else tuple(getattr(b, "shape", ()))
    if isinstance(b, Affine) and len(b.shape) != len(a.shape):
        raise Refused(f"it adds rows of shapes {list(a.shape)} and {list(b.shape)}; give them the same axes")
    shape = _common(
        a,
        other,
        "the added constant is larger than the value it is added to; add the same to every row, and draw no numbers",
    )
    return widened(a, shape).plus(widened(b, shape) if isinstance(b, Affine) else b)


def subtract(a: Any, b: Any, *, alpha: float = 1) -> Affine:
    """a - alpha b."""
    return add(a, multiply(b, -alpha))


def multiply(a: Any, b: Any) -> Any:
    """a b, at most one of them a network value."""
    if not isinstance(a, Affine):
        a, b = b, a
    if isinstance(b, Affine):
        raise Refused(
            "a product of two network values is not linear; multiply by fixed tensors only, add the values up, or "
            "give code=spikebayes.Graded(10), under which squares give it"
        )
    if not isinstance(a, Affine):
        return a * b
    factor = torch.as_tensor(detached(b), dtype=a.constant.dtype)
    shape = _common(
        a,
        tuple(factor.shape),
        "the factor is larger than the value it multiplies; take the same for every row, and draw no numbers",
    )
    factor = factor.squeeze(0) if factor.ndim > len(a.shape) else factor
    return widened(a, shape).then(Scale(factor.clone()))


def divide(a: Any, b: Any) -> Any:
    """a / b, b a constant."""
    if isinstance(b, Affine):
        raise Refused("a division by a network value is not linear; divide by fixed numbers only")
    divisor = detached(b)
    if bool((torch.as_tensor(divisor) == 0).any()):
        raise Refused("it divides by 0; clamp the divisor away from 0")
    return multiply(a, 1 / divisor)


def _common(a: Affine, other: tuple[int, ...], refusal: str) -> tuple[int, ...]:
    """The shape of a row after broadcasting with a shape; the batch stays the first axis."""
    batch, *shape = torch.broadcast_shapes(tuple(a.constant.shape), other)
    if batch != 1 or len(shape) != len(a.shape):
        raise Refused(refusal)
    return tuple(shape)


def detached(value: Any) -> Any:
    """A tensor out of the gradient's reach, one row if it has a batch of equal ones; anything else as it is."""
    return one_row(value.detach()) if isinstance(value, Tensor) else value


def one_row(value: Tensor) -> Tensor:
    """The first of as many equal rows as a traced batch has; anything else as it is."""
    batch = value.ndim > 0 and len(value) == ROWS and bool((value == value[:1]).all())
    return value[:1] if batch else value
