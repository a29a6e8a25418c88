"""Networks that go out of the house, shared by the tests of exports."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn

from spikebayes import Lowpass, SpikingNetwork, convert
from spikebayes.network import Synapse
from spikebayes.nn import SoftLIF, Step


def unit() -> SoftLIF:
    """Neurons as chips have them: no refractory time."""
    return SoftLIF(gamma=1e-3, tau_ref=0.0, gain=8.0, bias=2.0)


def dense(p: float = 0.3) -> tuple[nn.Module, Tensor]:
    """Two hidden layers, and rows."""
    torch.manual_seed(0)
    hidden = (nn.Linear(4, 12), unit(), nn.Dropout(p), nn.Linear(12, 9), unit(), nn.Dropout(p))
    return nn.Sequential(*hidden, nn.Linear(9, 2)).eval(), torch.randn(6, 4)


def maps(*, whole: bool) -> tuple[nn.Module, Tensor]:
    """Feature maps, with masks on whole ones before the second convolution, or on single units."""
    torch.manual_seed(0)
    first = (nn.Conv2d(2, 4, 3, padding=1), unit(), nn.Dropout2d(0.4) if whole else nn.Dropout(0.4), nn.AvgPool2d(2))
    second = (nn.Conv2d(4, 6, 2, groups=2), unit(), nn.Dropout(0.3), nn.Flatten())
    return nn.Sequential(*first, *second, nn.Linear(24, 3)).eval(), torch.randn(3, 2, 6, 6)


def decisions(p: float = 0.3) -> tuple[nn.Module, Tensor]:
    """Threshold units with masks."""
    torch.manual_seed(1)
    hidden = (nn.Linear(5, 16), Step(), nn.Dropout(p), nn.Linear(16, 12), Step(), nn.Dropout(p))
    return nn.Sequential(*hidden, nn.Linear(12, 2)).eval(), torch.randn(40, 5)


def spiking(model: nn.Module, x: Tensor, synapse: Synapse | None = Lowpass(0.01)) -> SpikingNetwork:
    """The module's network with Lowpass filters."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "dt = ")  # longer than the refractory time, as it should be
        return convert(model, x, synapse=synapse)
