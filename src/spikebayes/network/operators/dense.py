"""Weights between all units of the last axis, and factors on single units."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from spikebayes.machine.arguments import checked
from spikebayes.network.operators.operator import Operator, Shape, WeightRows, size
from spikebayes.network.operators.patterns import ByAxis, Pattern, ones_of
from spikebayes.network.vocabulary import stored

if TYPE_CHECKING:
    from spikebayes.network.operators.operator import Matrix


@checked
@stored
class Dense(Operator):
    """y = x W^T on the last axis. weight: ``[out, in]``."""

    weight: Tensor  # pyright: ignore[reportIncompatibleVariableOverride]
    row_axis: int | None = -1

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight)

    def weight_rows(self) -> WeightRows:
        def unfold(x: Tensor) -> Tensor:
            return x.flatten(1, -2) if x.ndim > 2 else x[:, None]

        return WeightRows(self.weight, unfold, lambda u, target: u.reshape(len(u), *target))

    def matrix(self, source: Shape) -> Matrix:
        from scipy import sparse

        weight = self.weight.double().numpy().T  # [in, out]
        lead = size(source[:-1])
        return weight if lead == 1 else sparse.csr_array(sparse.kron(sparse.eye_array(lead), weight))

    def pattern(self, source: Shape) -> Pattern:
        out, into = self.weight.shape
        return ByAxis.of(source, (*(None for _ in source[1:]), ones_of(into, out)))


@checked
@stored
class Scale(Operator):
    """y = factor x, elementwise. factor: broadcasts against ``[*shape]``."""

    factor: Tensor

    def __init__(self, factor: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def works(self, source: Shape) -> bool:
        return True

    def factors(self, source: Shape) -> Tensor:
        return self.factor.expand(source)

    def offset(self, source: Shape) -> int | None:
        return 0 if self.factor.ndim == 0 else None

    def matrix(self, source: Shape) -> Matrix:
        from scipy import sparse

        return sparse.csr_array(sparse.diags_array(self.factors(source).double().flatten().numpy()))

    def pattern(self, source: Shape) -> Pattern:
        return ByAxis.of(source, (None for _ in source))
