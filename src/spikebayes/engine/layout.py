"""The wires of a plan packed into the few flat arrays that a compiled kernel reads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikebayes.engine.plan import Wire, wires
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import size
from spikebayes.neurons import LIF, Threshold
from spikebayes.noise import bernoulli_bits

Array = NDArray[Any]


class Layout(NamedTuple):
    """Populations are numbered 0 .. P-1 in order, the read-out is target P.

    A *filter bank* is the set of wires into one target that share a synapse: their sum is filtered once, since
    filters are linear. Weights of a target carry its gain, so a bank's sum is current.
    """

    start: Array  # [P + 1] first neuron of each population among all; the last entry is the total
    is_lif: Array  # [P] else threshold
    neuron: Array  # [P, 5] threshold, tau_rc, tau_ref, 1 - exp(-dt/tau_rc), dt
    dropout: Array  # [P, 5] uint64: on, bits, threshold, site word, offset
    repeat: Array  # [P] units per dropout draw
    bank: Array  # [P + 2] first bank of each target
    order: Array  # [banks] synapse order: 0 unfiltered, 1 Lowpass, 2 Alpha
    coefficient: Array  # [banks, 4]
    wire: Array  # [banks + 1] first wire of each bank
    source: Array  # [wires] source population
    dense: Array  # [wires] bool
    offset: Array  # [wires] where its weights start: in ``weight`` if dense, else its row pointers in ``pointer``
    weight: Array  # dense weights, row by source neuron
    pointer: Array  # CSR row pointers, absolute into ``column`` and ``value``
    column: Array
    value: Array


class Drive(NamedTuple):
    """Input wires: constant current into every population and, unfiltered, into the read-out."""

    constant: Array  # [total + C] current without input
    wires: list[tuple[int, int, Array | tuple[Array, Array, Array]]]  # (input, first target unit, dense or CSR)


def lay_out(network: SpikingNetwork, dtype: np.dtype[Any]) -> tuple[Layout, Drive]:
    """Pack a network of LIF and threshold populations with held masks."""
    made = wires(network)
    index = {p.name: i for i, p in enumerate(network.populations)}
    sizes = [size(p.shape) for p in network.populations]
    start = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    first = {p.name: int(start[i]) for i, p in enumerate(network.populations)}
    first[network.readout.name] = int(start[-1])
    gains = {p.name: p.neuron.gain if isinstance(p.neuron, LIF) else 1.0 for p in network.populations}

    packer = _Packer(dtype)
    targets = [*network.populations, network.readout]
    for target in targets:
        incoming = [w for w in made if w.target == target.name and w.source in index]
        packer.target(incoming, index, gains.get(target.name, 1.0), network.dt)

    layout = Layout(
        start=start,
        is_lif=np.array([isinstance(p.neuron, LIF) for p in network.populations]),
        neuron=np.array([_neuron(p.neuron, network.dt) for p in network.populations], dtype),
        dropout=np.array([_dropout(p.dropout) for p in network.populations], np.uint64).reshape(-1, 5),
        repeat=np.array([p.dropout.repeat if p.dropout else 1 for p in network.populations], np.int64),
        **packer.arrays(),
    )
    return layout, _drive(network, made, first, gains, dtype)


def _neuron(neuron: Any, dt: float) -> list[float]:
    if isinstance(neuron, Threshold):
        return [neuron.threshold, 0, 0, 0, dt]
    return [1.0, neuron.tau_rc, neuron.tau_ref, -np.expm1(-dt / neuron.tau_rc), dt]


def _dropout(noise: Any) -> list[int]:
    if noise is None or noise.p == 0:
        return [0, 1, 1, 0, 0]
    bits, threshold = bernoulli_bits(1 - noise.p)
    return [1, bits, threshold, noise.site, noise.offset]


def _drive(
    network: SpikingNetwork,
    made: list[Wire],
    first: dict[str, int],
    gains: dict[str, float],
    dtype: np.dtype[Any],
) -> Drive:
    total = sum(size(p.shape) for p in network.populations) + size(network.readout.shape)
    constant = np.zeros(total)
    for node in (*network.populations, network.readout):
        here = slice(first[node.name], first[node.name] + size(node.shape))
        if node.constant is not None:
            constant[here] = node.constant.double().numpy().ravel() * gains.get(node.name, 1.0)
        if node.name in gains:
            constant[here] += getattr(getattr(node, "neuron", None), "bias", 0.0)
    inputs = {node.name: i for i, node in enumerate(network.inputs)}
    parts: list[tuple[int, int, Any]] = []
    for w in made:
        if w.source not in inputs:
            continue
        matrix: Any = w.matrix * gains.get(w.target, 1.0)
        if isinstance(matrix, np.ndarray):
            packed: Any = np.ascontiguousarray(matrix, dtype)
        else:
            packed = (
                matrix.indptr.astype(np.int64),
                matrix.indices.astype(np.int64),
                matrix.data.astype(dtype),
            )
        parts.append((inputs[w.source], first[w.target], packed))
    return Drive(constant.astype(dtype), parts)


class _Packer:
    """Collects the banks and weights target by target; a matrix shared by several wires is stored once."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        self.bank, self.order, self.coefficient, self.wire = [0], [], [], [0]
        self.source: list[int] = []
        self.dense: list[bool] = []
        self.offset: list[int] = []
        self.weights: list[Array] = []
        self.pointers: list[Array] = []
        self.columns: list[Array] = []
        self.values: list[Array] = []
        self.stored: dict[tuple[int, float], int] = {}
        self.held: list[Any] = []  # keeps matrices alive while their ids are keys

    def target(self, incoming: list[Wire], index: dict[str, int], gain: float, dt: float) -> None:
        for synapse in dict.fromkeys(w.synapse for w in incoming):
            self.order.append(0 if synapse is None else synapse.order)
            coefficients = () if synapse is None else synapse.coefficients(dt)
            self.coefficient.append([*coefficients, *[0.0] * (4 - len(coefficients))])
            for w in incoming:
                if w.synapse == synapse:
                    self.source.append(index[w.source])
                    self.dense.append(isinstance(w.matrix, np.ndarray))
                    self.offset.append(self._store(w.matrix, gain))
            self.wire.append(len(self.source))
        self.bank.append(len(self.order))

    def _store(self, matrix: Any, gain: float) -> int:
        key = (id(matrix), gain)
        if key not in self.stored:
            self.held.append(matrix)
            if isinstance(matrix, np.ndarray):
                self.stored[key] = sum(w.size for w in self.weights)
                self.weights.append(np.ascontiguousarray(matrix * gain, self.dtype).ravel())
            else:
                self.stored[key] = sum(p.size for p in self.pointers)
                filled = sum(c.size for c in self.columns)
                self.pointers.append(matrix.indptr.astype(np.int64) + filled)
                self.columns.append(matrix.indices.astype(np.int64))
                self.values.append((matrix.data * gain).astype(self.dtype))
        return self.stored[key]

    def arrays(self) -> dict[str, Array]:
        return {
            "bank": np.array(self.bank, np.int64),
            "order": np.array(self.order, np.int64),
            "coefficient": np.array(self.coefficient, self.dtype).reshape(-1, 4),
            "wire": np.array(self.wire, np.int64),
            "source": np.array(self.source, np.int64),
            "dense": np.array(self.dense, np.bool_),
            "offset": np.array(self.offset, np.int64),
            "weight": _joined(self.weights, self.dtype),
            "pointer": _joined(self.pointers, np.int64),
            "column": _joined(self.columns, np.int64),
            "value": _joined(self.values, self.dtype),
        }


def _joined(arrays: list[Array], dtype: Any) -> Array:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
