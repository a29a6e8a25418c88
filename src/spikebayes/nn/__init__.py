"""Layers to build networks from, encoders of their inputs, event trains, and whole networks in ``zoo``.

Everything else in a network may be plain torch.
"""

from spikebayes.nn import zoo
from spikebayes.nn.blank_out import BlankOutConv2d, BlankOutLinear
from spikebayes.nn.coded import Coded
from spikebayes.nn.decoding import PopulationDecode, WinnerTakeAll
from spikebayes.nn.discrete import DiscreteSoftLIF
from spikebayes.nn.encoders import BernoulliSpikes, Contours, NoisySign
from spikebayes.nn.event_trains import poisson_events, regular_events
from spikebayes.nn.few_bits import few_bits
from spikebayes.nn.first_weights import spread_weights
from spikebayes.nn.permadrop import Permadrop
from spikebayes.nn.sharpened import Sharpened
from spikebayes.nn.signs import SigmoidSign
from spikebayes.nn.softlif import LIFRate, SoftLIF
from spikebayes.nn.unit import Demand, Place, Spiking, Step, Units, Values

__all__ = [
    "BernoulliSpikes",
    "BlankOutConv2d",
    "BlankOutLinear",
    "Coded",
    "Contours",
    "Demand",
    "DiscreteSoftLIF",
    "LIFRate",
    "NoisySign",
    "Permadrop",
    "Place",
    "PopulationDecode",
    "Sharpened",
    "SigmoidSign",
    "SoftLIF",
    "Spiking",
    "Step",
    "Units",
    "Values",
    "WinnerTakeAll",
    "few_bits",
    "poisson_events",
    "regular_events",
    "spread_weights",
    "zoo",
]
