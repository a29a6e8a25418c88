"""Neural codes as text on the command line."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Literal

from spikebayes.app.table_run import Spiking, TableRun
from spikebayes.app.training_table import rows_to_calibrate
from spikebayes.errors import ConfigError
from spikebayes.machine.choices import unknown
from spikebayes.network.codes import Code, Digits, FirstSpike, Graded, Radix

CODES: dict[str, type[Code]] = {kind.__name__: kind for kind in (Digits, FirstSpike, Radix, Graded)}
FORM = re.compile(r"\s*(\w+)\s*(?:\(([\s\d,]*)\))?\s*")


def code_of(text: str) -> Code | Literal["lif", "auto"]:
    """A code by the name and the numbers of its class; lif and auto are themselves.

    Raises:
        ConfigError: no such code, or other numbers than it takes.

    Example:
        >>> code_of("Digits(4, 4)"), code_of("firstspike(64)"), code_of("auto")
        (Digits(radix=4, digits=4), FirstSpike(levels=64), 'auto')
    """
    found = FORM.fullmatch(text)
    name = found[1].lower() if found else text
    if name == "lif" or name == "auto":
        return name
    kind = next((kind for known, kind in CODES.items() if known.lower() == name), None)
    if found is None or kind is None:
        raise ConfigError(unknown("code", text, ["lif", "auto", *map(_form, CODES.values())]))
    numbers = [int(number) for number in re.findall(r"\d+", found[2] or "")]
    if len(numbers) != len(fields(kind)):  # pyright: ignore[reportArgumentType]
        raise ConfigError(f"code must be written as {_form(kind)}, with whole numbers; got {text!r}")
    return kind(*numbers)


def network_of(run: TableRun, dt: float, tau: float | None, code: str, headroom: float) -> Spiking:
    """A run's spiking network; a code is calibrated on the rows that were trained on.

    Raises:
        ConfigError: no such code, a setting out of range, or the training table is not there for a code.
    """
    kind = code_of(code)
    rows = None if kind == "lif" else rows_to_calibrate(run)
    return run.network(dt=dt, tau=tau, code=kind, headroom=headroom, calibrate=rows)


def _form(kind: type[Code]) -> str:
    return f"{kind.__name__}({', '.join(f.name for f in fields(kind))})"  # pyright: ignore[reportArgumentType]
