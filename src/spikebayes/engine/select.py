"""Which engine runs a network."""

from __future__ import annotations

from spikebayes.engine.contract import Engine
from spikebayes.engine.cpu.engine import CpuEngine
from spikebayes.engine.memoryless.engine import MemorylessEngine
from spikebayes.engine.reference import ReferenceEngine
from spikebayes.engine.windows.engine import WindowsEngine
from spikebayes.errors import ConfigError
from spikebayes.machine.choices import unknown
from spikebayes.network.network import SpikingNetwork

ENGINES: tuple[Engine, ...] = (WindowsEngine(), MemorylessEngine(), CpuEngine(), ReferenceEngine())  # fastest first


def select(name: str, network: SpikingNetwork, over_time: bool = False) -> Engine:
    """The engine of that name, or with ``"auto"`` the fastest that supports the network.

    Args:
        name: of an engine, or ``"auto"``.
        network: it.
        over_time: whether its inputs change over time.

    Raises:
        ConfigError: there is no such engine, or it does not support the network (the message says why).
    """
    if name == "auto":
        asked, advice = ENGINES, ""
    else:
        asked, advice = [engine for engine in ENGINES if engine.name == name], "; use engine='auto'"
    reasons = [_refusal(engine, network, over_time) for engine in asked]
    if not reasons:
        names = dict.fromkeys(["auto", *(engine.name for engine in ENGINES)])
        raise ConfigError(unknown("engine", name, names))
    for engine, reason in zip(asked, reasons, strict=True):
        if reason is None:
            return engine
    which = "no engine can" if name == "auto" else f"the {name} engine cannot"
    reason = reasons[0] if network.is_memoryless and name != "auto" else reasons[-1]
    raise ConfigError(f"{which} run this network: {reason}{advice}")


def _refusal(engine: Engine, network: SpikingNetwork, over_time: bool) -> str | None:
    unable = engine.refusal(network)
    if unable is None and over_time and not engine.over_time:
        return "inputs that change over time are not compiled"
    return unable
