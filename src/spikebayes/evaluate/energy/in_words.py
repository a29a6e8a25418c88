"""What an Energy comes to, in words: how many times dearer or cheaper, on which chip, and why."""

from __future__ import annotations

from spikebayes.evaluate.energy.devices import Device
from spikebayes.evaluate.energy.energy import Energy

ALIKE = 1.02  # costs that differ by a smaller factor are the same


def in_words(found: Energy) -> str:
    """The spiking network against the classical passes on the first event-driven device, or else on the first.

    Empty where there is no device, or either costs nothing on it.

    Example:
        >>> compared(3.0, 1.2), compared(1.2, 3.0), compared(1.0, 1.01)
        ('2.5 times dearer than', '2.5 times cheaper than', 'as dear as')
    """
    device = judged_device(found)
    if device is None:
        return ""
    spiking, classical = found.spiking_joules(device), found.classical_joules(device)
    verdict = f"On {device.name} the spiking network is {compared(spiking, classical)} the classical passes"
    if not device.event_driven:
        return f"{verdict}: every synapse and neuron works in each of its {found.spiking.steps} steps."
    awake, events = (found.spiking_joules(device, updates=paid) for paid in ("awake", "events"))
    asleep = (
        f"{compared(awake, classical)} them if only neurons at work are updated, " if ALIKE * awake < spiking else ""
    )
    free = f"{compared(events, classical)} them if updates cost nothing"
    said = f"{verdict}: {_reason(found, device)}. It is {asleep}{free}."
    sparse = found.classical_joules(device, skip_zeros=True)
    if not 0 < sparse < min(awake, classical):
        return said
    at_best, when = (events, "in any case") if sparse < events else (awake, "unless updates cost nothing")
    return f"{said} Classical passes that skip zeros beat it {when}: it is {compared(at_best, sparse)} them at best."


def judged_device(found: Energy) -> Device | None:
    """The first event-driven device, or else the first; None where there is none, or either costs nothing on it."""
    device = next((d for d in found.devices if d.event_driven), next(iter(found.devices), None))
    if device is None or not min(found.spiking_joules(device), found.classical_joules(device)) > 0:
        return None
    return device


def compared(joules: float, others: float) -> str:
    """One cost against another, both positive."""
    if max(joules, others) < ALIKE * min(joules, others):
        return "as dear as"
    dearer = joules > others
    return f"{max(joules, others) / min(joules, others):.3g} times {'dearer' if dearer else 'cheaper'} than"


def _reason(found: Energy, device: Device) -> str:
    """What most of the spiking network's joules go into."""
    s = found.spiking
    updates = {
        f"updating neurons in the {s.steps} steps of a simulation": s.awake_updates,
        "updating idle neurons while a run so short fills and empties a network so deep": s.idle_updates,
    }
    parts = {name: count * device.neuron_update_j for name, count in updates.items()}
    parts["synaptic events"] = s.synaptic_events * device.synaptic_event_j
    parts["its inputs' currents and its masks"] = s.input_macs * device.mac + s.mask_bits * device.mask_bit_j
    most = max(parts, key=lambda name: parts[name])
    return f"{parts[most] / sum(parts.values()):.0%} of its joules go into {most}"
