"""The noise of observations about a network's output, as it is given and as it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from spikebayes.errors import DataError
from spikebayes.machine.numbers import native


def as_noise_std(given: Any, shape: Sequence[int], name: str = "noise_std") -> Tensor:
    """``[C]`` or ``[B, C]`` float32 for samples of shape ``[S, B, C]``, or one number for all (else DataError)."""
    try:
        noise = torch.as_tensor(native(given), dtype=torch.float32, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{name} must be a number, or one for each output: {error}") from error
    _, rows, outputs = shape
    noise = noise.repeat(outputs) if noise.ndim == 0 else noise
    if noise.shape not in ((outputs,), (rows, outputs)) or not ((noise > 0) & noise.isfinite()).all():
        shown = noise.tolist() if noise.numel() <= 10 else list(noise.shape)
        raise DataError(f"{name} must be [{outputs}] or [{rows}, {outputs}], positive and finite; got {shown}")
    return noise


def noise_over_samples(noise: Tensor, shape: Sequence[int], given: Tensor | float | None = None) -> Tensor:
    """``[B, C]``, the root mean square over samples of a noise ``[S, B, C]`` (else DataError).

    ``given`` is refused if it is any other.
    """
    if noise.shape != shape or not bool((noise > 0).all() and noise.isfinite().all()):
        raise DataError(f"noise_samples must be {list(shape)} as the samples, positive and finite")
    found = root_mean_square(noise, 0)
    if given is not None and not (isinstance(given, Tensor) and torch.equal(given, found)):
        raise DataError("noise_std follows from noise_samples: give one of them, and None for the other")
    return found


def root_mean_square(values: Tensor, dim: int | tuple[int, ...]) -> Tensor:
    """Over axes, of positive values whose squares float32 may not hold.

    Example:
        >>> root_mean_square(torch.tensor([3e-30, 4e-30]), 0)
        tensor(3.5355e-30)
    """
    largest = values.amax(dim, keepdim=True)
    return ((values / largest).square().mean(dim, keepdim=True).sqrt() * largest).squeeze(dim)
