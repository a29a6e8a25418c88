"""What a result depends on."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions() -> dict[str, str]:
    """Versions of the library and of what its results depend on."""
    packages = ("spikebayes", "torch", "numpy", "numba", "scipy", "lightning")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}
