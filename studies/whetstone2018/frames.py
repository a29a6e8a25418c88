"""The page's part on TrueNorth, and the slides' claim about it."""

from __future__ import annotations

from typing import Any

from studies.claims import SURE, Claim, Outcome
from studies.whetstone2018.accuracies import percent, percent_error
from studies.whetstone2018.figures import title
from studies.whetstone2018.learning import SPIKING
from studies.whetstone2018.settings import TRUENORTH
from studies.whetstone2018.truenorth import DEVICE
from studies.whetstone2018.words import capital, mean

CLAIM = "TrueNorth: 95 % at 4 uJ a frame, 99.4 % at most"
CHEAP, MICROJOULES, BEST = 95.0, 4.0, 99.4  # the slides: an accuracy and its price, and the highest accuracy


def truenorth(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    judged = found["judged"].get(TRUENORTH)
    if not judged:
        return []
    one = judged[0]["truenorth"]
    pixels, neurons = (mean([j["truenorth"][part] for j in judged]) for part in ("pixel_events", "neuron_events"))
    return [
        "### TrueNorth",
        f"{capital(title(TRUENORTH))} has no neuron with more than {judged[0]['demand']['fan_in']} synapses, and "
        "takes binarised images, so that a pixel that is 1 is a spike. Synaptic events of a test row, mean over "
        f"{one['rows']:,} rows and {len(judged)} seeds: {pixels:,.0f} of pixels and {neurons:,.0f} of neurons, those "
        f"onto the read-out included. At {1e12 * DEVICE.synaptic_event_j:g} pJ each ({DEVICE.source}) that is "
        f"{_microjoules(judged):.2f} uJ a frame, an estimate. Weights have 8 bits: that TrueNorth's neurons choose "
        "among four weights, and that further neurons copy spikes for further cores, is not modelled.",
    ]


def truenorth_claim(found: dict[str, Any]) -> list[Claim]:
    """The line about the slides' accuracy and price; none without the network."""
    judged = found["judged"].get(TRUENORTH)
    if not judged:
        return []
    accuracy, error = mean(percent(judged, SPIKING)), percent_error(found, TRUENORTH, SPIKING)
    price = _microjoules(judged)
    cheap = accuracy + SURE * error >= CHEAP and price <= MICROJOULES
    best = accuracy + SURE * error >= BEST
    outcome = Outcome.REPRODUCED if cheap and best else Outcome.IN_PART if cheap or best else Outcome.NOT
    parts = [] if best else [f"{BEST:g} % is not reached"]
    parts += [f"{price / MICROJOULES:.2f} times the joules"] if price > MICROJOULES else []
    why = "; ".join(parts)
    ours = f"{accuracy:.2f} +- {error:.2f} % at {price:.2f} uJ, estimated"
    return [Claim(CLAIM, f"{CHEAP:g} % at {MICROJOULES:g} uJ; {BEST:g} %", ours, outcome, why)]


def _microjoules(judged: list[dict[str, Any]]) -> float:
    return 1e6 * mean([one["truenorth"]["joules"] for one in judged])
