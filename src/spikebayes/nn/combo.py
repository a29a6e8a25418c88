"""The twin-tower network of CANDLE's Combo benchmark, on rows and on tables that rows point into."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.errors import DataError
from spikebayes.machine.arguments import checked
from spikebayes.machine.numbers import check_count
from spikebayes.nn.first_weights import spread_weights
from spikebayes.nn.hidden import check_widths, hidden_layers
from spikebayes.nn.softlif import SoftLIF
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks

BEFORE = 2  # modules of a tower before its first dropout


@checked
class Combo(nn.Module):
    """What :func:`combo` makes: cell ``[B, F_cell]``, drug1 and drug2 ``[B, F_drug]`` to ``[B, 1]``."""

    cell_tower: nn.Sequential
    drug_tower: nn.Sequential
    joint: nn.Sequential
    growth: nn.Linear

    def __init__(self, cell: int, drug: int, width: int, dropout: float, activation: Callable[[], nn.Module]) -> None:
        for features in (cell, drug):
            check_widths(features, 3 * width, (width, width))
        super().__init__()
        self.cell_tower = nn.Sequential(*hidden_layers([cell, width, width, width], dropout, activation))
        self.drug_tower = nn.Sequential(*hidden_layers([drug, width, width, width], dropout, activation))
        self.joint = nn.Sequential(*hidden_layers([3 * width, width, width, width], dropout, activation))
        self.growth = nn.Linear(width, 1)

    def forward(self, cell: Tensor, drug1: Tensor, drug2: Tensor) -> Tensor:
        towers = [self.cell_tower(cell), self.drug_tower(drug1), self.drug_tower(drug2)]  # [B, width] each
        return self.growth(self.joint(torch.cat(towers, 1)))


@checked
class ComboRows(nn.Module):
    """A Combo network on rows that point into tables of cell lines and drugs: ``[B, 3]`` to ``[B, 1]``.

    The same function as the network on the rows' features. The layers before the first dropout run once for each
    line of a table instead of once for each row.

    While it learns, in training mode with gradients, so do the whole towers: under ``copies`` masks each, of which
    every row takes one at random (its two drugs different ones where there are two), and the first joint layer
    multiplies lines, not rows. The gradient has the same mean; with few cell lines and drugs it takes a third of
    the time.

    Args:
        combo: the network; shared, not copied.
        cells: ``[cells, F_cell]``. drugs: ``[drugs, F_drug]``.
        copies: masks of each line in a batch while it learns, 1 or more.

    Raises:
        ConfigError: fewer copies than 1.
        DataError: from its forward, rows that are not ``[B, 3]`` or point to no line.

    Example:
        >>> net, cells, drugs = combo(4, 5, width=6), torch.randn(3, 4), torch.randn(2, 5)
        >>> rows = torch.tensor([[2, 0, 1], [1, 1, 0]])
        >>> with torch.no_grad():
        ...     one = ComboRows(net, cells, drugs).eval()(rows)
        ...     other = net.eval()(cells[rows[:, 0]], drugs[rows[:, 1]], drugs[rows[:, 2]])
        >>> one.shape == other.shape
        True
    """

    cells: Tensor
    drugs: Tensor
    combo: Combo
    copies: int

    def __init__(self, combo: Combo, cells: Tensor, drugs: Tensor, copies: int = 2) -> None:
        check_count("copies", copies, 1)
        super().__init__()
        self.combo, self.copies = combo, copies
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("drugs", drugs, persistent=False)

    def forward(self, index: Tensor) -> Tensor:
        self._check(index)
        cell, drug1, drug2 = index.long().unbind(1)
        if self.training and torch.is_grad_enabled():
            return self._learning(cell, drug1, drug2)
        net = self.combo
        cells, drugs = net.cell_tower[:BEFORE](self.cells), net.drug_tower[:BEFORE](self.drugs)
        towers = [net.cell_tower[BEFORE:](cells[cell])]
        towers += [net.drug_tower[BEFORE:](drugs[drug]) for drug in (drug1, drug2)]
        return net.growth(net.joint(torch.cat(towers, 1)))

    def _check(self, index: Tensor) -> None:
        """Lines are picked out of one table of all: one that is not there would be another's."""
        if index.ndim != 2 or index.shape[1] != 3:
            raise DataError(f"rows must be [B, 3], numbers of a cell line and two drugs; got {list(index.shape)}")
        lines = torch.tensor([len(self.cells), len(self.drugs), len(self.drugs)], device=index.device)
        if not bool(((index >= 0) & (index < lines) & (index == index.long())).all()):
            raise DataError(
                f"rows must point to lines of the tables, whole numbers from 0: of {len(self.cells)} cell lines and "
                f"{len(self.drugs)} drugs"
            )

    def _learning(self, cell: Tensor, drug1: Tensor, drug2: Tensor) -> Tensor:
        net, rows, copies = self.combo, len(cell), self.copies
        cells, drugs = self._tower(net.cell_tower, self.cells), self._tower(net.drug_tower, self.drugs)
        first = net.joint[0]
        assert isinstance(first, nn.Linear)
        sides = first.weight.split(net.growth.in_features, 1)  # those that the cell line, and either drug, meet
        lines = torch.cat([F.linear(x, weight) for x, weight in zip((cells, drugs, drugs), sides, strict=True)])
        mask, one = torch.randint(copies, (2, rows), device=cell.device)
        other = (one + torch.randint(1, max(2, copies), (rows,), device=cell.device)) % copies
        shared = len(cells) + len(drugs)
        picked = [mask * len(self.cells) + cell, len(cells) + one * len(self.drugs) + drug1]
        picked += [shared + other * len(self.drugs) + drug2]
        summed = F.embedding_bag(torch.stack(picked, 1), lines, mode="sum")
        joint = summed if first.bias is None else summed + first.bias
        with _masks(rows, cell.device):
            return net.growth(net.joint[1:](joint))

    def _tower(self, tower: nn.Sequential, lines: Tensor) -> Tensor:
        """``[copies * lines, width]``, each copy under masks of its own."""
        once = tower[:BEFORE](lines).repeat(self.copies, 1)
        with _masks(len(once), lines.device):
            return tower[BEFORE:](once)


