"""From a trained torch module to a spiking network, by way of its torch.fx graph."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from torch import Tensor, nn

from spikebayes.conversion.builder import Builder
from spikebayes.conversion.check import Check
from spikebayes.conversion.exact_sums import with_exact_sums
from spikebayes.conversion.tracing import refuse_dropout_of_training_alone, trace
from spikebayes.errors import ConfigError, ConversionError
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.neurons import LIF
from spikebayes.network.noise import Exact, Gaussian, Law, Sampling
from spikebayes.network.synapses import Alpha, Synapse
from spikebayes.noise.masks import evaluating


def convert(
    model: nn.Module,
    example_input: Tensor | Sequence[Tensor],
    *,
    dt: float = 1e-3,
    synapse: Synapse | None = Alpha(0.02),
    sampling: Sampling = Exact(),
) -> SpikingNetwork:
    """A spiking network with the module's weights, a population in place of each activation.

    Rate activations (``SoftLIF``, ``LIFRate``) become LIF neurons; layers of synapses that blank out
    (``BlankOutLinear``, ``BlankOutConv2d``) sign units; encoders and ``SigmoidSign`` stochastic or threshold units;
    ``Sharpened`` activations, once their sharpness is 1, threshold units. Max pooling of spikes that are 0 or 1 is
    their OR, a population of threshold units; it is refused behind LIF neurons.
    If all are without memory, a step is a sample, and weights are put on a grid (``exact_sums.on_grid``) on which
    sums are exact, so that every engine gives the same samples.

    Understood are Linear, Conv1d/2d, BatchNorm1d/2d (with its running statistics), AvgPool, AdaptiveAvgPool,
    flatten, reshape, permute, slices, cat, add, subtract, products with constants, mean over space, Identity, and
    dropout on the input, after an activation or before the read-out; as modules and as functions. Between two
    activations everything must be linear. The weights are copied: training the module further leaves the network
    as it is. Dropout calls are numbered in the order in which the model makes them, so that the network and the
    module draw the same masks. The model is taken in evaluation mode, in which it is run, whatever mode it is in.

    A graph does not show everything that a module does. Two times the module is run on a few rows, under masks, and
    the network's layers are compared with its own: where hooks change values or a forward was replaced, where a value
    is changed in place under another name, or forward draws numbers of its own, the model is refused.

    Args:
        model: feed-forward module with such activations.
        example_input: a batch ``[B, *shape]``, or one for each argument. The first rows are run through the module,
            with some from [0, 1), to see that the network does the same; otherwise only the shapes are read.
        dt: time step of the simulation, s.
        synapse: filter on every connection that carries spikes of LIF neurons, the read-out's included; None for no
            filter.
        sampling: how synapses that blank out are drawn, whatever the module's layers do while training:
            :class:`Exact`, :class:`Gaussian` or :class:`Law`, which draws the sign units behind them instead.

    Returns:
        The network; inputs reach their targets unfiltered and are constant over a simulation.

    Warns:
        UserWarning: a population's refractory time is shorter than dt: it fires once per step at most, so rates near
            1/dt are lost.

    Raises:
        ConversionError: the graph cannot be traced or holds something else; names the node and what to use instead.
            Or the module does something else than its graph; names the first layer where they part.
        ConfigError: dt <= 0, or another sampling.

    Reference:
        Hunsberger & Eliasmith 2015; Wycoff 2019, section 2.2.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikebayes.nn import Permadrop, SoftLIF
        >>> model = nn.Sequential(nn.Linear(4, 8), SoftLIF(), Permadrop(0.1), nn.Linear(8, 1))
        >>> print(convert(model, torch.zeros(1, 4)))
        SpikingNetwork(dt=0.001 s, 8 neurons)
          input_1 [4] Input
          layer1 [8] LIF(tau_rc=0.02, tau_ref=0.001, amplitude=0.002, gain=30.0, bias=4.0), dropout 0.1 <- input_1
          readout [1] Readout <- layer1
    """
    if not isinstance(sampling, Exact | Gaussian | Law):
        raise ConfigError(f"sampling must be Exact(), Gaussian() or Law(); got {sampling!r}")
    examples = [example_input] if isinstance(example_input, Tensor) else list(example_input)
    if not examples or not all(isinstance(example, Tensor) for example in examples):
        raise ConversionError(
            "the example input must be a tensor [B, *shape], or a list of them, one for each argument"
        )
    with evaluating(model):
        graph = trace(model, len(examples))
        refuse_dropout_of_training_alone(model, graph, len(examples))
        check = Check(model, examples, graph)
        builder = Builder(model, examples, synapse, sampling)
        for node in graph.nodes:
            builder.visit(node)
        network = builder.network(dt)
        check.compare(builder, network)
    if network.is_memoryless:
        network = with_exact_sums(network)
    _warn_of_coarse_steps(network)
    return network


def _warn_of_coarse_steps(network: SpikingNetwork) -> None:
    for population in network.populations:
        if isinstance(population.neuron, LIF) and population.neuron.tau_ref < network.dt:
            warnings.warn(
                f"dt = {network.dt:g} s is longer than the refractory time {population.neuron.tau_ref:g} s of "
                f"population {population.name!r}, which fires once per step at most: rates near 1/dt are lost; "
                "use a smaller dt",
                stacklevel=3,
            )
            return
