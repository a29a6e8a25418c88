"""Samples of a torch module by Monte Carlo dropout: passes of one size, side by side, nothing computed twice.

The (sample, row) pairs are cut into tiles of equal size, one forward pass each. As the last bits of a matrix product
depend on its size and on how it is split over threads, a pass runs on one thread, and passes run side by side on as
many threads as torch has: a pair's bits depend on nothing but the pair.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes.conversion.faults import copied, float_dtype, refuse_faults, unwrapped
from spikebayes.conversion.only_in_training import only_in_training
from spikebayes.errors import ConfigError
from spikebayes.machine.products import check_steady_products
from spikebayes.machine.progress import track
from spikebayes.machine.threads import one_thread, share_out, threads_kept
from spikebayes.network.operators import Shape
from spikebayes.nn.unit import STANDARDISED
from spikebayes.noise.masks import evaluating
from spikebayes.prediction.heads import Head
from spikebayes.prediction.inputs import Block, Blocks
from spikebayes.prediction.module_passes import PAIRS_PER_BLOCK, Passes, Tile, Way, refuse_steps, tiles
from spikebayes.prediction.over_time import KNOWS_NO_TIME
from spikebayes.prediction.sampling import Piece, SamplingPlan, check_samples


class ModuleSampler:
    """What :func:`spikebayes.predict` asks of a torch module; the plan's engine and dtype are not looked at.

    The module's forward pass runs in several threads at once, but in one if it was seen to keep something of a pass
    (an attribute that it set, a tensor that it wrote to) or has hooks, which may.

    Raises:
        ConfigError: the module's numbers cannot be used, or something in it is wrong whatever its rows.
    """

    shapes: Sequence[Shape] | None = None
    still: str | None = KNOWS_NO_TIME
    model: nn.Module
    plan: SamplingPlan
    dtype: torch.dtype
    arguments: tuple[int, float]
    standardised: bool

    def __init__(self, model: nn.Module, plan: SamplingPlan) -> None:
        self.model, self.plan = unwrapped(model), plan
        refuse_faults(self.model, ConfigError)
        self.dtype, self.arguments = float_dtype(self.model), _arguments(self.model)
        self.standardised = getattr(self.model, STANDARDISED, False)
        self.way: Way | None = None

    @property
    def head(self) -> Head:
        """What an output is."""
        assert self.way is not None
        return self.way.head

    @torch.no_grad()
    def begin(self, inputs: tuple[Tensor, ...], rows: Tensor) -> None:
        """Find out how the module is run, by its first rows.

        Raises:
            ConfigError: nothing in the model is random; or something is that the masks do not own; or a row's answer
                depends on the rest of its batch.
            DataError: the module does not take the rows, gives no tensor with a line for each, or takes each step of
                an input over time by itself.
        """
        if (apart := only_in_training(self.model, inputs)) is not None:
            raise ConfigError(str(apart))
        if self.plan.device.type != "cpu":  # pyright: ignore[reportAttributeAccessIssue]
            self.model = copied(self.model, ConfigError).to(self.plan.device)
        check_steady_products()
        with self._evaluating():
            before = _state(self.model)
            with one_thread():
                self.way = Passes(self.model, self._here(inputs)).way(rows, self.plan)
            self.way = replace(self.way, alone=not _stateless(self.model, before))
            refuse_steps(self.model, self._here(inputs), self.way.head)

    @torch.no_grad()
    def __call__(self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False) -> Piece:
        """Samples of some rows, see :class:`Piece`."""
        assert self.way is not None
        check_steady_products()  # on a worker too
        way, passes = self.way, Passes(self.model, self._here(inputs))
        shape = self.plan.samples, len(rows), math.prod(way.head.shape)
        check_samples(*shape)
        output = torch.empty(shape, dtype=torch.float32)
        run = passes.by(way)
        with self._evaluating():
            for block in track(Blocks(rows, self.plan, PAIRS_PER_BLOCK), "predicting", progress):
                _fill(output, block, way.lines, run, _one_by_one if way.alone else share_out)
        return Piece(output, Counter(), Counter())

    def settings(self, spikes: Mapping[str, int], saturated: Mapping[str, int], predictions: int) -> dict[str, Any]:
        """How samples were made."""
        return {"kind": "classical"}

    def _here(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(part.to(self.plan.device) for part in inputs)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        with threads_kept(), evaluating(self.model):  # workers set the number for threads yet to come
            yield


def _arguments(model: nn.Module) -> tuple[int, float]:
    """Fewest and most arguments that a module's forward takes by position."""
    given = list(inspect.signature(model.forward).parameters.values())
    places = [p for p in given if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    most = math.inf if any(p.kind is p.VAR_POSITIONAL for p in given) else len(places)
    return max(1, sum(p.default is p.empty for p in places)), most


def _fill(output: Tensor, block: Block, lines: int, run: Callable[[Tile], Tensor], each: Callable[..., None]) -> None:
    """Compute a block's pairs and put them where they belong in ``[S, B, C]``."""
    cut = tiles(block, lines)

    def work(begin: int, end: int) -> None:
        for tile in cut[begin:end]:
            wanted = slice(tile.count)
            output[tile.keys.samples[wanted], tile.rows[wanted]] = run(tile)[wanted].to(output)

    each(_alike(work), len(cut), 1)


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
