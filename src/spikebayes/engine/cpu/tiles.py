"""How a population is cut into tiles and groups, and in which order its neurons are stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikebayes.engine.cpu.instructions import ROW_VECTORS
from spikebayes.engine.cpu.matrices import Wire
from spikebayes.machine.memory import second_cache_bytes

CACHE_BYTES = second_cache_bytes() // 2  # weights of a group, so that they stay in a core's second-level cache
NARROWEST = 4  # vectors in a tile, however many neurons its weights come from
STATE_VECTORS = 64  # in a group that gets no spikes

Tile = tuple[int, int]  # (first neuron within the population, width in vectors)


@dataclass(frozen=True)
class Grid:
    """A population's cut.

    Args:
        unit: ``[N]`` which neuron of the population each stored one is.
        groups: tiles of each group; together they cover the population, padded to whole vectors.
        lanes: numbers in a vector.
    """

    unit: NDArray[np.int64]
    groups: tuple[tuple[Tile, ...], ...]
    lanes: int

    @property
    def padded(self) -> int:
        at, vectors = self.groups[-1][-1]
        return at + vectors * self.lanes

    @cached_property
    def natural(self) -> bool:
        """Whether neurons are stored in the population's own order."""
        return bool((np.diff(self.unit) == 1).all())

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for populations whose weights are stored alike."""
        return (len(self.unit), self.groups, self.stride)

    @property
    def stride(self) -> int:
        """How far apart in the population neurons lie that are stored side by side: places of a channel, or 1."""
        return int(self.unit[1] - self.unit[0]) if len(self.unit) > 1 else 1


def cut(n: int, incoming: Sequence[Wire], sources: int, lanes: int, item_bytes: int) -> Grid:
    """The grid of a population.

    Args:
        n: neurons.
        incoming: wires from other populations.
        sources: neurons they come from.
        lanes, item_bytes: numbers in a vector, bytes of a number.

    A sparse wire may reach any neuron, so that a population with one is a single group, simulated whole; a dense one
    reaches a tile at a time. The runs of a convolution are channels: its target is stored with channels last.
    """
    unit = np.arange(n)
    channels = {w.patches.channels for w in incoming if w.patches}
    if channels:
        unit = unit.reshape(channels.pop(), -1).T.ravel()
    if not incoming:
        tiles = _tiles(n, lanes, range(1, STATE_VECTORS + 1))
        return Grid(unit, tuple((tile,) for tile in tiles), lanes)
    most = max(NARROWEST, CACHE_BYTES // (sources * lanes * item_bytes))
    tiles = _tiles(n, lanes, [w for w in ROW_VECTORS if w <= most])
    whole = not all(w.dense for w in incoming)
    return Grid(unit, (tuple(tiles),) if whole else tuple(_groups(tiles, most)), lanes)


def _tiles(n: int, lanes: int, widths: Sequence[int]) -> list[Tile]:
    """Tiles as few as they can be and about alike, the last one just wide enough.

    Example:
        >>> _tiles(300, 16, (1, 2, 3, 4, 6, 8, 12, 16))
        [(0, 12), (192, 8)]
    """
    tiles, at = [], 0
    while at < n:
        left = -(-(n - at) // lanes)
        alike = -(-left // -(-left // max(widths)))
        width = min(w for w in widths if w >= alike)
        tiles.append((at, width))
        at += width * lanes
    return tiles


def _groups(tiles: Sequence[Tile], most: int) -> Iterator[tuple[Tile, ...]]:
    """Neighbouring tiles of at most ``most`` vectors together.

    Example:
        >>> list(_groups([(0, 4), (64, 3), (112, 3)], 8))
        [((0, 4), (64, 3)), ((112, 3),)]
    """
    group: list[Tile] = []
    for tile in tiles:
        if group and sum(width for _, width in group) + tile[1] > most:
            yield tuple(group)
            group = []
        group.append(tile)
    yield tuple(group)
