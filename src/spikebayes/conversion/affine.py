"""The value that flows through a graph during conversion: an affine function of spiking sources.

    value = constant + sum_k operators_k(source_k)

Linear layers map it to another; an activation turns it into a population and starts a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikebayes.network.noise import Dropout
from spikebayes.network.operators import Chain, Operator, Scale, Shape


@dataclass(frozen=True)
class Source:
    """A node's output under one noise (the same node under two masks is two sources)."""

    node: str
    shape: Shape
    dropout: Dropout | None = None


@dataclass(frozen=True)
class Term:
    """One source and the linear operators applied to it, first to last."""

    source: Source
    operators: tuple[Operator, ...] = ()


@dataclass(frozen=True, eq=False)
class Affine:
    """Sum of terms plus a constant ``[1, *shape]``; the constant also carries the shape."""

    terms: tuple[Term, ...]
    constant: Tensor

    @property
    def shape(self) -> Shape:
        """Shape of one row."""
        return tuple(self.constant.shape[1:])

    @classmethod
    def of(cls, source: Source, dtype: torch.dtype) -> Affine:
        """The source itself."""
        return cls((Term(source),), torch.zeros(1, *source.shape, dtype=dtype))

    def then(self, operator: Operator, shift: Tensor | None = None) -> Affine:
        """Apply a linear operator and add a constant."""
        constant = operator(self.constant)
        constant = constant if shift is None else constant + shift
        return Affine(tuple(Term(t.source, (*t.operators, operator)) for t in self.terms), constant)

    def last(self, fold: Callable[[Operator], Operator | None], constant: Tensor) -> Affine | None:
        """Fold into the last operator of every term; None when one of them cannot be folded into."""
        folded = []
        for term in self.terms:
            merged = fold(term.operators[-1]) if term.operators else None
            if merged is None:
                return None
            folded.append(Term(term.source, (*term.operators[:-1], merged)))
        return Affine(tuple(folded), constant)

    def scaled(self, factor: float) -> Affine:
        """The value times a number, in the weights where these come last."""

        def fold(last: Operator) -> Operator | None:
            return None if last.weight is None else last.with_weight((last.weight.double() * factor).to(last.weight))

        scale = torch.tensor(factor, dtype=self.constant.dtype)
        return self.last(fold, self.constant * scale) or self.then(Scale(scale))

    def plus(self, other: Affine | Tensor | float) -> Affine:
        """Sum with another value of the same shape, or with a constant."""
        if isinstance(other, Affine):
            return Affine((*self.terms, *other.terms), self.constant + other.constant)
        return replace(self, constant=self.constant + other)

    def dropped(self, p: float, site: int, repeat: int) -> Affine | str:
        """The value under a mask: the mask moves back onto the sources. Else the reason why it cannot."""
        if bool(self.constant.any()):
            return "a constant (bias or batch-norm shift) is added before the mask"
        terms = []
        for term in self.terms:
            offset = Chain(term.operators).offset(term.source.shape)
            if term.source.dropout is not None:
                return "its input is already masked by another dropout"
            if offset is None or offset % repeat:
                return "operations that mix or reorder units stand between the activation and the mask"
            noise = Dropout(p, site=site, offset=offset // repeat, repeat=repeat)
            terms.append(Term(replace(term.source, dropout=noise), term.operators))
        return Affine(tuple(terms), self.constant)
