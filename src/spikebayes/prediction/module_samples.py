"""Samples of a torch module by Monte Carlo dropout: passes of one size, side by side, nothing computed twice.

The (sample, row) pairs are cut into tiles of equal size, one forward pass each. As the last bits of a matrix product
depend on its size and on how it is split over threads, a pass runs on one thread, and passes run side by side on as
many threads as torch has: a pair's bits depend on nothing but the pair.

What a module computes before its first dropout call is the same for all samples of a row. So a tile is run on the few
rows it has, and the dropout call gives a line for each pair (``masks.Masks``). A module that cannot
take this (one that adds to a dropped tensor one that was not, or reshapes by the size of its input) is run on all
lines from the start: a tile computed both ways tells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.products import check_steady_products
from spikebayes.machine.progress import track
from spikebayes.machine.threads import one_thread, share_out
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks, evaluating
from spikebayes.prediction.inputs import Block, as_inputs, blocks
from spikebayes.prediction.sampling import SamplingPlan, Values

PAIRS_PER_BLOCK = 1 << 16
LINES = (128, 2048)  # fewest and most pairs per forward pass
VALUES = 1 << 18  # of the widest tensor of a pass, if LINES allow: what stays in a cache
PAIRS_PER_ROW = 64  # a pass begins on its pairs / 64 rows

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
class Passes:
    """A way to run a module on pairs.

    Args:
        lines: L, pairs per pass.
        run: from a tile to outputs ``[L, C]``.
    """

    lines: int
    run: Callable[[Tile], Tensor]


@torch.no_grad()
def sample(model: nn.Module, x: Values, plan: SamplingPlan) -> Tensor:
    """``[S, B, C]`` float32 outputs of the module under the masks; the plan's engine and dtype are not looked at.

    The module's forward pass runs in several threads at once, but in one if it was seen to keep something of a pass
    (an attribute that it set, a tensor that it wrote to) or has hooks, which may.

    Raises:
        ConfigError: nothing in the model is random, or a kind of dropout that has no counterpart here.
        DataError: x is mis-shaped, empty, NaN or infinite, or the module does not take it.
    """
    dtype = next((p.dtype for p in model.parameters()), torch.float32)
    inputs = as_inputs(x, dtype=dtype)
    indices = plan.indices(len(inputs[0]))
    parts = list(blocks(indices, plan, PAIRS_PER_BLOCK))
    check_steady_products()
    threads = torch.get_num_threads()
    try:
        with evaluating(model):
            before = _state(model)
            with one_thread():
                passes, line = _choose(model, inputs, parts[0])
            each = share_out if _stateless(model, before) else _one_by_one
            output = torch.empty(plan.samples, len(indices), *line.shape)
            for block in track(parts, "predicting", plan.progress):
                _fill(output, block, passes, each)
    finally:
        torch.set_num_threads(threads)  # workers set the number for threads yet to come
    return output


def _fill(output: Tensor, block: Block, passes: Passes, each: Callable[..., None]) -> None:
    """Compute a block's pairs and put them where they belong in ``[S, B, C]``."""
    tiles = _tiles(block, passes.lines)

    def work(begin: int, end: int) -> None:
        for tile in tiles[begin:end]:
            wanted = slice(tile.count)
            output[tile.keys.samples[wanted], tile.rows[wanted]] = passes.run(tile)[wanted].to(output)

    each(_alike(work), len(tiles), 1)


def _tiles(block: Block, lines: int) -> list[Tile]:
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


