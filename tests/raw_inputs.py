"""What forwards do to their raw input by ways of torch that are not Python, and what ``check`` says to each.

``python tests/raw_inputs.py`` prints a line for each way. In a process of its own: a fault is a segmentation fault.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.utils.checkpoint as checkpoints
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils import dlpack

from spikebayes import check

CONVERTS, TAKEN_OUT = "converts", "takes the numbers out of a value"


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * x

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return 2 * g


class Fed(nn.Module):
    """A network that reads its input in one of the ways."""

    def __init__(self, way: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.d, self.o = nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 2)
        self.way = [way]

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.d(torch.relu(self.way[0](self.a, x))))


def written(x: Tensor) -> Tensor:
    x[:, 0] = 0
    return x


def asked(x: Tensor) -> Tensor:
    assert isinstance(x, Tensor)
    assert torch.is_tensor(x)
    assert not isinstance(x, nn.Parameter)
    assert not x.requires_grad
    assert f"{x} {x!r} {x!s}"
    assert {x: 1}[x] == 1
    assert (x.shape[1], x.ndim, x.dtype, x.device.type, x.is_cuda) == (4, 2, torch.float32, "cpu", False)
    return x


def outside_torch_functions(a: nn.Linear, x: Tensor) -> Tensor:
    with torch._C.DisableTorchFunctionSubclass():
        return F.linear(x, torch.ones(8, 4))


WAYS: dict[str, tuple[Callable[[Any, Tensor], Any], str]] = {  # and what a line about each says
    "checkpoint": (lambda a, x: checkpoints.checkpoint(a, x, use_reentrant=False), CONVERTS),
    "checkpoint, reentrant": (lambda a, x: checkpoints.checkpoint(a, x, use_reentrant=True), CONVERTS),
    "autograd.Function": (lambda a, x: a(Twice.apply(x)), CONVERTS),
    "as_tensor": (lambda a, x: a(torch.as_tensor(x)), CONVERTS),
    "asarray": (lambda a, x: a(torch.asarray(x)), CONVERTS),
    "tensor": (lambda a, x: a(torch.tensor(x)), TAKEN_OUT),
    "Tensor": (lambda a, x: a(torch.Tensor(x)), TAKEN_OUT),
    "FloatTensor": (lambda a, x: a(torch.FloatTensor(x)), TAKEN_OUT),
    "Parameter": (lambda a, x: a(nn.Parameter(x)), TAKEN_OUT),
    "_make_subclass": (lambda a, x: a(Tensor._make_subclass(Tensor, x)), TAKEN_OUT),
    "as_subclass": (lambda a, x: a(x.as_subclass(Tensor)), "cannot be traced"),
    "vmap": (lambda a, x: torch.vmap(a)(x), TAKEN_OUT),
    "vmap of a function": (lambda a, x: a(torch.vmap(torch.sin)(x)), TAKEN_OUT),
    "grad": (lambda a, x: a(torch.func.grad(lambda z: z.sum())(x)), TAKEN_OUT),
    "jvp": (lambda a, x: torch.func.jvp(a, (x,), (x,))[0], TAKEN_OUT),
    "functional_call": (lambda a, x: torch.func.functional_call(a, dict(a.named_parameters()), (x,)), CONVERTS),
    "cond": (lambda a, x: torch.cond(True, a, a, (x,)), CONVERTS),
    "from_numpy": (lambda a, x: a(torch.from_numpy(np.asarray(x))), TAKEN_OUT),
    "numpy function": (lambda a, x: a(np.maximum(x, 0)), TAKEN_OUT),
    "from_dlpack": (lambda a, x: a(torch.from_dlpack(x)), "cannot be traced"),
    "to_dlpack": (lambda a, x: a(dlpack.from_dlpack(torch._C._to_dlpack(x))), TAKEN_OUT),
    "nested tensor": (lambda a, x: a(torch.nested.nested_tensor([x])), TAKEN_OUT),
    "without torch functions": (outside_torch_functions, TAKEN_OUT),
    "copy made first": (lambda a, x: F.linear(torch.tensor(x), torch.ones(8, 4)), TAKEN_OUT),
    "float": (lambda a, x: a(x) * float(x), TAKEN_OUT),
    "bool": (lambda a, x: a(x) if x else x, "control flow"),
    "rows": (lambda a, x: torch.stack([a(row) for row in x]), "one by one"),
    "contains": (lambda a, x: a(x) if 1.0 in x else x, "control flow"),
    "pad_sequence": (lambda a, x: a(nn.utils.rnn.pad_sequence([x])[0]), "function pad_sequence"),
    "lstm_cell": (
        lambda a, x: a(torch.lstm_cell(x, (x, x), torch.ones(16, 4), torch.ones(16, 4))[0]),
        "feed-forward",
    ),
    "aten": (lambda a, x: a(torch.ops.aten.relu.default(x)), "function relu"),
    "storage": (lambda a, x: a(x.untyped_storage()), "method untyped_storage"),
    "jit.trace": (lambda a, x: torch.jit.trace(nn.Linear(4, 8), x)(x), "cannot be traced"),  # pyright: ignore
    "save": (lambda a, x: torch.save(x, "/dev/null") or a(x), "cannot be traced"),
    "written into": (lambda a, x: a(written(x)), "instead of writing into it"),
    "asked": (lambda a, x: a(asked(x)), CONVERTS),
    "copy": (lambda a, x: a(copy.copy(x)), CONVERTS),
    "deepcopy": (lambda a, x: a(copy.deepcopy(x)), CONVERTS),
    "arithmetic": (lambda a, x: a(1 + 2 * x - (3 - x) / 2 @ torch.eye(4) + torch.ones(4) * x), CONVERTS),
    "in place": (lambda a, x: a(x.add_(1)), CONVERTS),
    "zeros like it": (lambda a, x: a(x + torch.zeros_like(x) + x.new_ones(4)), CONVERTS),
}


def main() -> None:
    warnings.simplefilter("ignore")
    for name, (way, _) in WAYS.items():
        found = check(Fed(way), torch.randn(120, 4))
        print(name, " | ".join(map(str, found.obstacles)) or CONVERTS, sep="\t", flush=True)


if __name__ == "__main__":
    main()
