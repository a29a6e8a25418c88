"""What the bench ran on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

CPU = Path("/sys/devices/system/cpu/cpu0/cache")


def machine() -> dict[str, Any]:
    """Processor, cores this process may use, caches (Linux only) and operating system."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": _processor(), "cores": usable, "caches": _caches(), "system": platform.system()}


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _caches() -> dict[str, str]:
    """Size by name, such as L1 data."""

    def read(index: Path, name: str) -> str:
        return (index / name).read_text().strip()

    found = {}
    for index in sorted(CPU.glob("index*")):
        try:
            kind = read(index, "type").lower()
            name = f"L{read(index, 'level')}" + ("" if kind == "unified" else f" {kind}")
            found[name] = read(index, "size")
        except OSError:
            continue
    return found
