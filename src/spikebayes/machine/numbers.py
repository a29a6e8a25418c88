"""What counts as a number, which numbers are known, and how many are too many."""

from __future__ import annotations

import numbers
from typing import TypeVar

import numpy as np

from spikebayes.errors import ConfigError, DataError

T = TypeVar("T")
SPREADS = 1e-18, 1e18  # standard deviations whose squares are normal numbers of float32


def is_whole(value: object) -> bool:
    """Whether a value is an integer, Python's or NumPy's; True and False are none."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def native(value: T) -> T:
    """A NumPy array as torch takes it: one that may be written to, without negative strides or foreign bytes.

    Others are returned as they are.

    Raises:
        DataError: some values of a masked array are masked, and would count as what lies under the mask.

    Example:
        >>> native(np.ma.masked_equal([1.0, -99.0], -99.0))
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: 1 of 2 values of a masked array are masked, so they are not known: leave their \
rows out, or fill them in, as array.filled(0) does
    """
    if not isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.ma.MaskedArray) and (masked := int(np.ma.count_masked(value))):
        raise DataError(
            f"{masked} of {value.size} values of a masked array are masked, so they are not known: leave their rows "
            "out, or fill them in, as array.filled(0) does"
        )
    array = np.asarray(value)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if min(array.strides, default=0) < 0 or not array.flags.writeable:  # as of a column of pandas
        array = array.copy()
    return array  # pyright: ignore[reportReturnType]


def check_spread(std: float, what: str) -> None:
    """Refuse numbers whose variance float32 cannot hold, in which observation noise is told.

    Args:
        std: their standard deviation. what: they are.

    Raises:
        DataError: names them and the cure.

    Example:
        >>> check_spread(3e25, "the target 'mass'")
        Traceback (most recent call last):
        ...
        spikebayes.errors.DataError: the target 'mass' has a standard deviation of 3e+25, whose square float32 \
does not hold (between 1e-18 and 1e+18 it does): give it in another unit
    """
    if not SPREADS[0] <= std <= SPREADS[1]:
        low, high = (f"{limit:g}" for limit in SPREADS)
        raise DataError(
            f"{what} has a standard deviation of {std:.3g}, whose square float32 does not hold (between {low} and "
            f"{high} it does): give it in another unit"
        )


def check_count(name: str, value: object, least: int, most: int | None = None, cure: str = "") -> None:
    """Refuse what is no whole number, or too small, or so large that the work would not come to an end.

    Raises:
        ConfigError: names the bound, what came and the cure.

    Example:
        >>> check_count("resamples", 10**9, 1, 10**6, "more tell no more")
        Traceback (most recent call last):
        ...
        spikebayes.errors.ConfigError: resamples must be at most 1,000,000; got 1,000,000,000: more tell no more
    """
    if not is_whole(value) or value < least:  # pyright: ignore[reportOperatorIssue]
        shown = " ".join(repr(value).split())[:60]
        raise ConfigError(f"{name} must be a whole number, at least {least}; got {shown}")
    if most is not None and value > most:  # pyright: ignore[reportOperatorIssue]
        raise ConfigError(f"{name} must be at most {most:,}; got {value:,}: {cure}")
