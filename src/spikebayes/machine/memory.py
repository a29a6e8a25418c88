"""Work that this machine's memory cannot hold is refused before it begins."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from torch import Tensor

from spikebayes.errors import ConfigError

AT_ONCE = 1 << 20  # numbers of samples that are looked at together
CONTAINER = tuple(Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes"))  # v2, v1
MOST = 1 << 28  # numbers of one layer, one row, one column: 1 GiB in float32


def check_memory(numbers: int, what: str, cure: str) -> None:
    """Refuse more numbers of 4 bytes than the machine has memory for.

    Raises:
        ConfigError: says what needs how much, and the cure.

    Example:
        >>> check_memory(1 << 50, "such a table", "take fewer rows")
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: such a table needs 4.5e+06 GB of memory, more than there is; take fewer rows
    """
    if 4 * numbers > _memory():
        raise ConfigError(f"{what} needs {4e-9 * numbers:.2g} GB of memory, more than there is; {cure}")


def check_size(what: str, *sizes: int) -> None:
    """Refuse an array that is larger than any the library is meant for, whatever the machine.

    Raises:
        ConfigError: says how large it may be.

    Example:
        >>> check_size("a layer", 1 << 20, 1 << 20)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: a layer of 1,048,576 x 1,048,576 is too large; at most 268,435,456 in all...
    """
    if math.prod(map(int, sizes)) > MOST:
        found = " x ".join(f"{n:,}" for n in sizes)
        raise ConfigError(f"{what} of {found} is too large; at most {MOST:,} in all: take fewer, or narrower ones")


def row_parts(samples: Tensor) -> Sequence[Tensor]:
    """``[S, B, C]`` as views ``[S, b, C]`` of some rows each, so that what is worked out about them is never large.

    Example:
        >>> import torch
        >>> [list(part.shape) for part in row_parts(torch.empty(100, 12_000, 2))]
        [[100, 5242, 2], [100, 5242, 2], [100, 1516, 2]]
    """
    samples_of_a_row = samples.shape[0] * samples.shape[2]
    return samples.split(max(1, AT_ONCE // samples_of_a_row), dim=1)


def _memory() -> float:
    """Bytes of memory in all, or that a container leaves; infinite where the system does not say."""
    try:
        most: float = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        most = float("inf")
    for limit in CONTAINER:
        with suppress(OSError, ValueError):  # no such file; "max"
            most = min(most, int(limit.read_text()))
    return most


def second_cache_bytes() -> int:
    """Of a core's second-level cache; 1 MiB where the system does not say."""
    try:
        told = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(told.removesuffix("K")) * 1024
    except (OSError, ValueError):
        return 1 << 20
