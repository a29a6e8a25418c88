"""Which targets a unit reaches, connection by connection: every unit's fan-out and every target's fan-in.

Operators give their patterns of zeros and ones, whatever their weights (``operators/patterns.py``). Applied to
numbers of spikes, a pattern counts what arrives at every target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.network.operators import Operator, Scale, Shape, size
from spikebayes.network.operators.patterns import Pattern, joined

CHUNK = 1 << 22  # numbers held at once while a pattern is laid out


@dataclass(frozen=True, eq=False)
class Stage:
    """One operator's pattern.

    Args:
        pattern: which units reach which targets.
        works: whether applying it costs operations (products, or sums of a pool), and does not just move units.
    """

    pattern: Pattern
    works: bool = False


class Stages:
    """The stages of operators, one object for each operator and shape however often it is met.

    Args:
        decoded: of a coded network as the module that it was made of. What its numbers are worth has been worked into
            the weights behind and in front of each population, in factors that are positive: operators whose weights
            nowhere differ in sign are one layer, met behind several sources, and scales cost nothing.
    """

    def __init__(self, decoded: bool = False) -> None:
        self._known: dict[tuple[int, Shape], Stage] = {}
        self._decoded = decoded
        self._layers: dict[int, Operator] = {}

    def of(self, operator: Operator, source: Shape) -> tuple[Stage, ...]:
        """An operator, or a chain of them, one stage each."""
        found = []
        for part in operator.parts:
            if self._decoded and isinstance(part, Scale):
                continue
            part = self._layer(part)
            key = (id(part), source)
            if key not in self._known:
                self._known[key] = Stage(part.pattern(source), part.works(source))
            found.append(self._known[key])
            source = found[-1].pattern.target
        return tuple(found)

    def _layer(self, part: Operator) -> Operator:
        """The first operator met that is the same layer: itself, unless the network is read decoded."""
        if self._decoded and id(part) not in self._layers:
            same = (known for known in self._layers.values() if _one_layer(known, part))
            self._layers[id(part)] = next(same, part)
        return self._layers.get(id(part), part)


class Reach:
    """The pattern of a whole connection: one synapse where any path leads from a unit to a target.

    Args:
        stages: of its operators, first to last.
        source: shape of one row before them.

    Example:
        >>> from spikebayes.network.operators import Conv
        >>> three = Conv(torch.zeros(1, 1, 3), (1,), (1,), (1,))
        >>> Reach(Stages().of(three, (1, 4)), (1, 4)).arriving(torch.tensor([[5.0, 0, 0, 1]])).tolist()
        [[5.0, 5.0, 1.0, 1.0]]
    """

    def __init__(self, stages: Sequence[Stage], source: Shape) -> None:
        self.source = source
        self.patterns: tuple[Pattern, ...] = joined(stage.pattern for stage in stages)
        self.whole: Tensor | None = None if _single_paths(self.patterns) else self._laid_out()
        self.fan_in: Tensor = self.arriving(_ones_of((size(source),)))[0]  # [M]
        self.synapses: int = int(self.fan_in.sum())
        #: whether every unit reaches the same targets, so that the number of spikes is enough to count events
        self.uniform: bool = bool(((self.fan_in == 0) | (self.fan_in == size(source))).all())

    def arriving(self, spikes: Tensor) -> Tensor:
        """``[R, M]`` events at every target, of ``[R, N]`` spikes of every unit."""
        spikes = spikes.double()
        return self._through(spikes) if self.whole is None else spikes @ self.whole

    @property
    def fan_out(self) -> Tensor:
        """``[N]`` targets that every unit reaches."""
        if self.whole is not None:
            return self.whole.sum(1)
        y = _ones_of((len(self.fan_in),))
        for pattern in reversed(self.patterns):
            y = pattern.backward(y.reshape(1, *pattern.target))
        return y.reshape(-1)

    def _through(self, x: Tensor) -> Tensor:
        for pattern in self.patterns:
            x = pattern.forward(x.reshape(len(x), *pattern.source))
        return x.reshape(len(x), -1)

    def _laid_out(self) -> Tensor:
        """``[N, M]`` of 0 and 1."""
        units = size(self.source)
        step = max(1, CHUNK // max(size(pattern.target) for pattern in self.patterns))
        lines = [torch.arange(first, min(first + step, units)) for first in range(0, units, step)]
        return torch.cat([self._through(F.one_hot(line, units).double()).clamp(max=1) for line in lines])


def _one_layer(a: Operator, b: Operator) -> bool:
    """Whether two operators differ by positive factors of their weights at most."""
    if type(a) is not type(b) or a.config() != b.config():
        return False
    if a.weight is None or b.weight is None:
        return a.weight is b.weight and not any(True for _ in a.buffers())
    return a.weight.shape == b.weight.shape and not bool((a.weight * b.weight < 0).any())


def _single_paths(patterns: Sequence[Pattern]) -> bool:
    """Whether at most one path leads from any unit to any target, seen by the patterns' degrees.

    So it is where all patterns up to some point send a unit to one place at most, and all but one from there on take
    a place's value from one unit at most.
    """
    one_target = [bool((p.backward(_ones_of(p.target)) <= 1).all()) for p in patterns]
    one_unit = [bool((p.forward(_ones_of(p.source)) <= 1).all()) for p in patterns]
    return not patterns or any(all(one_target[:k]) and all(one_unit[k + 1 :]) for k in range(len(patterns)))


def _ones_of(shape: Shape) -> Tensor:
    return torch.ones(1, *shape, dtype=torch.float64)
