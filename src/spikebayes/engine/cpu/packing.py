"""The connections of a plan packed into the few flat arrays that a compiled kernel reads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikebayes.engine.cpu.instructions import DRIVE_VECTORS
from spikebayes.engine.cpu.matrices import Patches, Wire, wires
from spikebayes.engine.cpu.neurons import NEURONS, NO_FILTER, SYNAPSES, Compiled
from spikebayes.engine.cpu.tiles import Grid, cut
from spikebayes.machine.llvm import VECTOR_BYTES
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.noise import Dropout
from spikebayes.network.operators import size
from spikebayes.noise.bits import bernoulli_bits

Array = NDArray[Any]


class Layout(NamedTuple):
    """Populations are numbered 0 .. P-1 in order, the read-out is target P.

    A population's neurons are stored padded to whole vectors, in an order of the engine's own (``unit``). They are
    cut into *tiles*, whose sums fit the registers; *groups* of tiles are simulated one after another. Dense weights
    are stored tile by tile, each row by source neuron.

    A *filter bank* is the set of wires into one target that share a synapse: their sum is filtered once, since
    filters are linear. Weights of a target carry its gain, so a bank's sum is current.
    """

    lanes: int  # numbers in a vector
    widest: int  # neurons in the largest group
    longest: int  # numbers in the longest run of a sparse wire
    most_groups: int  # of any population
    weighted: int  # neurons that the read-out reads, over its wires
    first: Array  # [P] number of each population's first neuron in the network's order
    size: Array  # [P] neurons, without padding
    start: Array  # [P + 1] first neuron in the engine's order; the last entry is the total
    unit: Array  # [total] which of its population's neurons each one is
    group: Array  # [P + 1] first group of each population
    group_at: Array  # [groups] first neuron within its population
    group_vectors: Array  # [groups]
    tile: Array  # [groups + 1] first tile of each group
    tile_at: Array  # [tiles] first neuron within its population
    tile_vectors: Array  # [tiles]
    is_lif: Array  # [P] else threshold
    own_current: Array  # [P] whether what neurons take in, constants too, goes through a filter of their own
    neuron: Array  # [P, 5] the numbers of ``Compiled``
    dropout: Array  # [P, 5] uint64: on, bits, threshold, site word, offset
    hold: Array  # [P, 3] steps between redraws of the mask (0: none), first steps besides, whether samples succeed
    repeat: Array  # [P] units per dropout draw
    bank: Array  # [P + 2] first bank of each target
    line: Array  # [banks + 1] where a bank's filter states start
    order: Array  # [banks] synapse order: 0 unfiltered, 1 Lowpass, 2 Alpha
    coefficient: Array  # [banks + 1, 4] a, b, c, d of y <- a y + c x + d u, x <- a x + b u; the last is no filter's
    wire: Array  # [banks + 1] first wire of each bank
    source: Array  # [wires] source population
    dense: Array  # [wires] bool
    offset: Array  # [wires] where its weights start: in ``weight`` if dense, else its row pointers in ``pointer``
    patch: Array  # [wires] vectors in a run of a sparse wire; 0: single numbers
    weighted_at: Array  # [wires] where its sources start among those that the read-out reads
    heard_by: Array  # [P] the read-out's bank that alone hears this population's spikes; -1 if another does, or none
    heard_at: Array  # [P] where it then starts among those that the read-out reads
    weight: Array  # dense weights
    pointer: Array  # CSR row pointers, absolute into ``column`` and ``run``
    column: Array  # first target of a run
    run: Array  # where its weights start in ``value``
    value: Array


class Drive(NamedTuple):
    """Input wires: constant current into every population and, unfiltered, into the read-out."""

    constant: Array  # [total + C] current without input
    wires: list[tuple[int, int, int, Array | tuple[Array, Array, Array]]]  # (input, first target, targets, weights)


def lay_out(network: SpikingNetwork, dtype: np.dtype[Any]) -> tuple[Layout, Drive]:
    """Pack a network of LIF and threshold populations."""
    made = wires(network)
    populations = network.populations
    index = {p.name: i for i, p in enumerate(populations)}
    sizes = [size(p.shape) for p in populations]
    first = dict(zip((p.name for p in populations), np.cumsum([0, *sizes]).tolist(), strict=False))
    first[network.readout.name] = sum(sizes)
    compiled = {p.name: NEURONS[type(p.neuron)](p.neuron, network.dt) for p in populations}
    gains = {name: neuron.gain for name, neuron in compiled.items()}

    lanes = VECTOR_BYTES // dtype.itemsize
    grids = []
    for p in populations:
        incoming = [w for w in made if w.target == p.name and w.source in index]
        grids.append(
            cut(size(p.shape), incoming, sum(sizes[index[w.source]] for w in incoming), lanes, dtype.itemsize)
        )

    packer = _Packer(dtype, lanes, grids, sizes)
    for i, target in enumerate((*populations, network.readout)):
        incoming = [w for w in made if w.target == target.name and w.source in index]
        grid = grids[i] if i < len(grids) else None
        own = compiled[target.name].current if target.name in compiled else None
        packer.target(incoming, index, gains.get(target.name, 1.0), network.dt, grid, own or NO_FILTER)

    groups = [group for grid in grids for group in grid.groups]
    layout = Layout(
        lanes=lanes,
        widest=max((sum(v for _, v in group) * lanes for group in groups), default=lanes),
        longest=max(packer.patch, default=0) * lanes,
        most_groups=max((len(grid.groups) for grid in grids), default=1),
        first=np.array([first[p.name] for p in populations], np.int64),
        size=np.array(sizes, np.int64),
        start=_starts(grid.padded for grid in grids),
        unit=_joined([np.resize(grid.unit, grid.padded) for grid in grids], np.int32),
        group=_starts(len(grid.groups) for grid in grids),
        group_at=np.array([group[0][0] for group in groups], np.int64),
        group_vectors=np.array([sum(v for _, v in group) for group in groups], np.int64),
        tile=_starts(len(group) for group in groups),
        tile_at=np.array([at for group in groups for at, _ in group], np.int64),
        tile_vectors=np.array([v for group in groups for _, v in group], np.int64),
        own_current=np.array([compiled[p.name].current is not None for p in populations], np.bool_),
        is_lif=np.array([compiled[p.name].is_lif for p in populations]),
        neuron=np.array([compiled[p.name].numbers for p in populations], dtype).reshape(-1, 5),
        dropout=np.array([_dropout(p.dropout) for p in populations], np.uint64).reshape(-1, 5),
        hold=np.array([_hold(p.dropout) for p in populations], np.int64).reshape(-1, 3),
        repeat=np.array([p.dropout.repeat if p.dropout else 1 for p in populations], np.int64),
        **packer.arrays([compiled[p.name].is_lif and _hold(p.dropout)[0] == 0 for p in populations]),
    )
    return layout, _drive(network, made, first, compiled, dtype)


def _dropout(noise: Dropout | None) -> list[int]:
    if noise is None or not noise.acts:
        return [0, 1, 1, 0, 0]
    bits, threshold = bernoulli_bits(1 - noise.p)
    return [1, bits, threshold, noise.site, noise.offset]


def _hold(noise: Dropout | None) -> list[int]:
    if noise is None or not noise.acts or noise.hold is None:
        return [0, 0, 0]
    return [noise.hold, noise.start, noise.successive]


def _drive(
    network: SpikingNetwork,
    made: list[Wire],
    first: dict[str, int],
    compiled: dict[str, Compiled],
    dtype: np.dtype[Any],
) -> Drive:
    total = sum(size(p.shape) for p in network.populations) + size(network.readout.shape)
    constant = np.zeros(total)
    gains = {name: neuron.gain for name, neuron in compiled.items()}
    for node in (*network.populations, network.readout):
        here = slice(first[node.name], first[node.name] + size(node.shape))
        if node.constant is not None:
            constant[here] = node.constant.double().numpy().ravel() * gains.get(node.name, 1.0)
        if node.name in compiled:
            constant[here] += compiled[node.name].bias
    inputs = {node.name: i for i, node in enumerate(network.inputs)}
    parts: list[tuple[int, int, int, Any]] = []
    for w in made:
        if w.source not in inputs:
            continue
        matrix: Any = w.matrix
        scale = w.scale * gains.get(w.target, 1.0)
        if w.dense:
            packed: Any = _columns(matrix, scale, dtype)
        else:
            packed = (
                matrix.indptr.astype(np.int64),
                matrix.indices.astype(np.int64),
                (matrix.data * scale).astype(dtype),
            )
        parts.append((inputs[w.source], first[w.target], matrix.shape[1], packed))
    return Drive(constant.astype(dtype), parts)


class _Packer:
    """Collects the banks and weights target by target; a matrix shared by several wires is stored once."""

    def __init__(self, dtype: np.dtype[Any], lanes: int, grids: list[Grid], sizes: list[int]) -> None:
        self.dtype, self.lanes, self.grids, self.sizes = dtype, lanes, grids, sizes
        self.bank, self.line, self.order, self.coefficient, self.wire = [0], [0], [], [], [0]
        self.source: list[int] = []
        self.dense: list[bool] = []
        self.offset: list[int] = []
        self.patch: list[int] = []
        self.weighted_at: list[int] = []
        self.weighted = 0
        self.weights: list[Array] = []
        self.pointers: list[Array] = []
        self.columns: list[Array] = []
        self.runs: list[Array] = []
        self.values: list[Array] = []
        self.stored: dict[tuple[Any, ...], int] = {}
        self.held: list[Any] = []  # keeps matrices alive while their ids are keys

    def target(
        self,
        incoming: list[Wire],
        index: dict[str, int],
        gain: float,
        dt: float,
        grid: Grid | None,
        unfiltered: tuple[float, ...],
    ) -> None:
        """Add a population's wires, or the read-out's (``grid`` None), whose neurons are not cut.

        Args:
            unfiltered: coefficients for wires without a synapse.
        """
        for synapse in dict.fromkeys(w.synapse for w in incoming):
            self.order.append(0 if synapse is None else synapse.order)
            self.coefficient.append(unfiltered if synapse is None else SYNAPSES[type(synapse)](synapse, dt))
            for w in incoming:
                if w.synapse == synapse:
                    source = index[w.source]
                    self.source.append(source)
                    self.dense.append(w.dense)
                    self.patch.append(-(-w.patches.length // self.lanes) if w.patches else 0)
                    self.offset.append(self._store(w, gain * w.scale, source, grid))
                    self.weighted_at.append(self.weighted)
                    self.weighted += self.sizes[source] if grid is None else 0
            self.wire.append(len(self.source))
            self.line.append(self.line[-1] + (grid.padded if grid else 0))
        self.bank.append(len(self.order))

    def _heard(self, readable: Sequence[bool]) -> dict[str, Any]:
        """Which readable populations only the read-out hears, by one wire."""
        by, at = np.full(len(self.sizes), -1, np.int64), np.zeros(len(self.sizes), np.int64)
        first = self.bank[len(self.sizes)]
        for bank in range(first, len(self.order)):
            for w in range(self.wire[bank], self.wire[bank + 1]):
                if self.source.count(self.source[w]) == 1 and readable[self.source[w]]:
                    by[self.source[w]], at[self.source[w]] = bank - first, self.weighted_at[w]
        return {"heard_by": by, "heard_at": at}

    def _store(self, wire: Wire, gain: float, source: int, grid: Grid | None) -> int:
        matrix: Any = wire.matrix
        key = (id(matrix), gain, grid.key if grid else None, self.grids[source].key)
        if key in self.stored:
            return self.stored[key]
        self.held.append(matrix)
        rows = self.grids[source].unit
        if wire.dense:
            self.stored[key] = sum(w.size for w in self.weights)
            self.weights.append(self._tiled(matrix, gain, self.grids[source], grid))
            return self.stored[key]
        if wire.patches:
            pointer, column = matrix.pointer, matrix.column
            run, value = _padded(matrix, self.lanes)
        else:
            pointer, column, run, value = matrix.indptr, matrix.indices, np.arange(matrix.nnz), matrix.data
            if grid is not None:
                column = np.argsort(grid.unit)[column]
        taken, column, run = _rows(pointer, rows, column, run)
        self.stored[key] = sum(p.size for p in self.pointers)
        self.pointers.append(taken + sum(c.size for c in self.columns))
        self.columns.append(column.astype(np.int32))
        self.runs.append((run + sum(v.size for v in self.values)).astype(np.int32))
        self.values.append((value * gain).astype(self.dtype))
        return self.stored[key]

    def _tiled(self, matrix: Array, gain: float, source: Grid, target: Grid | None) -> Array:
        """Dense weights in the engine's order of sources and targets, tile after tile."""
        if not source.natural:
            matrix = matrix[source.unit]
        if target is None:
            return scaled(matrix, gain, np.empty(matrix.shape, self.dtype)).ravel()
        if not target.natural:
            matrix = matrix[:, target.unit]
        tiles = []
        for at, vectors in (tile for group in target.groups for tile in group):
            tile = np.zeros((len(matrix), vectors * self.lanes), self.dtype)
            part = matrix[:, at : at + tile.shape[1]]
            scaled(part, gain, tile[:, : part.shape[1]])
            tiles.append(tile.ravel())
        return np.concatenate(tiles)

    def arrays(self, readable: Sequence[bool]) -> dict[str, Any]:
        """What the layout holds of them; ``readable`` populations may be heard without lists of their spikes."""
        return {
            "weighted": self.weighted,
            "bank": np.array(self.bank, np.int64),
            "line": np.array(self.line, np.int64),
            "order": np.array(self.order, np.int64),
            "coefficient": np.array([*self.coefficient, NO_FILTER], self.dtype).reshape(-1, 4),
            "wire": np.array(self.wire, np.int64),
            "source": np.array(self.source, np.int64),
            "dense": np.array(self.dense, np.bool_),
            "offset": np.array(self.offset, np.int64),
            "patch": np.array(self.patch, np.int64),
            "weighted_at": np.array(self.weighted_at, np.int64),
            **self._heard(readable),
            "weight": aligned(_joined(self.weights, self.dtype)),
            "pointer": _joined(self.pointers, np.int64),
            "column": _joined(self.columns, np.int32),
            "run": _joined(self.runs, np.int32),
            "value": aligned(_joined(self.values, self.dtype)),
        }


