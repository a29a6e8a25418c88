"""Operators one after another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from spikebayes.machine.arguments import checked
from spikebayes.network.operators.operator import Operator, Shape, WeightRows, size, target_shape, tidied
from spikebayes.network.operators.patterns import Laid, Pattern
from spikebayes.network.vocabulary import stored

if TYPE_CHECKING:
    from spikebayes.network.operators.operator import Matrix


@checked
@stored
class Chain(Operator):
    """Operators one after another; an empty chain is the identity."""

    def __init__(self, operators: tuple[Operator, ...] = ()) -> None:
        super().__init__()
        self.operators: nn.ModuleList = nn.ModuleList(operators)

    def forward(self, x: Tensor) -> Tensor:
        for operator in self.operators:
            x = operator(x)
        return x

    @property
    def parts(self) -> tuple[Operator, ...]:
        return tuple(part for operator in self._steps() for part in operator.parts)

    @property
    def rearranges(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return all(part.rearranges for part in self.parts)

    @property
    def reshapes(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        return all(part.reshapes for part in self.parts)

    def replaced(self, new: dict[Operator, Operator]) -> Operator:
        if self not in new:
            steps = tuple(step.replaced(new) for step in self._steps())
            same = all(a is b for a, b in zip(steps, self._steps(), strict=True))
            new[self] = self if same else Chain(steps)
        return new[self]

    def ending_in(self, last: Operator) -> Operator:
        before = self.parts[:-1]
        return Chain((*before, last)) if before else last

    def weight_rows(self) -> WeightRows | None:
        *before, last = self.parts or (self,)
        found = last.weight_rows() if self.parts else None
        if found is None:
            return None
        first = Chain(tuple(before))
        return WeightRows(found.weight, lambda x: found.unfold(first(x)), found.fold)

    def factors(self, source: Shape) -> Tensor | None:
        total = torch.ones(()).expand(source)
        for part, shape in self.working(source):
            factors = part.factors(shape)
            if factors is None:
                return None
            total = total * factors.reshape(source)
        return total if target_shape(self, source) == source else None

    def works(self, source: Shape) -> bool:
        return any(part.works(shape) for part, shape in self.working(source))

    def offset(self, source: Shape) -> int | None:
        total = 0
        for part in self.parts:
            found = part.offset(source)
            if found is None:
                return None
            total, source = total + found, target_shape(part, source)
        return total

    def matrix(self, source: Shape) -> Matrix:
        from scipy import sparse

        product: Any = None
        for part, shape in self.working(source):
            matrix = part.matrix(shape)
            product = matrix if product is None else tidied(product @ matrix)
        return sparse.csr_array(sparse.eye_array(size(source))) if product is None else product

    def pattern(self, source: Shape) -> Pattern:
        from scipy import sparse

        total: Any = sparse.eye_array(size(source), format="csr")
        for part, shape in self.working(source):
            ones = part.pattern(shape).forward(torch.eye(size(shape)).double().reshape(-1, *shape))
            total = ((total @ sparse.csr_array(ones.flatten(1).numpy())) != 0).astype(float)
        return Laid(source, target_shape(self, source), total)

    def _steps(self) -> tuple[Operator, ...]:
        return tuple(self.operators)  # pyright: ignore[reportReturnType]
