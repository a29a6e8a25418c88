"""Forward passes of a torch module on tiles of pairs: equally many lines each, nothing computed twice.

What a module computes before its first dropout call is the same for all samples of a row. So a tile is run on the few
rows it has, and the dropout call gives a line for each pair (``masks.Masks``). A module that cannot take this (one
that adds to a dropped tensor one that was not, or reshapes by the size of its input) is run on all lines from the
start: a tile computed both ways tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.conversion.arguments import APART
from spikebayes.errors import ConfigError, DataError
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks
from spikebayes.noise.ownership import owned
from spikebayes.prediction.decisions import decided
from spikebayes.prediction.heads import Head, Sigmoids
from spikebayes.prediction.inputs import Block
from spikebayes.prediction.over_time import KNOWS_NO_TIME
from spikebayes.prediction.sampling import SamplingPlan

PAIRS_PER_BLOCK = 1 << 16
LINES = (128, 2048)  # fewest and most pairs per forward pass
VALUES = 1 << 18  # of the widest tensor of a pass, if LINES allow: what stays in a cache
PAIRS_PER_ROW = 64  # a pass begins on its pairs / 64 rows
PROBED = 8  # samples of a row in a probe

AS_INDICES = "; it is given numbers of its own type: where they are indices, let forward begin with x = x.long()"
VALUES_ELSEWHERE = 1 << 26  # on any other device than the CPU

SPREAD = torch.arange(0, LINES[0], LINES[0] // 8)  # lines of a probe, each of another row
FEW = torch.tensor([0, 1, 2, 3, 4, LINES[0] - 1])  # of a tile, mostly of one row: other company than the whole tile

ROWS_MIX = (
    "what the model answers for a row depends on the other rows of its batch, so that predictions would depend on "
    "the batch size; no operation may mix rows (the first axis), and no branch be taken by the values of a batch: "
    "torch.where chooses row by row"
)
CHANGES = (
    "the model answers otherwise when it is asked the same again, with the same masks: "
    "its forward must not count calls, nor keep or change numbers"
)
NOT_RANDOM = (
    "nothing in the model is random, so every sample would be the same: "
    "add spikebayes.nn.Permadrop (or nn.Dropout) with p > 0 after its activations"
)


@dataclass(frozen=True)
class Tile:
    """Pairs for one forward pass, row after row; the last one is repeated to fill the tile up.

    Args:
        count: how many are wanted.
        rows: ``[L]`` int64, positions in the input, ascending.
        keys: of the L pairs.
    """

    count: int
    rows: Tensor
    keys: Keys


@dataclass(frozen=True)
class Way:
    """How a module is run, as its answers to the first rows decided.

    Args:
        lines: L, pairs per pass.
        shared: whether what comes before the first dropout call is computed once for all samples of a row.
        taken: what its forward found true or false, which must be so in every pass.
        alone: whether one pass at a time.
        head: what an output is.
    """

    lines: int
    shared: bool
    taken: list[bool]
    alone: bool
    head: Head


def tiles(block: Block, lines: int) -> list[Tile]:
    """A block's pairs, the samples of a row one after another."""
    count, many = len(block.position), block.samples.stop - block.samples.start
    pairs = torch.arange(-(-count // lines) * lines).clamp(max=count - 1)
    row, sample = pairs // many, pairs % many
    # a block lists its first sample's rows first
    keys = Keys(block.keys.seed, block.samples.start + sample, block.keys.rows[row])
    return [
        Tile(min(lines, count - first), block.rows.start + row[here], keys.at(here))
        for first in range(0, len(pairs), lines)
        for here in [slice(first, first + lines)]
    ]


def _probe(rows: Tensor, plan: SamplingPlan) -> Tile:
    """A small tile of several rows, however many samples are wanted, and however few rows at a time."""
    pairs = torch.arange(LINES[0])
    row = (pairs // PROBED).clamp(max=len(rows) - 1)
    key = rows[row] if plan.mask_scope == "row" else torch.zeros_like(row)
    return Tile(len(pairs), row, Keys(plan.seed, pairs % PROBED, key))


class Passes:
    """Forward passes of a module over some rows: tiles ``[L]`` of pairs become outputs ``[L, C]``."""

    model: nn.Module
    inputs: tuple[Tensor, ...]
    random: bool

    def __init__(self, model: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.model, self.inputs = model, inputs
        self.head: Head | None = None  # once a whole pass was made
        self.random = False  # whether masks acted in it

    def forward(self, rows: Tensor) -> Any:
        """What the module says to rows at these positions."""
        try:
            return self.model(*(part[rows] for part in self.inputs))
        except (RuntimeError, TypeError) as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            shapes = ", ".join(str(list(part.shape[1:])) for part in self.inputs)
            cure = AS_INDICES if "torch.FloatTensor" in str(error) or "torch.DoubleTensor" in str(error) else ""
            cure = f"; {APART}" if len(self.inputs) > 1 and isinstance(error, TypeError) else cure
            raise DataError(f"the model does not take rows of shape {shapes}: {error}{cure}") from error

    def whole(self, tile: Tile) -> Tensor:
        """Every line through the whole module."""
        with Sigmoids() as sigmoids, Masks(tile.keys) as masks:
            result = _output(self.forward(tile.rows), len(tile.rows))
        self.random = masks.random
        self.head = self.head or Head(tuple(result.shape[1:]), sigmoids.gave(result))
        return result.flatten(1)

    def shared(self, tile: Tile) -> Tensor:
        """Each row once until the first dropout call, which gives a line for every pair."""
        low, high = int(tile.rows[0]), int(tile.rows[-1])
        step = len(tile.rows) // PAIRS_PER_ROW
        *others, last = (torch.arange(row, row + step).clamp(max=high) for row in range(low, high + 1, step))
        before = []
        for rows in others:
            with DropoutInputs() as calls:
                self.forward(rows)
            before.append(calls.seen)
        with Masks(tile.keys, tile.rows - low, before):
            return _output(self.forward(last), len(tile.rows)).flatten(1)

    def by(self, way: Way) -> Callable[[Tile], Tensor]:
        """Passes made this way."""
        return self.shared if way.shared else _deciding(self.whole, way.taken) if way.taken else self.whole

    def way(self, rows: Tensor, plan: SamplingPlan) -> Way:
        """How the model is run, as its answers to the first of these rows ``[B]`` say."""
        probe, device = _probe(rows, plan), self.inputs[0].device
        expected, taken = owned(lambda: decided(lambda: self.whole(probe)))
        assert self.head is not None
        if not self.random:
            raise ConfigError(NOT_RANDOM)
        if bool(expected.isfinite().all()) and not _stands_alone(self.whole, probe, expected, taken):
            raise ConfigError(ROWS_MIX if _agree(self.whole(probe), expected) else CHANGES)
        try:
            agrees = not taken and _agree(self.shared(probe), expected)
        except torch.OutOfMemoryError:
            raise
        except Exception:  # whatever a model says that cannot be run so
            agrees = False
        return Way(_lines_per_pass(self.forward, not agrees, device), agrees, taken, True, self.head)


def refuse_steps(model: nn.Module, inputs: tuple[Tensor, ...], head: Head) -> None:
    """Refuse a module that would take each step of an input over time by itself (DataError): it has no time.

    A layer such as Linear takes ``[B, T, F]``, and gives T answers, each under masks of its own. It is known by
    giving the first and the last of them when it is asked for these alone.
    """
    lasting = [part for part in inputs if part.ndim > 2]
    steps = {part.shape[1] for part in lasting}
    if len(head.shape) < 2 or steps != {head.shape[0]} or head.shape[0] < 2:
        return
    rows, last = torch.arange(2).clamp(max=len(inputs[0]) - 1), head.shape[0] - 1

    def answers(step: int | None = None) -> Any:
        with DropoutInputs():
            return model(*(part[rows] if step is None or part.ndim < 3 else part[rows, step] for part in inputs))

    try:
        whole, ends = answers(), torch.stack([answers(0), answers(last)], 1)
        alike = ends.shape == whole[:, [0, last]].shape and torch.allclose(ends, whole[:, [0, last]], 1e-3, 1e-5)
    except Exception:  # whatever a module says to rows of another shape
        return
    if alike:
        raise DataError(
            f"the model answers each of {steps.pop()} steps by itself, under masks of their own, as if x were an "
            f"input over time: {KNOWS_NO_TIME}. If they are cases of their own, give each as a row, x.flatten(0, 1)"
        )


def _deciding(run: Callable[[Tile], Tensor], taken: list[bool]) -> Callable[[Tile], Tensor]:
    """Passes of a model that decides by what it computes, as an assertion does: always alike, or it is refused."""

    def steady(tile: Tile) -> Tensor:
        result, otherwise = decided(lambda: run(tile))
        if otherwise != taken:
            raise ConfigError(ROWS_MIX)
        return result

    return steady


def _stands_alone(run: Callable[[Tile], Tensor], probe: Tile, expected: Tensor, taken: list[bool]) -> bool:
    """Whether some lines of a tile are the same, and decided alike, among few others, and each by itself."""

    def same(groups: Sequence[Tensor], most: float = 0.5) -> bool:
        parts = [decided(lambda at=at: run(Tile(len(at), probe.rows[at], probe.keys.at(at)))) for at in groups]
        outputs, lines = torch.cat([output for output, _ in parts]), torch.cat(list(groups))
        return all(each == taken for _, each in parts) and _agree(outputs, expected, most, lines)

    if not same([FEW]) or (taken and not same(torch.arange(LINES[0]).split(PROBED))):
        return False
    try:
        return same(SPREAD.split(1), most=0.8)
    except torch.OutOfMemoryError:
        raise
    except Exception:  # a squeeze() drops the batch axis of a single line, of which no pass is made
        return True


def _lines_per_pass(forward: Callable[[Tensor], Any], all_in_all: bool, device: torch.device) -> int:
    """L, by the widest tensor of the module, all in all or from its first dropout call on."""
    with DropoutInputs() as calls:
        forward(torch.zeros(2, dtype=torch.int64))
    width = max(calls.widths) if all_in_all else calls.widths[1]
    values, most = (VALUES, LINES[1]) if device.type == "cpu" else (VALUES_ELSEWHERE, PAIRS_PER_BLOCK)
    lines = min(max(2 * values // max(1, width), LINES[0]), most)
    return 1 << (lines.bit_length() - 1)


def _output(result: Any, count: int) -> Tensor:
    """``[L, *shape]``, checked; a line of one number has an axis for it."""
    if isinstance(result, tuple | list) and len(result) == 1:
        result = result[0]
    wanted = "the model must return one tensor of real numbers, with a line for every row of its input"
    if not isinstance(result, Tensor):
        parts = f" of {', '.join(map(str, result))}" if isinstance(result, Mapping) else ""
        raise DataError(f"{wanted}; got a {type(result).__name__}{parts}: wrap it in a module that returns the one")
    if result.shape[:1] != (count,):
        raise DataError(f"{wanted}; for {count} rows it gave {list(result.shape)}")
    if not result.is_floating_point():
        raise DataError(f"{wanted}; got {result.dtype}: return what comes before it was rounded, or compared")
    return result[:, None] if result.ndim == 1 else result


def _agree(one: Tensor, whole: Tensor, most: float = 0.5, lines: Tensor | slice = slice(None)) -> bool:
    """Whether most of the lines are equal in both but for rounding, which a steep activation may enlarge in a few.

    Other masks, or other rows, would change every line by about a standard deviation: of all lines, since those
    looked at may be one row's under one mask.
    """
    near = 0.01 * whole.std(0) + 100 * torch.finfo(whole.dtype).eps * whole.abs().amax(0)
    return bool(((one - whole[lines]).abs() <= near).all(1).float().mean() > most)
