"""The twin-tower network of CANDLE's Combo benchmark, on rows and on tables that rows point into."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikebayes.machine.arguments import checked
from spikebayes.nn.hidden import check_widths, hidden_layers
from spikebayes.nn.softlif import SoftLIF
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import Masks

BEFORE = 2  # modules of a tower before its first dropout


@checked
class Combo(nn.Module):
    """What :func:`combo` makes: cell ``[B, F_cell]``, drug1 and drug2 ``[B, F_drug]`` to ``[B, 1]``."""

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
    line of a table instead of once for each row: with few cell lines and drugs training takes half the time.

    Args:
        combo: the network; shared, not copied.
        cells: ``[cells, F_cell]``. drugs: ``[drugs, F_drug]``.

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

    def __init__(self, combo: Combo, cells: Tensor, drugs: Tensor) -> None:
        super().__init__()
        self.combo = combo
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("drugs", drugs, persistent=False)

    def forward(self, index: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled():  # these masks take a third of the time of torch's own
            seed, lines = int(torch.randint(1 << 62, ())), torch.arange(len(index))
            with Masks(Keys(seed, torch.zeros_like(lines), lines)):
                return self._forward(index)
        return self._forward(index)

    def _forward(self, index: Tensor) -> Tensor:
        net, (cell, drug1, drug2) = self.combo, index.long().unbind(1)
        cells, drugs = net.cell_tower[:BEFORE](self.cells), net.drug_tower[:BEFORE](self.drugs)
        towers = [net.cell_tower[BEFORE:](cells[cell])]
        towers += [net.drug_tower[BEFORE:](drugs[drug]) for drug in (drug1, drug2)]
        return net.growth(net.joint(torch.cat(towers, 1)))


@checked
def combo(
    cell: int = 942,
    drug: int = 3820,
    width: int = 1000,
    dropout: float = 0.1,
    *,
    activation: Callable[[], nn.Module] = SoftLIF,
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

    Raises:
        ConfigError: no features, a width below 1, or layers too large.

    Reference:
        Wycoff 2019; CANDLE Pilot1 Combo.

    Example:
        >>> sum(p.numel() for p in combo().parameters())
        13772001
    """
    return Combo(cell, drug, width, dropout, activation)
