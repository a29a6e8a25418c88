"""An Energy as a page of text."""

from __future__ import annotations

import math
import textwrap
from typing import Any

from spikebayes.evaluate.energy.energy import Energy
from spikebayes.evaluate.energy.in_words import in_words
from spikebayes.machine.aligned import aligned

JOULES = {"spiking_j": "spiking", "spiking_awake_j": "awake", "spiking_events_j": "events"}
JOULES |= {"classical_j": "classical", "classical_sparse_j": "no zeros"}
RATES = {"break_even_rate": "break-even", "break_even_rate_vs_gpu": "vs GPU"}
HEADINGS = ("device", *JOULES.values(), "ratio", *RATES.values())
WIDTH = 120
PREFIXES = ("", "m", "µ", "n", "p")


def statement(found: Energy) -> str:
    """A verdict in words, counts, then joules per predicted row by device, without and with reads of the weights."""
    table = found.table()
    priced = [line for line in table if "memory" in line]
    measured = [line for line in table if "memory" not in line]
    words = in_words(found)
    said = [*textwrap.wrap(words, WIDTH), ""] if words else []
    said += [
        *_counts(found),
        "",
        "joules per predicted row, all its samples; break-even in spikes per neuron and step",
        "awake: only neurons that receive or send are updated; events: none are; no zeros: products with 0 skipped",
    ]
    said += aligned([HEADINGS, *([line["device"], *_cells(line, "")] for line in priced)])
    said += ["", "the same with a weight read from memory for every operation"]
    with_memory = ([line["device"], *_cells(line, "_memory"), line["memory"]] for line in priced)
    said += aligned([(*HEADINGS, "weight memory"), *with_memory])
    said.append("")
    for line in measured:
        joules = f"{in_joules(line['spiking_j'])} spiking, {in_joules(line['classical_j'])} classical, "
        said.append(f"{line['device']}: {joules if line['spiking_j'] is not None else ''}{line['source']}")
    sources: dict[str, list[str]] = {}
    for line in priced:
        sources.setdefault(line["source"], []).append(line["device"])
    said += [f"{', '.join(devices)}: {source}" for source, devices in sources.items()]
    return "\n".join(said)


def _counts(found: Energy) -> list[str]:
    s, c = found.spiking, found.classical
    spikes = sum(s.spikes.values())
    each = spikes / (s.neurons * s.rows * c.passes)
    payload = ", messages that carry a number, priced as events" if s.messages else ""
    idle = f", {s.awake_updates} without idle ones" if s.idle_updates else ""
    spiking = {
        "spikes": (spikes, f"{s.spike_rate:.3g} per neuron and step, {each:.3g} and pass{payload}"),
        "synaptic events": (s.synaptic_events, f"{s.dense_synaptic_operations} if every synapse works in every step"),
        "neuron updates": (s.neuron_updates, f"{s.dense_neuron_updates} with dropped neurons{idle}"),
        "input currents": (s.input_macs, "multiply-accumulates"),
        "mask bits": (s.mask_bits, "drawn"),
    }
    classical = {
        "multiply-accumulates": (c.kept_macs, f"{c.macs} with dropped neurons, {c.nonzero_macs} without zeros"),
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
    lines = aligned([(f"  {name}", str(number)) for name, (number, _) in counts.items()])
    return [f"{line}  {said}" for line, (_, said) in zip(lines, counts.values(), strict=True)]


def _cells(line: dict[str, Any], suffix: str) -> list[str]:
    ratio = line.get(f"ratio{suffix}")
    joules = [in_joules(line.get(f"{name}{suffix}")) for name in JOULES]
    rates = [_rate(line.get(f"{name}{suffix}")) for name in RATES]
    return [*joules, "-" if ratio is None else f"{ratio:.3g}", *rates]


def _rate(rate: float | str | None) -> str:
    """A neuron spikes once per step at most, so that a rate above 1 is any rate."""
    if rate is None or isinstance(rate, str):
        return rate or "-"
    return f"{rate:.3g}" if rate <= 1 else "any"


def in_joules(value: float | None) -> str:
    """Three digits and a prefix.

    Example:
        >>> in_joules(0.00123), in_joules(4.5e-13), in_joules(0.0), in_joules(None)
        ('1.23 mJ', '0.45 pJ', '0 J', '-')
    """
    if value is None:
        return "-"
    value = float(f"{value:.3g}")  # before the prefix is chosen: 0.9999 mJ is 1 mJ
    thousands = 0 if value == 0 else min(max(0, -math.floor(math.log10(value) / 3)), len(PREFIXES) - 1)
    return f"{value * 1000**thousands:.3g} {PREFIXES[thousands]}J"