def _rows(pointer: Array, rows: Array, column: Array, run: Array) -> tuple[Array, Array, Array]:
    """CSR rows in another order: (pointer, column, run)."""
    counts = np.diff(pointer)[rows]
    taken = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    entries = np.repeat(pointer[rows] - taken[:-1], counts) + np.arange(taken[-1])
    return taken, column[entries], run[entries]


def _padded(patches: Patches, lanes: int) -> tuple[Array, Array]:
    """Runs and values with every run filled up to whole vectors by zeros."""
    length = patches.length
    value = patches.value.reshape(-1, length)
    value = np.pad(value, ((0, 0), (0, -length % lanes)))
    return patches.run // length * value.shape[1], value.ravel()


def _starts(counts: Iterable[int]) -> Array:
    return np.cumsum([0, *counts]).astype(np.int64)


def _joined(arrays: list[Array], dtype: Any) -> Array:
    return np.concatenate(arrays).astype(dtype, copy=False) if arrays else np.zeros(0, dtype)


def _columns(matrix: Array, scale: float, dtype: np.dtype[Any]) -> Array:
    """Weights into tiles of columns, ``[tiles, N, columns]``, the last one filled up by zeros."""
    sources, width = matrix.shape
    columns = DRIVE_VECTORS * VECTOR_BYTES // dtype.itemsize
    tiles = aligned(np.zeros(-(-width // columns) * sources * columns, dtype)).reshape(-1, sources, columns)
    for tile, left in zip(tiles, range(0, width, columns), strict=True):
        part = matrix[:, left : left + columns]
        scaled(part, scale, tile[:, : part.shape[1]])
    return tiles


def scaled(matrix: Array, scale: float, out: Array) -> Array:
    """out[:] = matrix * scale, in double precision without a copy in it."""
    return np.multiply(matrix, scale, out=out, dtype=np.float64, casting="same_kind")


def aligned(array: Array) -> Array:
    """The same numbers where whole vectors start at multiples of their size, so that none lies in two cache lines."""
    memory = np.empty(array.nbytes + VECTOR_BYTES, np.uint8)
    start = -memory.ctypes.data % VECTOR_BYTES
    moved = memory[start : start + array.nbytes].view(array.dtype)
    moved[:] = array
    return moved
