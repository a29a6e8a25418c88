"""Uses that give numbers, but hardly those that were meant: said once, as warnings."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from spikebayes.prediction.sampling import SamplingPlan

FAR, OFTEN = 10.0, 0.02  # standard deviations: beyond lie at most 1 % of what was standardised (Chebyshev)
CLOSE, ENOUGH = 0.1, 20  # root mean square of inputs that were standardised by something else, and rows to say so
SATURATED = 1e-3  # share of a population's values
LUMPS, LOOKED_AT = 20, 64  # steps of float32 below which a spread is rounding, and rows to see it
OFFSETS = 100.0, 1e4  # sizes of outputs from which on that is looked for: where they differ, and where they do not
BATCHES = 3  # of other rows under the same masks: a loop
REMEMBERED = 64  # kinds of calls of a model: a loop makes one, or two

_asked: WeakKeyDictionary[Any, dict[tuple[int, int], set[int]]] = WeakKeyDictionary()


def warn_of_raw_inputs(parts: tuple[Tensor, ...], standardised: bool) -> None:
    """Inputs of a network that was trained on standardised ones, and that are none.

    Args:
        parts: ``[B, *shape]`` of each argument.
        standardised: whether it was.

    Warns:
        UserWarning: more values are far from 0 than a standardised table can have, or all are close to it.
    """
    for x in parts if standardised else ():
        far = float((x.abs() > FAR).double().mean())
        size = float(x.double().pow(2).mean().sqrt())
        if far > OFTEN or (size < CLOSE and len(x) >= ENOUGH):
            found = f"{far:.0%} of the inputs lie beyond {FAR:g}" if far > OFTEN else f"inputs are about {size:.2g}"
            warnings.warn(
                f"the network was trained on standardised inputs (mean 0, standard deviation 1), and {found}: either "
                "they lie far from the training rows, as values in another unit do; or they are values as they were "
                "measured, given to the network itself: then use fitted.predict(x) or give fitted.scaling.inputs(x)",
                stacklevel=4,
            )


def warn_of_saturation(shares: dict[str, float]) -> None:
    """Neurons cut off at their highest level, which makes a network look surer than it is.

    Args:
        shares: of neurons and samples, by population.

    Warns:
        UserWarning: more than one in a thousand of a population.
    """
    worst = max(shares, key=lambda name: shares[name], default=None)
    if worst is not None and shares[worst] > SATURATED:
        warnings.warn(
            f"{shares[worst]:.1%} of the values of population {worst!r} lie above its highest level and are cut off, "
            "which makes the network look surer than it is: convert it with rows like these as calibrate=, or with a "
            "larger headroom",
            stacklevel=5,
        )


def warn_of_rounding(samples: Tensor, names: Sequence[str]) -> None:
    """Outputs whose samples differ by less than float32, in which they are kept, can tell beside an offset.

    Args:
        samples: ``[S, B, C]``; the first rows are looked at.
        names: of the outputs.

    Warns:
        UserWarning: names the first such output.
    """
    if len(samples) < 2:
        return
    some = samples[:, :LOOKED_AT].double()
    spread, size = some.std(0).median(0).values, some.abs().mean((0, 1))  # [C]
    step = size * torch.finfo(torch.float32).eps
    lumps = (spread > 0) & (spread < LUMPS * step) & (size > OFFSETS[0])
    flat = (spread == 0) & (size > OFFSETS[1])
    for at in (lumps | flat).nonzero().flatten()[:1].tolist():
        told = f"differ by {float(spread[at]):.2g}" if lumps[at] else "do not differ at all"
        warnings.warn(
            f"samples of {names[at]} {told}, where float32, in which they are kept, has steps of "
            f"{float(step[at]):.2g} (at {float(size[at]):.3g}): their spread is rounding, unless the output is a "
            "constant. Take the offset off the network's output, and add it to what is predicted",
            stacklevel=4,
        )


def warn_of_repeated_masks(model: Any, parts: tuple[Tensor, ...], plan: SamplingPlan) -> None:
    """Batches made by hand, whose rows are all numbered from 0, so that each has the masks of the one before.

    Warns:
        UserWarning: equally many other rows were predicted under the same masks twice before.
    """
    if plan.rows is not None or plan.mask_scope == "pass":
        return
    of_model, kind = _asked.setdefault(model, {}), (plan.seed, len(parts[0]))
    if len(of_model) >= REMEMBERED and kind not in of_model:
        of_model.pop(next(iter(of_model)))
    calls = of_model.setdefault(kind, set())
    if len(calls) >= BATCHES:  # it was said
        return
    mark = hash(tuple(float(x[at].double().sum()) for x in parts for at in (0, -1)))
    before = len(calls)
    calls.add(mark)
    if before < len(calls) == BATCHES:
        warnings.warn(
            f"{BATCHES} times {len(parts[0])} other rows were predicted with one seed, and numbered from 0: "
            "their masks are the same. Of one data set predict all rows at once (memory is bounded), or give rows=, "
            "their numbers in it",
            stacklevel=4,
        )
