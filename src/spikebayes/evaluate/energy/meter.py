"""Joules by the machine's own counters: RAPL for processors and their memory, NVML for graphics cards.

Both count whatever their part of the machine does meanwhile, its idling and other programs included.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Counter:
    """A count of joules that only grows, but may start anew.

    Args:
        name: of the part of the machine.
        read: its count now, J.
        range: J after which it starts anew from 0; None when it does not.
    """

    name: str
    read: Callable[[], float]
    range: float | None = None


class Meter:
    """Joules and seconds between entering and leaving a ``with`` block.

    One wrap-around of a counter is corrected: at 200 W, RAPL's wrap after some 20 minutes. RAPL is updated every
    millisecond, NVML every 20 to 100 ms.

    Args:
        powercap: folder of the kernel's RAPL zones.

    Attributes:
        joules: by counter, for those that could be read at both ends.
        seconds: wall-clock time.
        missing: why there is no count, by kind of counter (``"RAPL"``, ``"NVML"``).

    Reference:
        Linux, Documentation/power/powercap; NVML's nvmlDeviceGetTotalEnergyConsumption (Volta and newer).

    Example:
        >>> with Meter(Path("no/such/folder")) as meter:
        ...     _ = sum(range(1000))
        >>> meter.missing["RAPL"]
        'there is no folder no/such/folder/intel-rapl:*'
    """

    def __init__(self, powercap: Path = POWERCAP) -> None:
        self.missing: dict[str, str] = {}
        self.counters: list[Counter] = []
        for kind, find in (("RAPL", lambda: _rapl(powercap)), ("NVML", _nvml)):
            try:
                found = list(find())
                if not found:
                    raise LookupError("there is no processor package" if kind == "RAPL" else "there is no card")
                for counter in found:
                    counter.read()
                self.counters += found
            except Exception as error:  # whatever a driver says that does not let itself be read
                self.missing[kind] = _reason(error)
        self.joules: dict[str, float] = {}
        self.seconds: float = 0.0

    def __enter__(self) -> Self:
        self._before = [counter.read() for counter in self.counters]
        self._start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start
        self.joules = {}
        for counter, then in zip(self.counters, self._before, strict=True):
            now = counter.read()
            self.joules[counter.name] = now - then + (counter.range or 0.0 if now < then else 0.0)


def _rapl(powercap: Path) -> Iterator[Counter]:
    """Each processor package and its memory; cores lie within a package, and a platform's zone around it."""
    zones = sorted(powercap.glob("intel-rapl:*"))
    if not zones:
        raise FileNotFoundError(f"there is no folder {powercap}/intel-rapl:*")
    names = {zone.name: (zone / "name").read_text().strip() for zone in zones}
    for zone in zones:
        parent = names.get(zone.name.rpartition(":")[0], "")
        if names[zone.name].startswith("package"):
            yield Counter(f"RAPL {names[zone.name]}", _microjoules(zone / "energy_uj"), _range(zone))
        elif names[zone.name] == "dram":
            yield Counter(f"RAPL {parent} dram", _microjoules(zone / "energy_uj"), _range(zone))


def _microjoules(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) * 1e-6


def _range(zone: Path) -> float:
    return int((zone / "max_energy_range_uj").read_text()) * 1e-6


def _nvml() -> Iterator[Counter]:
    nvml: Any = importlib.import_module("pynvml")
    nvml.nvmlInit()
    for k in range(nvml.nvmlDeviceGetCount()):
        yield Counter(f"NVML GPU {k}", _millijoules(nvml, nvml.nvmlDeviceGetHandleByIndex(k)))


def _millijoules(nvml: Any, handle: Any) -> Callable[[], float]:
    return lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3


def _reason(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"the Python package {error.name} is not installed"
    if isinstance(error, PermissionError):
        return f"{error.filename} may not be read"
    return " ".join(str(error).split()) or type(error).__name__
