"""What a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("spikebayes", "torch", "numpy", "numba", "scipy", "lightning")


def versions() -> dict[str, str]:
    """Versions of the library and of what its results depend on, as far as it is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a part that was not installed
            continue
    return found
