"""What a graph's call gives to a rule: its arguments by their places, and in words why they do not fit."""

from __future__ import annotations

import re
from typing import Any

from torch import fx
from torch.utils._pytree import tree_leaves

from spikebayes.conversion.affine import Affine
from spikebayes.conversion.refusals import Refused

FIRST = ("input", "tensor", "x"), ("other", "mat2")  # names of a call's first argument, and of its second
UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def in_order(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A call's first arguments by their places, where it gives them by name.

    Example:
        >>> in_order((), {"input": 5, "other": 7, "alpha": 2})
        ((5, 7), {'alpha': 2})
    """
    rest = dict(keywords)
    for place, names in enumerate(FIRST):
        name = next((name for name in names if name in rest), None)
        if len(arguments) == place and name is not None:
            arguments = (*arguments, rest.pop(name))
    return arguments, rest


def misfit(error: Exception) -> tuple[str, str]:
    """Why a call's arguments do not fit, and what to do.

    Example:
        >>> misfit(TypeError("divide() got an unexpected keyword argument 'rounding_mode'"))[0]
        'with rounding_mode it is not supported'
    """
    said = (str(error).splitlines() or [type(error).__name__])[0]
    if unknown := UNEXPECTED.search(said):
        return f"with {unknown[1]} it is not supported", "leave that out, and do it by an operation of its own"
    return f"cannot be converted: {said}", "check the call: its arguments do not fit"


def refuse_infinite(node: fx.Node, value: Any, given: Any) -> None:
    """Refuse what makes values infinite or NaN by numbers of forward; ``faults`` looks at those of layers."""

    def finite(x: Any) -> bool:
        return not isinstance(x, Affine) or bool(x.constant.isfinite().all())

    if node.op != "call_module" and not finite(value) and all(map(finite, tree_leaves(given))):
        raise Refused("it makes values infinite or NaN; use finite numbers, and h * mask to silence a unit")
