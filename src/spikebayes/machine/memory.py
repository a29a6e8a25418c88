"""Work that this machine's memory cannot hold is refused before it begins."""

from __future__ import annotations

import os

from spikebayes.errors import ConfigError


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


def _memory() -> float:
    """Bytes of memory in all; infinite where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return float("inf")