def _probe(block: Block) -> Tile:
    """A small tile of several rows, however many samples are wanted."""
    pairs = torch.arange(LINES[0])
    row = (pairs // (PAIRS_PER_ROW // 2)).clamp(max=block.rows.stop - block.rows.start - 1)
    keys = Keys(block.keys.seed, pairs % (PAIRS_PER_ROW // 2), block.keys.rows[row])
    return Tile(len(pairs), block.rows.start + row, keys)


# -- one tile ------------------------------------------------------------------------------------------------


def _choose(model: nn.Module, inputs: tuple[Tensor, ...], block: Block) -> tuple[Passes, Tensor]:
    """How the model is run, and one line of its output."""

    def forward(rows: Tensor) -> Any:
        try:
            return model(*(part[rows] for part in inputs))
        except (RuntimeError, TypeError) as error:
            shapes = ", ".join(str(list(part.shape[1:])) for part in inputs)
            raise DataError(f"the model does not take rows of shape {shapes}: {error}") from error

    def whole(tile: Tile) -> Tensor:
        with Masks(tile.keys) as masks:
            result = _outputs(forward(tile.rows), len(tile.rows))
        if not masks.random:
            raise ConfigError(NOT_RANDOM)
        return result

    def shared(tile: Tile) -> Tensor:
        low, high = int(tile.rows[0]), int(tile.rows[-1])
        step = len(tile.rows) // PAIRS_PER_ROW
        *others, last = (torch.arange(row, row + step).clamp(max=high) for row in range(low, high + 1, step))
        before = []
        for rows in others:
            with DropoutInputs() as calls:
                forward(rows)
            before.append(calls.seen)
        with Masks(tile.keys, tile.rows - low, before):
            return _outputs(forward(last), len(tile.rows))

    probe = _probe(block)
    expected = whole(probe)
    try:
        agrees = _agree(shared(probe), expected)
    except Exception:  # whatever a model says that cannot be run so
        agrees = False
    lines = _lines_per_pass(forward, all_in_all=not agrees)
    return Passes(lines, shared if agrees else whole), expected[0]


def _lines_per_pass(forward: Callable[[Tensor], Any], all_in_all: bool) -> int:
    """L, by the widest tensor of the module, all in all or from its first dropout call on."""
    with DropoutInputs() as calls:
        forward(torch.zeros(2, dtype=torch.int64))
    width = max(calls.widths) if all_in_all else calls.widths[1]
    lines = min(max(2 * VALUES // max(1, width), LINES[0]), LINES[1])
    return 1 << (lines.bit_length() - 1)


def _outputs(result: Any, count: int) -> Tensor:
    """``[L, C]``, checked."""
    if not isinstance(result, Tensor) or result.shape[:1] != (count,):
        raise DataError("the model must return one tensor with a line for every row of its input")
    return result.flatten(1)


def _agree(one: Tensor, other: Tensor) -> bool:
    """Whether most lines are equal but for rounding, which a steep activation may enlarge in a few.

    Other masks, or other rows, would change every line by about a standard deviation.
    """
    near = 0.01 * other.std(0) + 100 * torch.finfo(other.dtype).eps * other.abs().amax(0)
    return bool(((one - other).abs() <= near).all(1).float().mean() > 0.5)


# -- side by side --------------------------------------------------------------------------------------------


def _alike(work: Callable[[int, int], None]) -> Callable[[int, int], None]:
    """The work under the modes that hold here, whichever thread does it (modes are a thread's own), on one thread."""
    inference = torch.is_inference_mode_enabled()
    autocast = {"dtype": torch.get_autocast_dtype("cpu"), "enabled": torch.is_autocast_enabled("cpu")}

    def alike(begin: int, end: int) -> None:
        with torch.inference_mode(inference), torch.no_grad(), torch.autocast("cpu", **autocast), one_thread():
            work(begin, end)

    return alike


def _one_by_one(work: Callable[[int, int], None], count: int, part: int) -> None:
    for begin in range(0, count, part):
        work(begin, min(count, begin + part))


def _state(model: nn.Module) -> tuple[list[Any], list[int]]:
    """What a forward pass could change in a model: attributes, what their lists and dicts hold, tensors' contents."""
    values = [value for module in model.modules() for value in vars(module).values()]
    values += [v for value in values if isinstance(value, dict) for v in value.values()]
    values += [v for value in values if isinstance(value, list) for v in value]
    return values, [v._version for v in values if isinstance(v, Tensor) and not v.is_inference()]


def _stateless(model: nn.Module, before: tuple[list[Any], list[int]]) -> bool:
    """Whether passes changed nothing since, and no hook could: then several may run at once."""
    values, versions = _state(model)
    same = len(values) == len(before[0]) and all(a is b for a, b in zip(values, before[0], strict=True))
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return same and versions == before[1] and not hooked
