"""Layers to build a network from, encoders to stand before them, and whole networks in ``zoo``.

Everything else in a network may be plain torch.
"""

from spikebayes.nn import zoo
from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear, SigmoidSign
from spikebayes.nn.decoding import PopulationDecode, WinnerTakeAll
from spikebayes.nn.encoders import BernoulliSpikes, Contours, NoisySign
from spikebayes.nn.few_bits import few_bits
from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.sharpened import Sharpened
from spikebayes.nn.softlif import LIFRate, SoftLIF
from spikebayes.nn.unit import Step

__all__ = [
    "BernoulliSpikes",
    "BlankOutConv2d",
    "BlankOutLinear",
    "Contours",
    "LIFRate",
    "NoisySign",
    "Permadrop",
    "PopulationDecode",
    "Sharpened",
    "SigmoidSign",
    "SoftLIF",
    "Step",
    "WinnerTakeAll",
    "few_bits",
    "zoo",
]
