"""Layers to build a network from; everything else in it may be plain torch."""

from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear, SigmoidSign
from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.softlif import LIFRate, SoftLIF

__all__ = ["BlankOutConv2d", "BlankOutLinear", "LIFRate", "Permadrop", "SigmoidSign", "SoftLIF"]
