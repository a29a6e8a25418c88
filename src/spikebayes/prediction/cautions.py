"""Uses that give numbers, but hardly those that were meant: said once, as warnings."""

from __future__ import annotations

import warnings
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor

from spikebayes.prediction.sampling import SamplingPlan

FAR, OFTEN = 10.0, 0.02  # standard deviations: beyond lie at most 1 % of what was standardised (Chebyshev)
CLOSE, ENOUGH = 0.1, 20  # root mean square of inputs that were standardised by something else, and rows to say so
SATURATED = 1e-3  # share of a population's values
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
                "these are values as they were measured, then use fitted.predict(x) or give "
                "fitted.scaling.inputs(x); or they lie far from the training rows",
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
