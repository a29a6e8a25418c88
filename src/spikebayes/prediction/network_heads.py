"""What a network's outputs are under classification: logits, or what a sigmoid at the module's end gave.

A softmax is no part of a network, whose read-out is the logits. A sigmoid is one: a population that tells its values.
It is known by its thresholds, so also in networks that were stored by versions that did not look for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from spikebayes.network.coded import Coded, Table
from spikebayes.network.network import Population, SpikingNetwork
from spikebayes.network.operators import Operator, Scale
from spikebayes.prediction.heads import LOG_PROBABILITIES, LOGITS, PROBABILITIES, Head

OFF = 0.25  # of a step between levels, by which thresholds may be off: they are rounded with the weights
WORTH = 1e-3  # by which a factor may miss 1, likewise
CURVES: dict[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    PROBABILITIES: (torch.sigmoid, F.hardsigmoid),
    LOG_PROBABILITIES: (F.logsigmoid,),
}


def head_of(network: SpikingNetwork, scales: Mapping[str, Tensor] | None = None, unit: float = 1.0) -> Head:
    """What a network returns for a row: values of a sigmoid, if the read-out is these and nothing else, else logits.

    Args:
        network: any.
        scales: of a network in whole numbers, what a 1 of a population's sums stands for.
        unit: what a 1 at the read-out stands for.

    Example:
        >>> from torch import nn
        >>> from spikebayes import convert
        >>> model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1), nn.Sigmoid())
        >>> head_of(convert(model, torch.rand(100, 2)))
        Head(shape=(1,), kind='probabilities')
    """
    readout, into = network.readout, network.into(network.readout.name)
    sources = [p for c in into for p in network.populations if p.name == c.source]
    kind = LOGITS
    if len(into) == len(sources) == 1 and readout.constant is None:
        (source,), (connection,) = sources, into
        if _as_it_is(source, connection.operator, unit):
            kind = _kind(source, (scales or {}).get(source.name, torch.ones(())))
    return Head(readout.shape, kind)


def _as_it_is(source: Population, operator: Operator, unit: float) -> bool:
    """Whether every output is the value of one unit, which no mask can take away."""
    if not isinstance(source.neuron, Coded) or (source.dropout is not None and source.dropout.acts):
        return False
    if not all(part.rearranges or isinstance(part, Scale) for part in operator.parts):
        return False
    numbers = (1 / source.neuron.unit).expand(source.shape)[None]  # that stand for values of 1
    return bool(((unit * operator(numbers) - 1).abs() < WORTH).all())


def _kind(source: Population, scale: Tensor) -> str:
    """What units tell, by the inputs at which their levels begin."""
    assert isinstance(source.neuron, Coded)
    response, step = source.neuron.response, float(source.neuron.unit.max())
    if not isinstance(response, Table) or bool(response.signed) is bool(len(response.rising)):
        return LOGITS
    thresholds, sign = (response.falling, -1.0) if response.signed else (response.rising, 1.0)
    levels = sign * step * (torch.arange(len(thresholds), dtype=torch.float64) + 0.5)
    given = thresholds.double() * scale.double()
    for kind, curves in CURVES.items():
        if any(bool(((curve(given) - levels).abs() < OFF * step).all()) for curve in curves):
            return kind
    return LOGITS
