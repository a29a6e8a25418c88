"""Permadrop: dropout that also acts in prediction."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from spikebayes.machine.arguments import checked
from spikebayes.network.noise import check_probability


@checked
class Permadrop(nn.Module):
    """Permanent dropout: each unit is 0 with probability p, else divided by 1 - p, in training and in prediction.

    Called on its own it draws from torch's generator, like ``nn.Dropout`` in training mode. Under
    ``spikebayes.predict`` its masks come from the counter-based generator, the same for every engine.

    Args:
        p: drop probability in [0, 1); with 0 the input passes through.

    Raises:
        ConfigError: p outside [0, 1).

    Reference:
        Gal & Ghahramani 2016; Wycoff 2019, section 2.1.

    Example:
        >>> import torch
        >>> Permadrop(0.0).eval()(torch.ones(3)).tolist()
        [1.0, 1.0, 1.0]
        >>> sorted(set(Permadrop(0.5).eval()(torch.ones(100)).tolist()))
        [0.0, 2.0]
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        check_probability(p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.p, training=True)

    def extra_repr(self) -> str:
        return f"p={self.p}"
