"""Packages that only a part of the library needs: which extra brings them, and what to say where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spikebayes.errors import ConfigError

EXTRAS: dict[str, tuple[str, ...]] = {
    "table": ("pandas", "pyarrow", "openpyxl", "pooch", "requests"),
    "train": ("lightning", "sklearn"),
    "report": ("matplotlib", "jinja2", "markupsafe"),
    "cli": ("cyclopts", "yaml"),
    "cluster": ("distributed", "dask", "cloudpickle"),
    "serve": ("fastapi", "starlette", "uvicorn", "prometheus_client"),
    "nir": ("nir", "h5py"),
    "nengo": ("nengo",),
    "chem": ("rdkit",),
    "xarray": ("xarray",),
}
HOMES: dict[str, str] = {package: extra for extra, packages in EXTRAS.items() for package in packages}
CALLED = {"sklearn": "scikit-learn", "yaml": "PyYAML", "rdkit": "RDKit", "distributed": "Dask", "jinja2": "Jinja2"}


def needed(module: str, what: str) -> Any:
    """A module of a package that an extra brings, or one of the library's that imports such packages.

    Args:
        module: its name.
        what: what needs it, for the message.

    Raises:
        ConfigError: a package is not installed; it says how to install it.

    Example:
        >>> needed("scipy.stats", "a test").__name__
        'scipy.stats'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error, what) or error from error


def missing(error: ModuleNotFoundError, what: str) -> ConfigError | None:
    """What to tell whoever lacks a package of an extra; None if the module that was not found is no such package.

    Example:
        >>> missing(ModuleNotFoundError(name="lightning.pytorch"), "fit").args[0]
        "fit needs lightning, which is not here: pip install 'spikebayes[train]'"
    """
    package = (error.name or "").split(".")[0]
    if package not in HOMES:
        return None
    name = CALLED.get(package, package)
    return ConfigError(f"{what} needs {name}, which is not here: pip install 'spikebayes[{HOMES[package]}]'")
