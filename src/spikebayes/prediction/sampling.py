"""How to sample: what the entry points are told, checked once and handed down whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from spikebayes.errors import ConfigError, DataError
from spikebayes.machine.choices import unknown
from spikebayes.machine.memory import check_memory
from spikebayes.machine.numbers import check_count, native
from spikebayes.network.network import SpikingNetwork
from spikebayes.network.operators import Shape
from spikebayes.network.settling import settling_steps
from spikebayes.network.timing import Timing, Window
from spikebayes.noise.philox import split_seed
from spikebayes.prediction.heads import Head

MaskScope = Literal["row", "pass"]
Values = Tensor | np.ndarray | Sequence[Any]

MOST_SAMPLES = 1 << 24  # they tell a standard deviation to 0.02 %
FEWER = "take fewer samples, or predict some rows at a time, with their numbers as rows="  # where memory ends
AVERAGED = 100  # steps, of a network with memory
UNFILTERED = 200  # steps left out where neurons remember and no filter says for how long


@dataclass(frozen=True, eq=False)
class SamplingPlan:
    """Which samples are drawn, and how the work is done.

    Args:
        samples: S.
        seed: key of all draws, in [0, 2^64).
        mask_scope: ``"row"``: each row its own masks; ``"pass"``: one mask per sample for all rows.
        rows: ``[B]`` indices of the rows in the whole data set; 0 .. B - 1 by default.
        engine: name of the engine, or ``"auto"``.
        batch_size: most rows at a time.
        dtype: of a simulation, float32 or float64.
        progress: show a progress bar on standard error.
        least: fewest samples that make sense to the caller.
        device: where a module, or a coded network, is computed.
        cluster: processes that share the work, see :func:`spikebayes.distribute`.

    Raises:
        ConfigError: a setting out of range.
    """

    samples: int = 100
    seed: int = 0
    mask_scope: MaskScope = "row"
    rows: Values | None = None
    engine: str = "auto"
    batch_size: int | None = None
    dtype: torch.dtype = torch.float32
    progress: bool = False
    least: int = 1
    device: str | torch.device = "cpu"
    cluster: Any = None

    def __post_init__(self) -> None:
        split_seed(self.seed)
        check_count("samples", self.samples, self.least, MOST_SAMPLES, "fewer are enough")
        if self.mask_scope not in get_args(MaskScope):
            raise ConfigError(unknown("mask_scope", self.mask_scope, get_args(MaskScope)))
        object.__setattr__(self, "samples", int(self.samples))  # NumPy's integers are no JSON
        object.__setattr__(self, "seed", int(self.seed))
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size, 1)
        if self.dtype not in (torch.float32, torch.float64):
            raise ConfigError(f"dtype must be torch.float32 or torch.float64; got {self.dtype}")

        object.__setattr__(self, "device", known_device(self.device))

    def __getstate__(self) -> dict[str, Any]:
        """What a worker is sent: all but what is the caller's alone."""
        return self.__dict__ | {"rows": None, "progress": False, "cluster": None}

    def indices(self, count: int) -> Tensor:
        """``[B]`` int64 indices of so many rows.

        Raises:
            DataError: the plan's are not B distinct indices in [0, 2^32).
            ConfigError: with all samples they are more than memory holds.
        """
        check_memory(self.samples * count, f"{self.samples:,} samples of {count:,} rows", FEWER)
        if self.rows is None:
            return torch.arange(count)
        try:
            indices = torch.as_tensor(native(self.rows)).flatten()
        except (TypeError, ValueError, RuntimeError) as error:
            raise DataError(f"row indices must be whole numbers: {error}") from error
        if indices.is_floating_point() or indices.is_complex() or indices.dtype == torch.bool:
            raise DataError(f"row indices must be whole numbers; got {indices.dtype}")
        indices = indices.to("cpu", torch.int64)
        if len(indices) != count:
            raise DataError(f"{len(indices)} row indices were given for {count} rows: give one for each")
        if int(indices.min()) < 0 or int(indices.max()) >= 1 << 32:
            raise DataError("row indices must lie in [0, 2^32)")
        if len(indices.unique()) != count:
            raise DataError(
                "row indices must differ from one another: two rows with one index would share their masks"
            )
        return indices


