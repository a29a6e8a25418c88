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

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.conversion.faults import float_dtype, refuse_faults, unwrapped
from spikebayes.conversion.tracing import dropout_of_training_alone
from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.memory import check_memory
from spikebayes.machine.products import check_steady_products
from spikebayes.machine.progress import track
from spikebayes.machine.threads import one_thread, share_out
from spikebayes.nn.unit import STANDARDISED
from spikebayes.noise.keys import Keys
from spikebayes.noise.masks import DropoutInputs, Masks, evaluating
from spikebayes.noise.ownership import owned
from spikebayes.prediction.cautions import warn_of_raw_inputs, warn_of_repeated_masks
from spikebayes.prediction.decisions import decided
from spikebayes.prediction.heads import Head, Sigmoids
from spikebayes.prediction.inputs import Block, as_inputs, blocks
from spikebayes.prediction.sampling import FEWER, SamplingPlan, Values

PAIRS_PER_BLOCK = 1 << 16
LINES = (128, 2048)  # fewest and most pairs per forward pass
VALUES = 1 << 18  # of the widest tensor of a pass, if LINES allow: what stays in a cache
PAIRS_PER_ROW = 64  # a pass begins on its pairs / 64 rows
PROBED = 8  # samples of a row in a probe

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
class Passes:
    """A way to run a module on pairs.

    Args:
        lines: L, pairs per pass.
        run: from a tile to outputs ``[L, C]``.
    """

    lines: int
    run: Callable[[Tile], Tensor]


@torch.no_grad()
def sample(model: nn.Module, x: Values, plan: SamplingPlan) -> tuple[Tensor, Head]:
    """``[S, B, C]`` float32 outputs of the module under the masks, and what an output is.

    The plan's engine and dtype are not looked at.

    The module's forward pass runs in several threads at once, but in one if it was seen to keep something of a pass
    (an attribute that it set, a tensor that it wrote to) or has hooks, which may.

    Raises:
        ConfigError: nothing in the model is random; or something is that the masks do not own; or a row's answer
            depends on the rest of its batch; or its numbers cannot be used.
        DataError: x is mis-shaped, empty, NaN or infinite, or the module does not take it.
    """
    model = unwrapped(model)
    refuse_faults(model, ConfigError)
    inputs = as_inputs(x, dtype=float_dtype(model))
    warn_of_raw_inputs(inputs, getattr(model, STANDARDISED, False))
    warn_of_repeated_masks(model, inputs, plan)
    if (guarded := dropout_of_training_alone(model, inputs)) is not None:
        raise ConfigError(str(guarded))
    if plan.device.type != "cpu":  # pyright: ignore[reportAttributeAccessIssue]
        model, inputs = copy.deepcopy(model).to(plan.device), tuple(part.to(plan.device) for part in inputs)
    indices = plan.indices(len(inputs[0]))
    parts = list(blocks(indices, plan, PAIRS_PER_BLOCK))
    check_steady_products()
    threads = torch.get_num_threads()
    try:
        with evaluating(model):
            before = _state(model)
            with one_thread():
                passes, head = _choose(model, inputs, parts[0])
            each = share_out if _stateless(model, before) else _one_by_one
            size = plan.samples, len(indices), math.prod(head.shape)
            check_memory(math.prod(size), "so many samples of so many outputs", FEWER)
            output = torch.empty(size)
            for block in track(parts, "predicting", plan.progress):
                _fill(output, block, passes, each)
    finally:
        torch.set_num_threads(threads)  # workers set the number for threads yet to come
    return output, head


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
    row = (pairs // PROBED).clamp(max=block.rows.stop - block.rows.start - 1)
    keys = Keys(block.keys.seed, pairs % PROBED, block.keys.rows[row])
    return Tile(len(pairs), block.rows.start + row, keys)


# -- one tile ------------------------------------------------------------------------------------------------


def _choose(model: nn.Module, inputs: tuple[Tensor, ...], block: Block) -> tuple[Passes, Head]:
    """How the model is run, and what an output is."""
    heads: list[Head] = []

    def forward(rows: Tensor) -> Any:
        try:
            return model(*(part[rows] for part in inputs))
        except (RuntimeError, TypeError) as error:
            shapes = ", ".join(str(list(part.shape[1:])) for part in inputs)
            raise DataError(f"the model does not take rows of shape {shapes}: {error}") from error

    def whole(tile: Tile) -> Tensor:
        with Sigmoids() as sigmoids, Masks(tile.keys) as masks:
            result = _output(forward(tile.rows), len(tile.rows))
        if not masks.random:
            raise ConfigError(NOT_RANDOM)
        heads.append(Head(tuple(result.shape[1:]), sigmoids.gave(result)))
        return result.flatten(1)

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
            return _output(forward(last), len(tile.rows)).flatten(1)

    probe = _probe(block)
    expected, taken = owned(lambda: decided(lambda: whole(probe)))
    if bool(expected.isfinite().all()) and not _stands_alone(whole, probe, expected, taken):
        raise ConfigError(ROWS_MIX if _agree(whole(probe), expected) else CHANGES)
    if taken:
        return Passes(_lines_per_pass(forward, True, inputs[0].device), _deciding(whole, taken)), heads[0]
    try:
        agrees = _agree(shared(probe), expected)
    except Exception:  # whatever a model says that cannot be run so
        agrees = False
    lines = _lines_per_pass(forward, not agrees, inputs[0].device)
    return Passes(lines, shared if agrees else whole), heads[0]


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
        return all(each == taken for _, each in parts) and _agree(outputs, expected[lines], most)

    if not same([FEW]) or (taken and not same(torch.arange(LINES[0]).split(PROBED))):
        return False
    try:
        return same(SPREAD.split(1), most=0.8)
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


def _agree(one: Tensor, other: Tensor, most: float = 0.5) -> bool:
    """Whether most lines are equal but for rounding, which a steep activation may enlarge in a few.

    Other masks, or other rows, would change every line by about a standard deviation.
    """
    near = 0.01 * other.std(0) + 100 * torch.finfo(other.dtype).eps * other.abs().amax(0)
    return bool(((one - other).abs() <= near).all(1).float().mean() > most)


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
    """What a forward pass could change in a model: attributes, what their lists and dicts hold, tensors' contents.

    Values of a graph, which a forward that keeps things keeps of its tracing, only pass for tensors.
    """
    values = [value for module in model.modules() for value in vars(module).values()]
    values += [v for value in values if isinstance(value, dict) for v in value.values()]
    values += [v for value in values if isinstance(value, list) for v in value]
    return values, [v._version for v in values if issubclass(type(v), Tensor) and not v.is_inference()]


def _stateless(model: nn.Module, before: tuple[list[Any], list[int]]) -> bool:
    """Whether passes changed nothing since, and no hook could: then several may run at once."""
    values, versions = _state(model)
    same = len(values) == len(before[0]) and all(a is b for a, b in zip(values, before[0], strict=True))
    hooked = any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    return same and versions == before[1] and not hooked
