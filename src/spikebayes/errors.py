"""Every error the library raises on purpose.

A message says what was expected, what was given, and what to do. The command line prints it in one line.
"""

from __future__ import annotations


class SpikebayesError(Exception):
    """Base class: catch this to catch everything the library raises on purpose."""


class ConversionError(SpikebayesError):
    """A model cannot become a spiking network; the message names the node of its graph."""


class DataError(SpikebayesError):
    """Data that cannot be used: missing, unreadable, mis-shaped, NaN, infinite or empty."""


class ConfigError(SpikebayesError):
    """A setting out of range, or settings that contradict one another."""


class StoreError(SpikebayesError):
    """A stored run, network or prediction that is missing, damaged or edited."""
