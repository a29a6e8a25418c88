"""to_nengo(): a network for Nengo's simulator, which fires exactly the spikes of the reference engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikebayes.conversion.obstacles import Obstacle
from spikebayes.errors import ConversionError, DataError
from spikebayes.export.masks import check_keys, factors, keeps
from spikebayes.export.packages import package
from spikebayes.machine.arguments import checked
from spikebayes.network.network import Connection, Population, SpikingNetwork
from spikebayes.network.neurons import LIF
from spikebayes.network.operators import size
from spikebayes.network.synapses import Alpha, Lowpass, Synapse
from spikebayes.prediction.inputs import as_inputs
from spikebayes.prediction.sampling import Values
from spikebayes.prediction.simulate import argument_shapes

Array = NDArray[np.float64]


@checked
def to_nengo(
    network: SpikingNetwork, sample: int = 0, row: int = 0, seed: int = 0, *, x: Values | None = None
) -> Any:
    """The network under one mask as a ``nengo.Network``: ensembles of LIF neurons, labelled by population.

    In float64, Nengo's default, with the same dt, it fires the spikes of ``engine="reference"``. A dropped neuron
    spikes without effect: its outgoing weights are 0. A node labelled by the input's name gives the row; a probe
    labelled by the read-out's name, the only one, records the read-out unfiltered in every step.

    Args:
        network: of LIF neurons, with Alpha and Lowpass filters and linear operators.
        sample, row, seed: keys of its masks.
        x: the row's values, ``[*shape]``, or one for each argument. None leaves the nodes at 0: set their ``output``.

    Raises:
        ConversionError: other neurons or filters, or noise other than masks that are held; all are named.
        ConfigError: Nengo is not installed, or a key out of range.
        DataError: x is mis-shaped, NaN or infinite.

    Reference:
        Bekolay et al. 2014, Nengo; Wycoff 2019 ran it.

    Example:
        >>> from spikebayes import convert, nn as sbnn
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), sbnn.SoftLIF(), torch.nn.Linear(3, 1))
        >>> made = to_nengo(convert(model, torch.zeros(1, 2)), x=torch.ones(2))
        >>> [ensemble.label for ensemble in made.ensembles], [probe.label for probe in made.probes]
        (['layer1'], ['readout'])
    """
    check_keys(sample, row, seed)
    nengo = package("nengo", "to_nengo")
    obstacles = _obstacles(network)
    if obstacles:
        raise ConversionError(f"the network cannot be run by Nengo: {'; '.join(map(str, obstacles))}")
    values = None if x is None else _row(network, x)
    mask = factors(network, keeps(network, sample, row, seed))
    with nengo.Network(label="spikebayes", seed=0) as made:
        source, target = {}, {}
        for node in network.inputs:
            given = np.zeros(size(node.shape)) if values is None else values[node.argument]
            source[node.name] = nengo.Node(given, label=node.name)
        scale = {}
        for p in network.populations:
            ensemble, scale[p.name] = _ensemble(nengo, p)
            source[p.name] = target[p.name] = ensemble.neurons
        readout = target[network.readout.name] = nengo.Node(
            size_in=size(network.readout.shape), label=network.readout.name
        )
        if network.readout.constant is not None:
            constant = nengo.Node(_flat(network.readout.constant), label="constant")
            nengo.Connection(constant, readout, synapse=None)
        for c in network.connections:
            synapse = None if c.synapse is None else SYNAPSES[type(c.synapse)](nengo)(c.synapse.tau)  # pyright: ignore[reportAttributeAccessIssue]
            transform = _transform(nengo, network, c, mask.get(c.source), scale.get(c.target))
            nengo.Connection(source[c.source], target[c.target], transform=transform, synapse=synapse)
        nengo.Probe(readout, label=network.readout.name)
    return made


#: the filters that it has, each with its name in Nengo
SYNAPSES: dict[type[Synapse], Callable[[Any], Any]] = {
    Lowpass: lambda nengo: nengo.Lowpass,
    Alpha: lambda nengo: nengo.Alpha,
}


def _ensemble(nengo: Any, p: Population) -> tuple[Any, Array]:
    """Neurons, and by what their input is to be multiplied ``[N]``: connections into neurons take on their gain.

    Nengo works out rates at an input of 1, and warns where they make no sense: gains that are powers of two, which
    change no bit, are chosen so that every neuron would fire there.
    """
    lif, n = p.neuron, size(p.shape)
    assert isinstance(lif, LIF)
    constant = np.zeros(n) if p.constant is None else _flat(p.constant)
    bias = lif.gain * constant + lif.bias
    gain = 2.0 ** np.ceil(np.log2(np.maximum(2.0 - bias, 1.0)))
    ensemble = nengo.Ensemble(
        n,
        dimensions=1,
        encoders=np.ones((n, 1)),
        eval_points=np.zeros((1, 1)),
        gain=gain,
        bias=bias,
        neuron_type=nengo.LIF(
            tau_rc=lif.tau_rc,
            tau_ref=lif.tau_ref,
            amplitude=lif.amplitude,
            initial_state={"voltage": nengo.dists.Choice([0])},
        ),
        label=p.name,
    )
    return ensemble, lif.gain / gain


def _transform(nengo: Any, network: SpikingNetwork, c: Connection, mask: Tensor | None, scale: Array | None) -> Any:
    """The connection's matrix, with the mask of its source and the gain of its target in it."""
    from scipy import sparse

    matrix: Any = c.operator.matrix(network.shape(c.source))  # [N_source, N_target]
    ones = np.ones(matrix.shape[0])
    before = sparse.diags_array(ones if mask is None else _flat(mask))
    after = sparse.diags_array(np.ones(matrix.shape[1]) if scale is None else scale)
    weights = (before @ matrix @ after).T
    if isinstance(matrix, np.ndarray):
        return np.ascontiguousarray(weights)
    return nengo.Sparse(weights.shape, init=sparse.csr_matrix(weights))


def _row(network: SpikingNetwork, x: Values) -> list[Array]:
    """The values of each argument, in a line."""
    shapes = argument_shapes(network)
    parts = [x] if len(shapes) == 1 or not isinstance(x, Sequence) else x
    try:
        batch = [torch.as_tensor(p if isinstance(p, Tensor) else np.asarray(p))[None] for p in parts]
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"x must hold numbers: {str(error).splitlines()[0]}") from error
    return [_flat(part[0]) for part in as_inputs(batch, shapes, torch.float64)]


def _flat(values: Tensor) -> Array:
    return values.double().flatten().numpy()


def _obstacles(network: SpikingNetwork) -> list[Obstacle]:
    found = []
    for p in network.populations:
        if type(p.neuron) is not LIF:
            what = f"its neurons are {p.neuron.words} ({type(p.neuron).__name__})"
            found.append(Obstacle(f"population {p.name!r}", what, "only LIF neurons go to Nengo: use nn.SoftLIF"))
    for node in (*network.inputs, *network.populations):
        if node.dropout and node.dropout.acts and node.dropout.hold is not None:
            what, cure = "its mask is redrawn during a run", "hold it (hold=None), and make a network for each sample"
            found.append(Obstacle(repr(node.name), what, cure))
    for c in network.connections:
        where = f"connection {c.source} -> {c.target}"
        if c.synapse is not None and type(c.synapse) not in SYNAPSES:
            found.append(Obstacle(where, f"its filter is {c.synapse.words}", "use sb.Alpha or sb.Lowpass"))
        if c.blank_out and c.blank_out.acts:
            found.append(Obstacle(where, "its synapses blank out anew in every step", "use dropout"))
    return found
