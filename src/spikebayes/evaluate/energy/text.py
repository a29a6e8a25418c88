"""An Energy as a page of text."""

from __future__ import annotations

import math
from typing import Any

from spikebayes.evaluate.energy.energy import Energy

HEADINGS = ("device", "spiking", "classical", "ratio", "break-even", "vs GPU")
COLUMNS = ("spiking_j", "classical_j", "ratio", "break_even_rate", "break_even_rate_vs_gpu")
PREFIXES = ("", "m", "µ", "n", "p")


def statement(found: Energy) -> str:
    """Counts, then joules per predicted row by device, without and with reads of the weights; sources last."""
    table = found.table()
    priced = [line for line in table if "memory" in line]
    measured = [line for line in table if "memory" not in line]
    said = [
        *_counts(found),
        "",
        "joules per predicted row, all its samples; break-even in spikes per neuron and step",
    ]
    said += _aligned([HEADINGS, *([line["device"], *_cells(line, "")] for line in priced)])
    said += ["", "the same with a weight read from memory for every operation"]
    with_memory = ([line["device"], *_cells(line, "_memory"), line["memory"]] for line in priced)
    said += _aligned([(*HEADINGS, "weight memory"), *with_memory])
    said.append("")
    for line in measured:
        joules = f"{_joules(line['spiking_j'])} spiking, {_joules(line['classical_j'])} classical, "
        said.append(f"{line['device']}: {joules if line['spiking_j'] is not None else ''}{line['source']}")
    sources: dict[str, list[str]] = {}
    for line in priced:
        sources.setdefault(line["source"], []).append(line["device"])
    said += [f"{', '.join(devices)}: {source}" for source, devices in sources.items()]
    return "\n".join(said)


def _counts(found: Energy) -> list[str]:
    s, c = found.spiking, found.classical
    spikes = sum(s.spikes.values())
    spiking = {
        "spikes": (spikes, f"{s.spike_rate:.3g} per neuron and step"),
        "synaptic events": (s.synaptic_events, f"{s.dense_synaptic_operations} if every synapse works in every step"),
        "neuron updates": (s.neuron_updates, f"{s.dense_neuron_updates} with dropped neurons"),
        "input currents": (s.input_macs, "multiply-accumulates"),
        "mask bits": (s.mask_bits, "drawn"),
    }
    classical = {
        "multiply-accumulates": (c.kept_macs, f"{c.macs} with dropped neurons"),
        "activations": (c.kept_activations, f"{c.activations} with dropped neurons"),
        "mask bits": (c.mask_bits, "drawn"),
    }
    return [
        f"spiking: {s.simulations} simulations of {s.steps} steps, {s.neurons} neurons, {s.synapses} synapses",
        *_listed(spiking),
        f"classical: {s.rows} rows of {c.passes} passes",
        *_listed(classical),
    ]


def _listed(counts: dict[str, tuple[int, str]]) -> list[str]:
    lines = _aligned([(f"  {name}", str(number)) for name, (number, _) in counts.items()])
    return [f"{line}  {said}" for line, (_, said) in zip(lines, counts.values(), strict=True)]


def _cells(line: dict[str, Any], suffix: str) -> list[str]:
    spiking, classical, ratio, *rates = (line.get(f"{name}{suffix}") for name in COLUMNS)
    return [_joules(spiking), _joules(classical), "-" if ratio is None else f"{ratio:.3g}", *map(_rate, rates)]


def _rate(rate: float | str | None) -> str:
    """A neuron spikes once per step at most, so that a rate above 1 is any rate."""
    if rate is None or isinstance(rate, str):
        return rate or "-"
    return f"{rate:.3g}" if rate <= 1 else "any"


def _joules(value: float | None) -> str:
    """Three digits and a prefix.

    Example:
        >>> _joules(0.00123), _joules(4.5e-13), _joules(0.0), _joules(None)
        ('1.23 mJ', '0.45 pJ', '0 J', '-')
    """
    if value is None:
        return "-"
    thousands = 0 if value == 0 else min(max(0, -math.floor(math.log10(value) / 3)), len(PREFIXES) - 1)
    return f"{value * 1000**thousands:.3g} {PREFIXES[thousands]}J"


def _aligned(lines: list[Any]) -> list[str]:
    """Cells in columns, the first to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    made = []
    for first, *rest in lines:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        made.append("  ".join(cells))
    return made
