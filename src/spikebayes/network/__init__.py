"""The vocabulary of spiking networks: populations joined by linear operators, their neurons, filters and noise."""

from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork, output_scale
from spikebayes.network.neurons import LIF, Bernoulli, Curve, Neuron, Sign, Threshold
from spikebayes.network.noise import BlankOut, Dropout, Exact, Gaussian, Law, Sampling
from spikebayes.network.operators import (
    AdaptiveAvgPool,
    AvgPool,
    Chain,
    Conv,
    Dense,
    Operator,
    Permute,
    Place,
    Reshape,
    Scale,
    Shape,
    Slice,
    size,
    target_shape,
)
from spikebayes.network.store import load_network, save_network
from spikebayes.network.synapses import Alpha, Lowpass, Synapse, impulse_response

__all__ = [
    "LIF",
    "AdaptiveAvgPool",
    "Alpha",
    "AvgPool",
    "Bernoulli",
    "BlankOut",
    "Chain",
    "Connection",
    "Conv",
    "Curve",
    "Dense",
    "Dropout",
    "Exact",
    "Gaussian",
    "Input",
    "Law",
    "Lowpass",
    "Neuron",
    "Operator",
    "Permute",
    "Place",
    "Population",
    "Readout",
    "Reshape",
    "Sampling",
    "Scale",
    "Shape",
    "Sign",
    "Slice",
    "SpikingNetwork",
    "Synapse",
    "Threshold",
    "impulse_response",
    "load_network",
    "output_scale",
    "save_network",
    "size",
    "target_shape",
]
