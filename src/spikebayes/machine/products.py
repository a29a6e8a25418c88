"""Matrix products whose last bits do not depend on where in a batch a row stands, and which are those of float32.

The same seed gives the same samples, whatever the batch. For that a row's product must be the same at any position
of a matrix of given size. Intel's MKL, which torch multiplies with on most machines, does not promise it unless asked
to: on an AMD processor 28 % of small layers (1 to 785 inputs, 1 to 100 outputs) gave bits that change with the
position. Its conditional numerical reproducibility (``MKL_CBWR``) gives them back, at no cost that could be measured;
it can be asked for until the process multiplies for the first time.

Products of float32 may have inputs of fewer bits, where users ask torch for it by
``torch.set_float32_matmul_precision``: TF32 on GPUs, bfloat16 on processors that have it. Convolutions on GPUs are
computed in TF32 unless torch is told otherwise. Sums that are exact in float32 no longer are.
"""

from __future__ import annotations

import functools
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SHAPES = ((64, 13, 7), (128, 30, 2))  # rows, inputs and outputs of products that depend on the position if any do


def ask_for_steady_products() -> None:
    """Ask MKL for them, unless the user has chosen a mode."""
    os.environ.setdefault("MKL_CBWR", "AUTO")


@functools.cache
def check_steady_products() -> None:
    """Warn once if products depend on the position all the same: somebody multiplied before the library was imported.

    Warns:
        UserWarning: with the cure.
    """
    import torch

    if all(_is_steady(*shape, dtype) for shape in SHAPES for dtype in (torch.float32, torch.float64)):
        return
    warnings.warn(
        "torch's matrix products depend on the position of a row on this machine, so the last bits of samples change "
        "with the batch size: import spikebayes before the first product, or set MKL_CBWR=AUTO in the environment",
        stacklevel=3,
    )


class _Inside:
    """Blocks of ``full_precision`` that are open, in all threads, and what to do after the last of them."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.blocks = 0
        self.afterwards: list[Callable[[], None]] = []


_inside = _Inside()


@contextmanager
def full_precision() -> Iterator[None]:
    """Products and convolutions of float32 are computed in float32, whatever the user has asked torch for.

    The setting is one for all threads: it comes back when the last of them is done.
    """
    with _inside.lock:
        if not _inside.blocks:
            _inside.afterwards = _raised()
        _inside.blocks += 1
    try:
        yield
    finally:
        with _inside.lock:
            _inside.blocks -= 1
            for undo in () if _inside.blocks else _inside.afterwards:
                undo()


def _raised() -> list[Callable[[], None]]:
    """Ask torch for full precision; what takes it back."""
    import torch

    undo: list[Callable[[], None]] = []
    try:
        before = torch.get_float32_matmul_precision()
        if before != "highest":
            torch.set_float32_matmul_precision("highest")
            undo.append(functools.partial(torch.set_float32_matmul_precision, before))
        if torch.backends.cudnn.allow_tf32:
            torch.backends.cudnn.allow_tf32 = False
            undo.append(functools.partial(setattr, torch.backends.cudnn, "allow_tf32", True))
    except RuntimeError:  # it was asked for by backend, as follows
        pass
    of: Any = torch.backends  # torch's types do not have all of it
    for place in (of.cuda.matmul, of.cudnn.conv, of.mkldnn.matmul, of.mkldnn.conv):
        if place.fp32_precision not in ("ieee", "none"):
            undo.append(functools.partial(setattr, place, "fp32_precision", place.fp32_precision))
            place.fp32_precision = "ieee"
    return undo


def _is_steady(rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> bool:
    """Whether equal rows give equal products."""
    import torch

    line = torch.linspace(-1, 1, inputs, dtype=dtype).sin() / 3
    weight = torch.linspace(-2, 3, inputs * outputs, dtype=dtype).cos().reshape(outputs, inputs) / 7
    found = torch.nn.functional.linear(line.expand(rows, inputs).contiguous(), weight)
    return bool((found == found[0]).all())
