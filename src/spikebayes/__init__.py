"""spikebayes: a network's prediction with its uncertainty, sampled by the randomness of a spiking network."""

from typing import TYPE_CHECKING

from spikebayes.machine.lazy import import_late
from spikebayes.machine.products import ask_for_steady_products

if TYPE_CHECKING:
    from spikebayes import data, evaluate, export, network, nn, plot, sklearn, training
    from spikebayes.conversion.convert import check, convert
    from spikebayes.conversion.fan_in import split_fan_in
    from spikebayes.conversion.folding import folded
    from spikebayes.conversion.imperfect_spikes import with_spike_noise
    from spikebayes.conversion.imperfections import quantised, scaled, with_device_noise, with_row_gains
    from spikebayes.conversion.integers import IntegerNetwork, integers
    from spikebayes.conversion.obstacles import Obstacle, Obstacles
    from spikebayes.conversion.unreliable import with_blank_out
    from spikebayes.errors import ConfigError, ConversionError, DataError, SpikebayesError, StoreError
    from spikebayes.evaluate.energy.devices import Device
    from spikebayes.evaluate.energy.energy import Energy, energy
    from spikebayes.evaluate.energy.hardware_limits import demand
    from spikebayes.evaluate.energy.room import limits
    from spikebayes.evaluate.equivalence import Equivalence, compare
    from spikebayes.evaluate.margins import Margins, Outcome
    from spikebayes.machine.versions import versions
    from spikebayes.network.coded import Coded
    from spikebayes.network.codes import Code, Digits, FirstSpike, Graded, Radix
    from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
    from spikebayes.network.neurons import LIF, Bernoulli, Curve, Sign, Threshold
    from spikebayes.network.noise import BlankOut, Dropout, Exact, Gaussian, Law, SpikeNoise
    from spikebayes.network.store import load_network, save_network
    from spikebayes.network.synapses import Alpha, Lowpass
    from spikebayes.network.timing import Flat, Hann, Timing, Window
    from spikebayes.prediction.conformal import Conformal
    from spikebayes.prediction.distribute import distribute
    from spikebayes.prediction.draw import Draw
    from spikebayes.prediction.predict import predict
    from spikebayes.prediction.predictive import Predictive
    from spikebayes.prediction.redraw import Redraw, estimate_carry_over
    from spikebayes.prediction.simulate import Run, simulate
    from spikebayes.prediction.task import Task
    from spikebayes.prediction.tuning import tune
    from spikebayes.training.fit import fit

__version__ = "0.1.0"

__all__ = [
    "LIF",
    "Alpha",
    "Bernoulli",
    "BlankOut",
    "Code",
    "Coded",
    "ConfigError",
    "Conformal",
    "Connection",
    "ConversionError",
    "Curve",
    "DataError",
    "Device",
    "Digits",
    "Draw",
    "Dropout",
    "Energy",
    "Equivalence",
    "Exact",
    "FirstSpike",
    "Flat",
    "Gaussian",
    "Graded",
    "Hann",
    "Input",
    "IntegerNetwork",
    "Law",
    "Lowpass",
    "Margins",
    "Obstacle",
    "Obstacles",
    "Outcome",
    "Population",
    "Predictive",
    "Radix",
    "Readout",
    "Redraw",
    "Run",
    "Sign",
    "SpikeNoise",
    "SpikebayesError",
    "SpikingNetwork",
    "StoreError",
    "Task",
    "Threshold",
    "Timing",
    "Window",
    "check",
    "compare",
    "convert",
    "data",
    "demand",
    "distribute",
    "energy",
    "estimate_carry_over",
    "evaluate",
    "export",
    "fit",
    "folded",
    "integers",
    "limits",
    "load_network",
    "network",
    "nn",
    "plot",
    "predict",
    "quantised",
    "save_network",
    "scaled",
    "simulate",
    "sklearn",
    "split_fan_in",
    "training",
    "tune",
    "versions",
    "with_blank_out",
    "with_device_noise",
    "with_row_gains",
    "with_spike_noise",
]

ask_for_steady_products()  # before anything multiplies
import_late(  # torch, Lightning and SciPy take seconds to import, in which the command line looks after Ctrl-C
    __name__,
    {
        "conversion.convert": ["check", "convert"],
        "conversion.fan_in": ["split_fan_in"],
        "conversion.folding": ["folded"],
        "conversion.imperfect_spikes": ["with_spike_noise"],
        "conversion.imperfections": ["quantised", "scaled", "with_device_noise", "with_row_gains"],
        "conversion.integers": ["IntegerNetwork", "integers"],
        "conversion.obstacles": ["Obstacle", "Obstacles"],
        "conversion.unreliable": ["with_blank_out"],
        "errors": ["ConfigError", "ConversionError", "DataError", "SpikebayesError", "StoreError"],
        "evaluate.energy.devices": ["Device"],
        "evaluate.energy.energy": ["Energy", "energy"],
        "evaluate.energy.hardware_limits": ["demand"],
        "evaluate.energy.room": ["limits"],
        "evaluate.equivalence": ["Equivalence", "compare"],
        "evaluate.margins": ["Margins", "Outcome"],
        "machine.versions": ["versions"],
        "network.coded": ["Coded"],
        "network.codes": ["Code", "Digits", "FirstSpike", "Graded", "Radix"],
        "network.network": ["Connection", "Input", "Population", "Readout", "SpikingNetwork"],
        "network.neurons": ["LIF", "Bernoulli", "Curve", "Sign", "Threshold"],
        "network.noise": ["BlankOut", "Dropout", "Exact", "Gaussian", "Law", "SpikeNoise"],
        "network.store": ["load_network", "save_network"],
        "network.synapses": ["Alpha", "Lowpass"],
        "network.timing": ["Flat", "Hann", "Timing", "Window"],
        "prediction.conformal": ["Conformal"],
        "prediction.distribute": ["distribute"],
        "prediction.predict": ["predict"],
        "prediction.draw": ["Draw"],
        "prediction.predictive": ["Predictive"],
        "prediction.redraw": ["Redraw", "estimate_carry_over"],
        "prediction.simulate": ["Run", "simulate"],
        "prediction.task": ["Task"],
        "prediction.tuning": ["tune"],
        "training.fit": ["fit"],
    },
    rooms=["data", "evaluate", "export", "network", "nn", "plot", "sklearn", "training"],
)