@dataclass
class Piece:
    """Samples of some rows.

    Args:
        samples: ``[S, b, C]`` float32.
        spikes: in all of them, by population of a network.
        saturated: neurons whose number was cut off, by coded population.
    """

    samples: Tensor
    spikes: Counter[str]
    saturated: Counter[str]


class Sampler(Protocol):
    """A module or a network that is asked for samples of rows, which may come in parts.

    Args:
        model: it.
        plan: which samples.
        dtype: of its inputs.
        shapes: of a row of each argument, where the model says so.
        arguments: fewest and most that it takes.
        standardised: whether it was trained on standardised inputs.
        still: why no argument may change over time; None where they may.
    """

    model: Any
    plan: SamplingPlan
    dtype: torch.dtype
    shapes: Sequence[Shape] | None
    arguments: tuple[int, float]
    standardised: bool
    still: str | None

    @property
    def head(self) -> Head:
        """What an output is; known once a piece of samples is there."""
        ...

    def begin(self, inputs: tuple[Tensor, ...], rows: Tensor) -> None:
        """See by the first rows how the others will be run."""
        ...

    def __call__(self, inputs: tuple[Tensor, ...], rows: Tensor, progress: bool = False) -> Piece:
        """Samples of rows with these indices ``[b]``; the same bits, whatever others are asked for with them."""
        ...

    def settings(self, spikes: Mapping[str, int], saturated: Mapping[str, int], predictions: int) -> dict[str, Any]:
        """How the samples were made, as JSON, with what one of so many cost."""
        ...


def check_samples(samples: int, rows: int, outputs: int) -> None:
    """Refuse more than memory holds (ConfigError)."""
    check_memory(samples * rows * outputs, "so many samples of so many outputs", FEWER)


def known_device(device: str | torch.device) -> torch.device:
    """A device that torch has here.

    Raises:
        ConfigError: torch has none of that name.

    Example:
        >>> known_device("cpu")
        device(type='cpu')
    """
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).cpu()
    except (RuntimeError, AssertionError, NotImplementedError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise ConfigError(
            f"torch cannot compute on device {str(device)!r} here: {reason}; use device='cpu'"
        ) from error
    return found


def timing_of(
    network: SpikingNetwork, steps: int | None = None, burn_in: int | None = None, window: Window | None = None
) -> Timing:
    """How long to simulate: what is given; for the rest the timing that the network carries, or its filters need.

    Raises:
        ConfigError: nothing is left to average; or the network tells numbers in windows, which have their length.
    """
    if network.code is not None:
        for name, given in (("steps", steps), ("burn_in", burn_in), ("window", window)):
            if given is not None:
                raise ConfigError(
                    f"{name} is for networks that step freely; this one tells numbers by {network.code}, in windows "
                    f"of {network.code.ticks} ticks, one for each sample: leave {name} out"
                )
        return Timing(network.code.ticks)
    given = None if steps is None or burn_in is None else Timing(steps, burn_in)
    usual = network.timing or given or default_timing(network)
    return Timing(
        usual.steps if steps is None else steps,
        usual.burn_in if burn_in is None else burn_in,
        usual.window if window is None else window,
    )


def default_timing(network: SpikingNetwork) -> Timing:
    """What the filters need: burn-in until 99 % of a step has come through the slowest chain, then 100 steps.

    A step of a network without memory is a sample.

    Raises:
        ConfigError: a filter never forgets, or for longer than a simulation may run.
    """
    if network.is_memoryless:
        return Timing(1)
    settled = settling_steps(network)
    left_out = UNFILTERED if settled is None else settled
    return Timing(left_out + AVERAGED, left_out)
