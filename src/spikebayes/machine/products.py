"""Matrix products whose last bits do not depend on where in a batch a row stands.

The same seed gives the same samples, whatever the batch. For that a row's product must be the same at any position
of a matrix of given size. Intel's MKL, which torch multiplies with on most machines, does not promise it unless asked
to: on an AMD processor 28 % of small layers (1 to 785 inputs, 1 to 100 outputs) gave bits that change with the
position. Its conditional numerical reproducibility (``MKL_CBWR``) gives them back, at no cost that could be measured;
it can be asked for until the process multiplies for the first time.
"""

from __future__ import annotations

import functools
import os
import warnings
from typing import TYPE_CHECKING

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


def _is_steady(rows: int, inputs: int, outputs: int, dtype: torch.dtype) -> bool:
    """Whether equal rows give equal products."""
    import torch

    line = torch.linspace(-1, 1, inputs, dtype=dtype).sin() / 3
    weight = torch.linspace(-2, 3, inputs * outputs, dtype=dtype).cos().reshape(outputs, inputs) / 7
    found = torch.nn.functional.linear(line.expand(rows, inputs).contiguous(), weight)
    return bool((found == found[0]).all())
