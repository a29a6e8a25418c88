"""spikebayes: a network's prediction with its uncertainty, computed by a spiking network that is the sampler."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spikebayes import nn
from spikebayes.conversion.convert import convert
from spikebayes.conversion.folding import folded
from spikebayes.conversion.integers import IntegerNetwork, integers
from spikebayes.conversion.unreliable import with_blank_out
from spikebayes.engine.timing import Flat, Hann
from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError
from spikebayes.machine.products import ask_for_steady_products
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import LIF, Bernoulli, Curve, Sign, Threshold
from spikebayes.network.noise import BlankOut, Dropout, Exact, Gaussian, Law
from spikebayes.network.store import load_network, save_network
from spikebayes.network.synapses import Alpha, Lowpass
from spikebayes.prediction.predict import predict
from spikebayes.prediction.predictive import Draw, Predictive, Task
from spikebayes.prediction.redraw import Redraw, estimate_carry_over
from spikebayes.prediction.simulate import Run, simulate

__version__ = "0.1.0"

__all__ = [
    "LIF",
    "Alpha",
    "Bernoulli",
    "BlankOut",
    "ConfigError",
    "Connection",
    "ConversionError",
    "Curve",
    "DataError",
    "Device",
    "Draw",
    "Dropout",
    "Energy",
    "Equivalence",
    "Exact",
    "Flat",
    "Gaussian",
    "Hann",
    "Input",
    "IntegerNetwork",
    "Law",
    "Lowpass",
    "Population",
    "Predictive",
    "Readout",
    "Redraw",
    "Run",
    "Sign",
    "SpikebayesError",
    "SpikingNetwork",
    "StoreError",
    "Task",
    "Threshold",
    "compare",
    "convert",
    "energy",
    "estimate_carry_over",
    "fit",
    "folded",
    "integers",
    "load_network",
    "nn",
    "predict",
    "save_network",
    "simulate",
    "with_blank_out",
]

if TYPE_CHECKING:
    from spikebayes.evaluate.energy.devices import Device
    from spikebayes.evaluate.energy.energy import Energy, energy
    from spikebayes.evaluate.equivalence import Equivalence, compare
    from spikebayes.training.fit import fit

ask_for_steady_products()  # before anything multiplies

_LAZY = {  # Lightning and SciPy's statistics take seconds to import, which prediction need not spend
    "Device": "spikebayes.evaluate.energy.devices",
    "Energy": "spikebayes.evaluate.energy.energy",
    "Equivalence": "spikebayes.evaluate.equivalence",
    "compare": "spikebayes.evaluate.equivalence",
    "energy": "spikebayes.evaluate.energy.energy",
    "fit": "spikebayes.training.fit",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'spikebayes' has no attribute {name!r}")
