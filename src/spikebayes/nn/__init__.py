"""Layers to build a network from; everything else in it may be plain torch."""

from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear, SigmoidSign
from spikebayes.nn.decoding import PopulationDecode, WinnerTakeAll
from spikebayes.nn.few_bits import few_bits
from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.sharpened import Sharpened
from spikebayes.nn.softlif import LIFRate, SoftLIF
from spikebayes.nn.unit import Step

__all__ = [
    "BlankOutConv2d",
    "BlankOutLinear",
    "LIFRate",
    "Permadrop",
    "PopulationDecode",
    "Sharpened",
    "SigmoidSign",
    "SoftLIF",
    "Step",
    "WinnerTakeAll",
    "few_bits",
]
