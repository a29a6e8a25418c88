"""Other simulators that run the library's networks: which there are, and which of them are installed here."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from benchmarks.peers.base import MATCHED, Outcome, Peer, match_rates

__all__ = ["MATCHED", "PEERS", "Outcome", "Peer", "available", "match_rates", "missing"]

PEERS = {
    "torch_loop": "torch",
    "torch_loop_each_step": "torch",
    "spikingjelly": "spikingjelly",
    "spikingjelly_each_step": "spikingjelly",
    "snntorch": "snntorch",
    "norse": "norse",
    "sinabs": "sinabs",
    "nengo": "nengo",
}  # by name, the package that each needs; each is the PEER of the module of its name


def available() -> dict[str, Peer]:
    """The simulators whose package is installed, by name."""
    gone = missing()
    return {name: import_module(f"{__name__}.{name}").PEER for name in PEERS if name not in gone}


def missing() -> dict[str, str]:
    """The other ones, by name, each with the reason."""
    return {
        name: f"the package {package} is not installed"
        for name, package in PEERS.items()
        if find_spec(package) is None
    }
