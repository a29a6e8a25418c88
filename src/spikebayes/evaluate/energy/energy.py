"""Joules of a spiking run and of Monte Carlo dropout beside it, by devices' figures and the machine's counters.

What is priced is counted on the run itself (``spiking_counts.py``, ``classical_counts.py``). An event-driven device
pays for synaptic events and for the neurons that no mask takes out; any other pays for every synapse and neuron in
every step. How often a neuron has to be updated is the chip's affair, so there are three figures: in every step; in
the steps in which it takes in or sends; never, but for what its events cost. Where neurons step freely the second is
the first. A graded message is priced as an event: no figure is published for its payload. Beside the classical passes
stand those that skip zeros. Only an event-driven device lets neurons sleep or skips zeros.

Weight memory, where it is not in a device's figures, is priced as one read per synaptic event or multiply-accumulate:
no weight is kept for the next row or sample. So the two columns, without and with it, are the two ends between which
reuse decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from torch import nn

from spikebayes.errors import ConfigError
from spikebayes.evaluate.energy.classical_counts import ClassicalCounts
from spikebayes.evaluate.energy.devices import DEVICES, GPU, Device
from spikebayes.evaluate.energy.hardware_limits import weights_of
from spikebayes.evaluate.energy.meter import Meter
from spikebayes.evaluate.energy.spiking_counts import SpikingCounts, count
from spikebayes.machine.arguments import checked
from spikebayes.machine.notebook import as_html
from spikebayes.network.network import SpikingNetwork
from spikebayes.prediction.module_passes import NOT_RANDOM
from spikebayes.prediction.predict import predict
from spikebayes.prediction.redraw import Redraw
from spikebayes.prediction.sampling import MaskScope, SamplingPlan, Values, timing_of

Updates = Literal["all", "awake", "events"]  # which neuron updates are paid for
UPDATES: dict[str, Updates] = {"spiking_j": "all", "spiking_awake_j": "awake", "spiking_events_j": "events"}


@dataclass(frozen=True)
class Measured:
    """What the machine's counters said of predicting the same rows.

    Args:
        joules: by ``"spiking"`` and ``"classical"``, then by counter; empty where there is none.
        seconds: wall-clock time of each.
        missing: why a kind of counter could not be read.
    """

    joules: dict[str, dict[str, float]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Energy:
    """What predictions cost: counts, joules by device, break-even rates.

    Args:
        spiking: what the simulations did.
        classical: what Monte Carlo dropout does for the same rows and masks.
        devices: whose prices to use.
        weights: number of weights that are stored.
        measured: joules of this machine.
        settings: of the run, JSON values only.
    """

    spiking: SpikingCounts
    classical: ClassicalCounts
    devices: tuple[Device, ...]
    weights: int
    measured: Measured = field(default_factory=Measured)
    settings: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Energy({self.spiking.rows} rows, {len(self.devices)} devices)"

    def __str__(self) -> str:
        """The statement that the command line prints."""
        from spikebayes.evaluate.energy.text import statement

        return statement(self)

    def _repr_html_(self) -> str:
        """For notebooks: the statement that the command line prints."""
        from spikebayes.evaluate.energy.text import statement

        return as_html("energy", text=statement(self))

    @property
    def predictions(self) -> int:
        """Samples times rows."""
        return self.settings.get("samples", 1) * self.spiking.rows

    @checked
    def spiking_joules(self, device: Device, *, memory: bool = False, updates: Updates = "all") -> float:
        """J of all simulations on a device.

        Args:
            device: it.
            memory: add a read of the weight for every event.
            updates: which neuron updates cost energy, if the device is event-driven: ``"all"``, those of every neuron
                in every step; ``"awake"``, those of neurons that receive or send; ``"events"``, none.

        Raises:
            ConfigError: another word for the updates.
        """
        return self._spiking(device, memory, self._events(device), updates)

    @checked
    def classical_joules(self, device: Device, *, memory: bool = False, skip_zeros: bool = False) -> float:
        """J of Monte Carlo dropout for all rows on a device; a spiking chip is priced as if it could run it.

        Args:
            device: it.
            memory: add a read of the weight for every product.
            skip_zeros: leave out products whose input is 0, if the device is event-driven.
        """
        c = self.classical
        macs, updates = (c.kept_macs, c.kept_activations) if device.event_driven else (c.macs, c.activations)
        macs = c.nonzero_macs if skip_zeros and device.event_driven else macs
        price = device.mac + (device.fetch(self.weights) if memory else 0.0)
        return macs * price + updates * device.neuron_update_j + c.mask_bits * device.mask_bit_j

    @checked
    def break_even(self, device: Device, *, classical_on: Device | None = None, memory: bool = False) -> float | None:
        """Spikes per neuron and step at which the simulations cost as much as Monte Carlo dropout.

        Events grow with the rate, in the proportions of the run; updates, masks and the input's currents stay.
        Solved for J(rate) = J of the classical network.

        Args:
            device: of the simulations.
            classical_on: of the classical network; the same by default.
            memory: with reads of weights.

        Returns:
            The rate. A rate above 1 is impossible, since a neuron spikes once per step at most: then the simulations
            are cheaper at any rate. None when even a silent network costs more. Infinity when the price does not
            depend on spikes (a device that pays for every synapse in every step) and is no higher than the classical
            one.
        """
        budget = self.classical_joules(classical_on or device, memory=memory)
        silent = self._spiking(device, memory, 0)
        if not device.event_driven:
            return math.inf if self.spiking_joules(device, memory=memory) <= budget else None
        if silent > budget:
            return None
        each = self._events_per_spike * self.spiking.dense_neuron_updates  # events at one spike per neuron and step
        full = self._spiking(device, memory, each) - silent
        return (budget - silent) / full if full > 0 else math.inf

    def table(self) -> list[dict[str, Any]]:
        """A record for each device and counter, J per predicted row (all its samples); JSON values only.

        ``spiking_j`` includes updates of every neuron in every step, ``spiking_awake_j`` of neurons that receive or
        send, ``spiking_events_j`` of none; ``classical_sparse_j`` skips products with zeros. ``ratio`` is
        ``classical_j`` over ``spiking_j``. ``memory`` says whether reads of weights are ``"included"`` in the
        device's figures or ``"added"``. A break-even rate is a number, ``"none"`` (a silent network costs more) or
        ``"any"``. Where nothing could be measured, the figure is None and ``source`` gives the reason.
        """
        rows = self.spiking.rows
        against = next((d for d in self.devices if d.name == GPU.name), None)
        lines = []
        for d in self.devices:
            line: dict[str, Any] = {"device": d.name, "event_driven": d.event_driven}
            for name, memory in (("", False), ("_memory", True)):
                for key, updates in UPDATES.items():
                    line[f"{key}{name}"] = self.spiking_joules(d, memory=memory, updates=updates) / rows
                spiking, classical = (f(d, memory=memory) for f in (self.spiking_joules, self.classical_joules))
                sparse = self.classical_joules(d, memory=memory, skip_zeros=True)
                line[f"classical_j{name}"], line[f"classical_sparse_j{name}"] = classical / rows, sparse / rows
                line[f"ratio{name}"] = classical / spiking if spiking > 0 else None
                line[f"break_even_rate{name}"] = _plain(self.break_even(d, memory=memory))
                if against is not None:
                    rate = self.break_even(d, classical_on=against, memory=memory)
                    line[f"break_even_rate_vs_gpu{name}"] = _plain(rate)
            line["memory"] = "included" if d.weight_memory is None else "added"
            lines.append(line | {"source": d.source})
        return lines + self._measured_lines()

    def to_dict(self) -> dict[str, Any]:
        """Counts, table and settings as JSON values."""
        return {
            "settings": self.settings,
            "spiking": self.spiking.to_dict(),
            "classical": self.classical.to_dict(),
            "weights": self.weights,
            "unit": "joules per predicted row, all its samples",
            "table": self.table(),
            "measured_seconds": self.measured.seconds,
        }

    @property
    def _events_per_spike(self) -> float:
        """Of the run; if it was silent, the mean over all neurons."""
        s = self.spiking
        spikes = sum(s.spikes.values())
        return s.synaptic_events / spikes if spikes else s.synapses / s.neurons

    def _events(self, device: Device) -> int:
        return self.spiking.synaptic_events if device.event_driven else self.spiking.dense_synaptic_operations

    def _spiking(self, device: Device, memory: bool, events: float, updates: Updates = "all") -> float:
        s, fetch = self.spiking, device.fetch(self.weights) if memory else 0.0
        paid = {"all": s.neuron_updates, "awake": s.awake_updates, "events": 0}[updates]
        paid = paid if device.event_driven else s.dense_neuron_updates
        synaptic = events * (device.synaptic_event_j + fetch) + s.input_macs * (device.mac + fetch)
        return synaptic + paid * device.neuron_update_j + s.mask_bits * device.mask_bit_j

    def _measured_lines(self) -> list[dict[str, Any]]:
        found, rows = self.measured, self.spiking.rows
        lines = []
        for counter in found.joules.get("spiking", {}):
            each = {f"{name}_j": joules[counter] / rows for name, joules in found.joules.items()}
            lines.append({"device": f"this machine, {counter}", "classical_j": None} | each | {"source": "measured"})
        for kind, why in found.missing.items():
            nothing = {"spiking_j": None, "classical_j": None, "source": f"not measured: {why}"}
            lines.append({"device": f"this machine, {kind}"} | nothing)
        return lines


@checked
def energy(
    network: SpikingNetwork,
    x: Values,
    *,
    samples: int = 100,
    steps: int | None = None,
    burn_in: int | None = None,
    redraw: Redraw | None = None,
    seed: int = 0,
    mask_scope: MaskScope = "row",
    rows: Values | None = None,
    engine: str = "auto",
    batch_size: int | None = None,
    model: nn.Module | None = None,
    devices: Sequence[Device] = DEVICES,
    meter: Meter | None = None,
    progress: bool = False,
) -> Energy:
    """What predicting rows costs: simulations are run, counted and priced, and compared with Monte Carlo dropout.

    A coded network is one run of S + depth windows; its spikes are counted from the numbers that it sends, and a
    graded message is priced as an event. Where the machine has an energy counter, the rows are predicted once more
    and measured: by the network, and by the module if it is given.

    Args:
        network, x, samples, steps, burn_in, redraw, seed, mask_scope, rows, engine, batch_size, progress: as for
            :func:`spikebayes.predict`.
        model: the module that the network was made of, to be measured; its operations are counted from the network.
        devices: whose prices to use for the counts.
        meter: the machine's energy counters; found automatically by default.

    Returns:
        An :class:`Energy`.

    Raises:
        DataError: x is mis-shaped, empty, NaN or infinite, or over time.
        ConfigError: a setting is out of range, nothing in the network is random, it has no populations, or synapses
            are drawn as Gaussian sums, which are not counted.

    Reference:
        Wycoff 2019 leaves energy to future work; ``evaluate/energy/devices.py`` cites a source for every figure.

    Example:
        >>> import torch
        >>> from spikebayes import convert
        >>> from spikebayes.nn import zoo
        >>> _ = torch.manual_seed(0)
        >>> network = convert(zoo.mlp(4, 1, [50, 50]), torch.zeros(1, 4))
        >>> found = energy(network, torch.randn(3, 4), samples=5)
        >>> loihi = found.table()[0]
        >>> loihi["device"], loihi["memory"], 0 < loihi["spiking_j"] < 1e-3
        ('Loihi', 'included', True)
    """
    SamplingPlan(samples, seed, mask_scope, rows, engine, batch_size, least=2)
    if not network.is_random:
        raise ConfigError(NOT_RANDOM)
    sampling: dict[str, Any] = {"samples": samples, "seed": seed, "mask_scope": mask_scope}
    timing: dict[str, Any] = {"steps": steps, "burn_in": burn_in, "redraw": redraw}
    rest: dict[str, Any] = {"rows": rows, "engine": engine, "batch_size": batch_size}
    spiking, classical = count(network, x, **sampling, **timing, **rest, progress=progress)
    models = {"spiking": network} if model is None else {"spiking": network, "classical": model}
    measured = _measure(models, x, Meter() if meter is None else meter, sampling | timing | rest)
    usual, kept = timing_of(network, steps, burn_in), {}
    if redraw is not None:
        kept = {"redraw": asdict(redraw)}
    elif network.code is None:
        kept = {"steps": usual.steps, "burn_in": usual.burn_in}
    else:
        kept = {"code": str(network.code), "ticks": spiking.steps, "ticks_per_sample": usual.steps}
        kept["windows"] = spiking.steps // usual.steps
    settings = sampling | kept | {"dt": network.dt}
    return Energy(spiking, classical, tuple(devices), weights_of(network), measured, settings)


def _measure(
    models: Mapping[str, SpikingNetwork | nn.Module], x: Values, meter: Meter, settings: dict[str, Any]
) -> Measured:
    """Joules of predicting the rows once more by each model."""
    found = Measured(missing=meter.missing)
    for name, model in models.items() if meter.counters else ():
        with meter:
            predict(model, x, **settings)
        found.joules[name], found.seconds[name] = meter.joules, meter.seconds
    return found


def _plain(rate: float | None) -> float | str:
    """A break-even rate as a JSON value."""
    return "none" if rate is None else "any" if math.isinf(rate) else rate
