"""The network of what a walk over a graph collected: what the output needs, under its masks, with connections."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from torch import fx

from spikebayes.conversion.affine import Affine, Source
from spikebayes.network.network import Connection, Input, Population, Readout, SpikingNetwork
from spikebayes.network.neurons import Neuron
from spikebayes.network.operators import Chain, Operator
from spikebayes.network.synapses import Synapse
from spikebayes.nn.unit import Units

READOUT = "readout"


@dataclass(frozen=True, eq=False)
class Activated:
    """A population to be, and where it comes from.

    Args:
        population: without its masks.
        value: its input.
        units: what the module said of it.
        node: the call in the graph.
    """

    population: Population
    value: Affine
    units: Units
    node: fx.Node


def sources_of(
    output: Affine, activated: Mapping[str, Activated], inputs: Iterable[Input]
) -> dict[str, list[Source]]:
    """What is read of each node that the output depends on, under one mask or several. Inputs are always there.

    Args:
        output: the read-out's value.
        activated: populations to be, in the order of the calls.
        inputs: the model's arguments.
    """
    found: dict[str, list[Source]] = {i.name: [] for i in inputs}
    for name, value in [(READOUT, output), *((name, a.value) for name, a in reversed(list(activated.items())))]:
        if name == READOUT or name in found:
            for term in value.terms:
                known = found.setdefault(term.source.node, [])
                if term.source not in known:
                    known.append(term.source)
    return found


def assembled(
    output: Affine,
    activated: Mapping[str, Activated],
    inputs: Iterable[Input],
    synapse: Synapse | None,
    dt: float,
) -> tuple[SpikingNetwork, dict[str, Activated]]:
    """The network, and what each of its populations was made of.

    A node read under several masks becomes that many nodes with equal input.

    Args:
        output, activated, inputs: as of :func:`sources_of`.
        synapse: filter behind neurons with a memory, but for those that filter themselves.
        dt: s.
    """
    sources = sources_of(output, activated, inputs)
    names = {s: node if i == 0 else f"{node}.{i}" for node, masked in sources.items() for i, s in enumerate(masked)}

    def into(target: str, value: Affine, neuron: Neuron | None = None) -> list[Connection]:
        made = []
        for term in value.terms:
            operator: Operator = term.operators[0] if len(term.operators) == 1 else Chain(term.operators)
            source = activated.get(term.source.node)
            spiking = source.population.neuron if source else None
            filtered = spiking is not None and not spiking.memoryless and not (neuron or spiking).filters
            made.append(Connection(names[term.source], target, operator, synapse if filtered else None))
        return made

    arguments: list[Input] = []
    for i in inputs:
        masked = [replace(i, name=names[s], dropout=s.dropout) for s in sources[i.name]]
        arguments += masked or [i]  # an argument that the model ignores stays an argument
    populations, connections, made_of = [], [], {}
    for name, made in activated.items():
        for source in sources.get(name, ()):
            populations.append(replace(made.population, name=names[source], dropout=source.dropout))
            made_of[names[source]] = made
            wires = into(names[source], made.value, made.population.neuron)
            connections += [replace(c, blank_out=made.units.noise) for c in wires]
    connections += into(READOUT, output)
    readout = Readout(output.shape, output.constant[0] if output.constant.any() else None, READOUT)
    return SpikingNetwork(tuple(arguments), tuple(populations), tuple(connections), readout, dt), made_of
