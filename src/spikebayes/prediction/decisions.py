"""What a forward decides by the values of tensors: where that differs from batch to batch, rows are mixed.

A decision that changes nothing but rounding reads its tensor by ``item()``, and is not noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

READ: set[Callable[..., bool]] = {Tensor.__bool__, Tensor.equal, Tensor.allclose, torch.equal, torch.allclose}
Result = TypeVar("Result")


def decided(run: Callable[[], Result]) -> tuple[Result, list[bool]]:
    """What a function gives, and what it found true or false of tensors, in the order in which it asked.

    Example:
        >>> decided(lambda: 1 if torch.ones(3).sum() > 5 else -1)
        (-1, [False])
    """
    with _Decisions() as decisions:
        result = run()
    return result, decisions.taken


class _Decisions(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.taken: list[bool] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in READ:
            self.taken.append(bool(result))
        return result
