"""Layers to build a network from; everything else in it may be plain torch."""

from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.softlif import LIFRate, SoftLIF

__all__ = ["LIFRate", "Permadrop", "SoftLIF"]