def _masks(rows: int, device: torch.device) -> Masks:
    """New ones, from torch's generator: they take a third of the time of torch's own dropout."""
    numbers = torch.arange(rows, device=device)
    return Masks(Keys(int(torch.randint(1 << 62, ())), torch.zeros_like(numbers), numbers))


@checked
def combo(
    cell: int = 942,
    drug: int = 3820,
    width: int = 1000,
    dropout: float = 0.1,
    *,
    activation: Callable[[], nn.Module] = SoftLIF,
    spread: float | None = None,
) -> Combo:
    """The twin-tower network of CANDLE's Combo benchmark: tumour growth under a pair of drugs.

    A tower of three hidden layers for the cell line and one, applied to either drug, for the drugs; three more over
    the three results side by side; a linear read-out. Permanent dropout follows every hidden layer, and the two
    passes of the drug tower draw masks of their own.

    Args:
        cell, drug: features of a cell line and of a drug.
        width: of every hidden layer.
        dropout: drop probability in [0, 1).
        activation: makes one activation; SoftLIF with its defaults unless given.
        spread: of first weights, see :func:`~spikebayes.nn.spread_weights`; None leaves torch's.

    Raises:
        ConfigError: no features, a width below 1, layers too large, or a spread that is not positive.

    Reference:
        Wycoff 2019; CANDLE Pilot1 Combo.

    Example:
        >>> sum(p.numel() for p in combo().parameters())
        13772001
    """
    made = Combo(cell, drug, width, dropout, activation)
    return made if spread is None else spread_weights(made, spread)
