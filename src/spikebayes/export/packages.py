"""Packages of others that an export needs, imported when they are asked for."""

from __future__ import annotations

import warnings
from typing import Any

from spikebayes.errors import ConfigError
from spikebayes.machine.extras import needed


def nir_package(what: str) -> Any:
    """nir, of a version whose neurons are reset to a voltage (ConfigError else)."""
    nir = package("nir", what)
    if not hasattr(nir.LIF, "v_reset"):
        raise ConfigError(f"{what} needs nir 1.0.7 or newer; {nir.version} is here: pip install -U 'spikebayes[nir]'")
    return nir


def package(name: str, what: str) -> Any:
    """The package of that name.

    Args:
        name: of the package.
        what: what needs it, for the message.

    Raises:
        ConfigError: it is not installed.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "numpy.core is deprecated", DeprecationWarning)  # Nengo 4.1 under NumPy 2
        return needed(name, what)
