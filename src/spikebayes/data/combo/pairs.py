"""One shape for drug-pair data: features of cell lines and of drugs once each, and rows that point at them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.data.columns import listed, repeated
from spikebayes.errors import DataError


@dataclass(frozen=True, eq=False)
class ComboData:
    """What pairs of drugs did to cell lines: row n is ``target[n]`` under drugs 1 and 2 of ``index[n]`` in its cell.

    A pair may stand in the rows in both orders: two screens of it, each with its own target.

    Args:
        cells: ``[cells, F_cell]`` float32, raw; NaN is a missing value. Every cell line is in some row.
        drugs: ``[drugs, F_drug]`` float32, raw; NaN is a missing value. Every drug is in some row.
        cell_names: names of the cell lines, all different.
        drug_names: names of the drugs, all different.
        cell_columns: names of the features of a cell line.
        drug_columns: names of the features of a drug.
        index: ``[N, 3]`` int64: row of ``cells``, of ``drugs`` for drug 1, of ``drugs`` for drug 2.
        target: ``[N, 1]`` float32, finite, in the data's own units.
        target_name: what the target is.
        unused: rows of the source that could not be used, counted by reason; each under the first that applies.

    Raises:
        DataError: shapes, types or names that contradict one another; a row that points nowhere; no row.

    Example:
        >>> one = torch.zeros(1, 1)
        >>> rows = torch.tensor([[0, 0, 0]])
        >>> len(ComboData(one, one, ("a",), ("d",), ("gene",), ("mass",), rows, one, "growth", {}))
        1
    """

    cells: Tensor
    drugs: Tensor
    cell_names: tuple[str, ...]
    drug_names: tuple[str, ...]
    cell_columns: tuple[str, ...]
    drug_columns: tuple[str, ...]
    index: Tensor
    target: Tensor
    target_name: str
    unused: dict[str, int]

    def __post_init__(self) -> None:
        _check_table("cells", self.cells, self.cell_names, self.cell_columns)
        _check_table("drugs", self.drugs, self.drug_names, self.drug_columns)
        rows = len(self.index)
        shapes = (list(self.index.shape), list(self.target.shape))
        if not rows or shapes != ([rows, 3], [rows, 1]):
            raise DataError(f"expected index [N, 3] and target [N, 1] with N > 0; got {shapes[0]} and {shapes[1]}")
        if self.index.dtype != torch.int64 or self.target.dtype != torch.float32:
            raise DataError(f"expected index int64, target float32; got {self.index.dtype}, {self.target.dtype}")
        sizes = torch.tensor([len(self.cells), len(self.drugs), len(self.drugs)])
        astray = int(((self.index < 0) | (self.index >= sizes)).any(1).sum())
        if astray:
            raise DataError(f"{astray} of {rows} rows point at no cell line or drug")
        unknown = int((~self.target.isfinite()).sum())
        if unknown:
            raise DataError(f"{unknown} of {rows} targets are NaN or infinite")

    def __len__(self) -> int:
        """N, the number of rows."""
        return len(self.index)

    def pairs(self) -> Tensor:
        """``[N]`` int64: a number per unordered pair of drugs; rows with the same two drugs have the same number."""
        low, high = self.index[:, 1:].sort(1).values.unbind(1)  # [N] each
        return low * len(self.drugs) + high


def _check_table(what: str, table: Tensor, names: tuple[str, ...], columns: tuple[str, ...]) -> None:
    if table.dtype != torch.float32 or list(table.shape) != [len(names), len(columns)]:
        expected = f"{[len(names), len(columns)]} float32"
        raise DataError(
            f"{what}: {len(names)} names and {len(columns)} columns need {expected}; got "
            f"{list(table.shape)} {table.dtype}"
        )
    infinite = int(table.isinf().sum())
    if infinite:
        raise DataError(f"{what}: {infinite} values are infinite; NaN stands for a missing one")
    for kind, every in (("names", names), ("columns", columns)):
        if len(set(every)) < len(every):
            raise DataError(f"{what}: {kind} must differ; repeated: {listed(map(repr, repeated(every)))}")
