"""Fixed factors between the units of one axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from spikebayes.network.operators.operator import Operator, Shape, size
from spikebayes.network.operators.patterns import ByAxis, Pattern, ones_of
from spikebayes.network.vocabulary import stored

if TYPE_CHECKING:
    from spikebayes.network.operators.operator import Matrix


@stored
class Mix(Operator):
    """y = amounts x along ``dim``: sums, averages and interpolation, with factors that are not trained.

    Args:
        dim: counts axes from 1, as torch does with the batch axis in front.
        amounts: ``[M, N]`` for N units along the axis.

    Example:
        >>> import torch
        >>> Mix(1, torch.tensor([[1.0, 1.0, 1.0], [0.0, 0.5, 0.5]]))(torch.tensor([[1.0, 2.0, 4.0]])).tolist()
        [[7.0, 3.0]]
    """

    amounts: Tensor

    def __init__(self, dim: int, amounts: Tensor) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer("amounts", amounts)

    def forward(self, x: Tensor) -> Tensor:
        return (x.movedim(self.dim, -1) @ self.amounts.T).movedim(-1, self.dim)

    def works(self, source: Shape) -> bool:
        return True

    def matrix(self, source: Shape) -> Matrix:
        from scipy import sparse

        before, after = size(source[: self.dim - 1]), size(source[self.dim :])
        along = sparse.csr_array(self.amounts.double().numpy().T)
        inner = sparse.kron(along, sparse.eye_array(after))
        return sparse.csr_array(sparse.kron(sparse.eye_array(before), inner, format="csr"))

    def pattern(self, source: Shape) -> Pattern:
        reached = (self.amounts.T != 0).double()
        along = ones_of(*reached.shape) if bool(reached.all()) else reached
        return ByAxis.of(source, (along if k == self.dim - 1 else None for k in range(len(source))))

    def config(self) -> dict[str, Any]:
        return {"dim": self.dim}
