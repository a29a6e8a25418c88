"""Drug-pair data in a network's units: imputed and standardised by the training rows only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from spikebayes.data.combo.pairs import ComboData
from spikebayes.errors import DataError


@dataclass(frozen=True, eq=False)
class TableScaling:
    """How one table of features, of cell lines or of drugs, is scaled: ``(x - mean) / std`` of the kept columns.

    Args:
        columns: names of the F columns it was learned on.
        kept: ``[F']`` int64, the columns that are kept.
        fill: ``[F']`` float64, what stands in for a missing value: the mean of the known ones.
        mean, std: ``[F']`` float64, after filling.
        all_missing: number of columns dropped since no training row knows a value.
        constant: number of columns dropped since all known values are the same.
    """

    columns: tuple[str, ...]
    kept: Tensor
    fill: Tensor
    mean: Tensor
    std: Tensor
    all_missing: int
    constant: int

    @classmethod
    def learn(cls, table: Tensor, columns: tuple[str, ...], what: str) -> TableScaling:
        """From ``[R, F]``, the distinct cell lines or drugs of the training rows.

        Raises:
            DataError: no column is left.

        Example:
            >>> table = torch.tensor([[1.0, 5.0], [3.0, 5.0], [torch.nan, 5.0]])
            >>> scaling = TableScaling.learn(table, ("x", "y"), "drugs")
            >>> scaling.kept, scaling.fill, scaling.constant
            (tensor([0]), tensor([2.], dtype=torch.float64), 1)
        """
        known = ~table.isnan()
        low = table.nan_to_num(nan=torch.inf, neginf=-torch.inf).amin(0)
        high = table.nan_to_num(nan=-torch.inf, posinf=torch.inf).amax(0)
        missing = ~known.any(0)
        kept = (low < high).nonzero()[:, 0]
        constant = table.shape[1] - len(kept) - int(missing.sum())
        if not len(kept):
            raise DataError(
                f"no features of {what} left to learn from {len(table)} in training: of {table.shape[1]} columns "
                f"{int(missing.sum())} are wholly missing and {constant} constant"
            )
        values = table[:, kept].double().numpy()  # [R, F']
        imputer = SimpleImputer(strategy="mean").fit(values)
        scaler = StandardScaler().fit(imputer.transform(values))
        statistics = (imputer.statistics_, scaler.mean_, scaler.scale_)
        return cls(
            columns,
            kept,
            *(torch.from_numpy(np.asarray(each, np.float64)) for each in statistics),
            all_missing=int(missing.sum()),
            constant=constant,
        )

    def apply(self, table: Tensor, names: tuple[str, ...], columns: tuple[str, ...], what: str) -> Tensor:
        """``[R, F]`` raw to ``[R, F']`` scaled, float32; far-off values stay as far off as they are.

        Raises:
            DataError: other columns than it was learned on; a value that float32 cannot hold once scaled.
        """
        if columns != self.columns:
            raise DataError(
                f"{what}: the scaling was learned on other columns: {len(self.columns)}, of which "
                f"{len(set(self.columns) & set(columns))} are among the {len(columns)} here, or in another order"
            )
        raw = table[:, self.kept].double()
        scaled = ((raw.where(~raw.isnan(), self.fill) - self.mean) / self.std).float()  # [R, F']
        beyond = (~scaled.isfinite()).nonzero()
        if len(beyond):
            row, column = beyond[0].tolist()
            raise DataError(
                f"{len(beyond)} scaled values exceed float32 (first: {columns[int(self.kept[column])]!r} of "
                f"{names[row]}); training hardly varies there: drop the column"
            )
        return scaled


@dataclass(frozen=True, eq=False)
class ComboTables:
    """Scaled drug-pair data, ready for a network.

    Args:
        cells: ``[cells, F_cell']`` float32, no NaN.
        drugs: ``[drugs, F_drug']`` float32, no NaN.
        cell_columns, drug_columns: names of the columns that are left.
        index: ``[N, 3]`` int64, as in the data.
        target: ``[N, 1]`` float32, scaled.
    """

    cells: Tensor
    drugs: Tensor
    cell_columns: tuple[str, ...]
    drug_columns: tuple[str, ...]
    index: Tensor
    target: Tensor

    def inputs(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Features of the cell ``[B, F_cell']``, of drug 1 and of drug 2 ``[B, F_drug']`` for rows ``[B]``."""
        cell, one, two = self.index[rows].unbind(1)
        return self.cells[cell], self.drugs[one], self.drugs[two]


@dataclass(frozen=True, eq=False)
class ComboScaling:
    """What the training rows say about features and target.

    A cell line or drug counts once, however many rows it is in; columns that are wholly missing or constant over
    those of the training rows are dropped, and counted in ``cells`` and ``drugs``.

    Args:
        cells, drugs: the scalings of the two tables.
        target_mean, target_std: of the training rows' targets; a constant target has its standard deviation set to 1.
    """

    cells: TableScaling
    drugs: TableScaling
    target_mean: float
    target_std: float

    @classmethod
    def learn(cls, data: ComboData, rows: Tensor) -> ComboScaling:
        """From the training rows ``[R]`` alone.

        Raises:
            DataError: no row, or rows that the data does not have; no feature left.

        Example:
            >>> table = torch.tensor([[0.0], [2.0], [9.0]])
            >>> rows = torch.tensor([[0, 0, 1], [1, 1, 0], [2, 2, 2]])
            >>> names = ("a", "b", "c")
            >>> data = ComboData(table, table, names, names, ("gene",), ("mass",), rows, table, "growth", {})
            >>> scaling = ComboScaling.learn(data, torch.tensor([0, 1]))
            >>> scaling.apply(data).cells[:, 0], scaling.target_mean
            (tensor([-1.,  1.,  8.]), 1.0)
        """
        if not len(rows) or int(rows.min()) < 0 or int(rows.max()) >= len(data):
            got = f"{int(rows.min())} to {int(rows.max())}" if len(rows) else "none"
            raise DataError(f"expected training rows in 0 to {len(data) - 1}; got {got}")
        index = data.index[rows]
        scaler = StandardScaler().fit(data.target[rows].double().numpy())
        return cls(
            TableScaling.learn(data.cells[index[:, 0].unique()], data.cell_columns, "cell lines"),
            TableScaling.learn(data.drugs[index[:, 1:].unique()], data.drug_columns, "drugs"),
            float(np.asarray(scaler.mean_)[0]),
            float(np.asarray(scaler.scale_)[0]),
        )

    def apply(self, data: ComboData) -> ComboTables:
        """Scale all cell lines, drugs and targets, those outside training too; nothing is clipped.

        Args:
            data: what it was learned on, or other data with the same columns.

        Raises:
            DataError: other columns; a scaled value that float32 cannot hold.
        """
        return ComboTables(
            cells=self.cells.apply(data.cells, data.cell_names, data.cell_columns, "cell lines"),
            drugs=self.drugs.apply(data.drugs, data.drug_names, data.drug_columns, "drugs"),
            cell_columns=tuple(data.cell_columns[column] for column in self.cells.kept.tolist()),
            drug_columns=tuple(data.drug_columns[column] for column in self.drugs.kept.tolist()),
            index=data.index,
            target=((data.target.double() - self.target_mean) / self.target_std).float(),
        )

    def outputs(self, y: Tensor) -> Tensor:
        """A network's outputs ``[..., 1]`` in the target's own units."""
        return y * self.target_std + self.target_mean
