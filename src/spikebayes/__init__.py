"""spikebayes: a network's prediction with its uncertainty, computed by a spiking network that is the sampler."""

from spikebayes import nn
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError
from spikebayes.evaluate.equivalence import Equivalence, compare
from spikebayes.network.convert import convert
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.neurons import LIF, Sign, Threshold
from spikebayes.noise import BlankOut, Dropout
from spikebayes.predict import predict
from spikebayes.predictive import Draw, Predictive, Task
from spikebayes.simulate import Run, simulate
from spikebayes.synapses import Alpha, Lowpass

__version__ = "0.1.0"

__all__ = [
    "LIF",
    "Alpha",
    "BlankOut",
    "ConfigError",
    "Connection",
    "ConversionError",
    "DataError",
    "Draw",
    "Dropout",
    "Equivalence",
    "Input",
    "Lowpass",
    "Population",
    "Predictive",
    "Readout",
    "Run",
    "Sign",
    "SpikebayesError",
    "SpikingNetwork",
    "StoreError",
    "Task",
    "Threshold",
    "compare",
    "convert",
    "nn",
    "predict",
    "simulate",
]
