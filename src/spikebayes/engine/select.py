"""Which engine runs a network."""

from __future__ import annotations

from spikebayes.engine.contract import Engine
from spikebayes.engine.cpu.engine import CpuEngine
from spikebayes.engine.reference import ReferenceEngine
from spikebayes.errors import ConfigError
from spikebayes.network.network import SpikingNetwork

ENGINES: tuple[Engine, ...] = (CpuEngine(), ReferenceEngine())  # fastest first


def select(name: str, network: SpikingNetwork) -> Engine:
    """The engine of that name, or with ``"auto"`` the fastest that supports the network.

    Raises:
        ConfigError: there is no such engine, or it does not support the network (the message says why).
    """
    if name == "auto":
        return next(engine for engine in ENGINES if engine.refusal(network) is None)
    for engine in ENGINES:
        if engine.name == name:
            reason = engine.refusal(network)
            if reason is not None:
                raise ConfigError(f"the {name} engine cannot run this network: {reason}; use engine='auto'")
            return engine
    raise ConfigError(f"there is no engine {name!r}; there are auto, {', '.join(e.name for e in ENGINES)}")
