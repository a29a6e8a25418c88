"""What a forward decides by the values of tensors: where that is about its whole batch, rows are mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

READ = {Tensor.__bool__, Tensor.equal, Tensor.allclose, torch.equal, torch.allclose}


class Decisions(TorchFunctionMode):
    """While active, notes what tensors are true or false, in the order in which they are asked.

    Example:
        >>> with Decisions() as decisions:
        ...     sign = 1 if torch.ones(3).sum() > 5 else -1
        >>> sign, decisions.taken
        (-1, [False])
    """

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
