"""What the spiking prediction costs, beside the classical one."""

from __future__ import annotations

from collections.abc import Mapping

from spikebayes.app.report.answer import Table
from spikebayes.app.report.contents import ReportData
from spikebayes.app.report.words import ABSENT, number
from spikebayes.evaluate.energy.in_words import compared, judged_device
from spikebayes.evaluate.energy.text import in_joules


def sentence(data: ReportData) -> str:
    """Spikes of a prediction, and its energy against that of the classical passes."""
    samples, spikes = len(data.spiking.samples), data.spiking.settings.get("spikes_per_prediction")
    said = f"A prediction of a row, {samples:,} samples, takes "
    if spikes is None:
        said += f"{samples * len(data.trace):,} steps of {data.network.neurons:,} neurons"
    else:
        said += f"{number(_spikes(data, spikes))} spikes of {data.network.neurons:,} neurons"
    device = None if data.energy is None else judged_device(data.energy)
    if device is None or data.energy is None:
        return f"{said}."
    joules = data.energy.spiking_joules(device), data.energy.classical_joules(device)
    each = [in_joules(j / data.energy.spiking.rows) for j in joules]
    return f"{said}; on {device.name} it is {compared(*joules)} the classical passes ({each[0]} against {each[1]})."


def _spikes(data: ReportData, each: Mapping[str, float]) -> float:
    """Of all samples, of means over samples: what a coded network tells once, it tells once in a member's run."""
    once = frozenset[str]() if data.network.code is None else data.network.told_once
    samples, members = len(data.spiking.samples), data.spiking.settings.get("members", 1)
    return sum(count * (members if name in once else samples) for name, count in each.items())


def devices(data: ReportData) -> Table | None:
    """Joules of a prediction by device, spiking and classical; None where they were not counted."""
    if data.energy is None:
        return None
    columns = (("Device", False), ("Spiking", True), ("Classical", True), ("Spiking / classical", True))
    lines = [line for line in data.energy.table() if "memory" in line]
    rows = [
        (
            line["device"],
            in_joules(line["spiking_j"]),
            in_joules(line["classical_j"]),
            number(1 / line["ratio"]) if line["ratio"] else ABSENT,
        )
        for line in lines
    ]
    return Table(columns, tuple(rows))
