"""A softmax at a model's end, which is left to the task: the read-out is the logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, fx, nn
from torch.nn import functional as F

from spikebayes.conversion.refusals import Refused

HEADS = {"softmax": F.softmax, "log_softmax": F.log_softmax, "Softmax": F.softmax, "LogSoftmax": F.log_softmax}


def is_head(node: fx.Node, kind: str) -> bool:
    """Whether a call of that kind makes the output class probabilities, or their logarithms."""
    return kind in HEADS and all(user.op == "output" for user in node.users)


def head(
    kind: str, module: nn.Module | None, arguments: Sequence[Any], keywords: dict[str, Any]
) -> tuple[Any, Callable[[Tensor], Tensor]]:
    """What such a call is given, and what it does with it.

    Raises:
        Refused: it goes over the rows of a batch.
    """
    x = arguments[0] if arguments else keywords["input"]
    dim: Any = getattr(module, "dim", None) if module else keywords.get("dim", (*arguments, None)[1])
    axes = len(x.shape) + 1
    dim = (1 if axes in (2, 4) else 0) if dim is None else dim  # torch's old rule
    if dim % axes == 0:
        raise Refused(f"it goes over the rows of a batch; give it dim={1 if axes > 1 else -1}")
    return x, partial(HEADS[kind], dim=dim)
