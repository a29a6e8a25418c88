"""How many multiply-accumulates it takes to apply a network's operators as they stand, each once.

Terms that end in the same operator are added up before it is applied, as in the module that the network was made
of: a layer over a concatenation or a residual sum works once. Products with what is known to be zero (padding, the
empty slots of a concatenation, dropped units) and products that nobody needs (into dropped units) are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spikebayes.evaluate.energy.fan_out import Stage


@dataclass(frozen=True, eq=False)
class Term:
    """What one source contributes to a target.

    Args:
        stages: of the connection, first to last.
        units: ``[R or 1, *source]`` 1 where the source has a value, 0 where it is dropped.
        random: whether its values differ between the samples of a row.
    """

    stages: tuple[Stage, ...]
    units: Tensor
    random: bool = False


@dataclass(frozen=True)
class Products:
    """Operations of a sum of terms.

    Args:
        shared: of operators whose input is the same for all samples of a row, over all R lines, whoever needs it.
        drawn: of the others, over all R lines.
    """

    shared: int = 0
    drawn: int = 0

    @property
    def total(self) -> int:
        """All of them, for one line."""
        return self.shared + self.drawn

    def __add__(self, other: Products) -> Products:
        return Products(self.shared + other.shared, self.drawn + other.drawn)


def products(terms: Iterable[Term], needed: Tensor) -> Products:
    """Operations to compute a target's input.

    Args:
        terms: what arrives there.
        needed: ``[R, *target]`` 1 where the target's input is needed, else 0.

    Example:
        >>> from spikebayes.evaluate.energy.fan_out import Stages
        >>> from spikebayes.network.operators import Dense
        >>> stages = Stages().of(Dense(torch.zeros(4, 3)), (3,))
        >>> kept, needed = torch.tensor([[1.0, 0, 1]]).double(), torch.ones(1, 4).double()
        >>> products([Term(stages, kept, random=True)], needed)
        Products(shared=0, drawn=8)
    """
    return _sum(tuple(terms), needed)[1]


def _sum(terms: Sequence[Term], needed: Tensor) -> tuple[Term, Products]:
    """The sum of terms as a term without stages, and what computing it takes."""
    total, found, random = torch.zeros(1, *needed.shape[1:], dtype=torch.float64), Products(), False
    last: dict[Stage, list[Term]] = {}
    for term in terms:
        if term.stages:
            shortened = Term(term.stages[:-1], term.units, term.random)
            last.setdefault(term.stages[-1], []).append(shortened)
        else:
            total, random = total + term.units, random or term.random
    for stage, inner in last.items():
        value, before = _sum(inner, (stage.pattern.backward(needed) > 0).double())
        arriving = stage.pattern.forward(value.units)
        total, random = total + arriving, random or value.random
        found += before
        if stage.works and value.random:
            found += Products(drawn=int((arriving * needed).sum()))
        elif stage.works:
            found += Products(shared=int(arriving.sum()) * len(needed) // len(arriving))
    return Term((), (total > 0).double(), random), found
