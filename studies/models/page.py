"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table

HEADER = ["model", "side", "parameters", "neurons", "code", "error", "spikes", "ticks", "seconds"]


def render(found: dict[str, Any]) -> str:
    """The page."""
    parts = [
        "# Models by other authors",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/models.json`. Do not edit.",
        "Models as their authors wrote them, with random weights, batch norms whose statistics are those of "
        f"{2 * found['calibration']} handwritten digits, and dropout on; converted as they are, with "
        f"{found['calibration']} of them to calibrate by. `side` is that of the images in pixels. `error` is the "
        "rms difference to the model under the same masks over the predictive standard deviation, the median over "
        f"{found['rows']} others x {found['samples']} masks. `spikes` are per neuron and sample, `ticks` per "
        "sample, `seconds` those of converting.",
        "Random weights are harder than trained ones: a network of fifty layers that was never trained amplifies "
        "small rounding errors, and its dropout, before the last layer only, spreads predictions little. That the "
        "error is rounding shows in the last code of each model, which has sixteen times the levels of the one "
        "before it and twice its headroom. Products of two values of a network (squeeze and excitation) are "
        "squares, which only payloads can encode.",
        markdown_table(HEADER, [_row(line) for line in found["lines"]]),
        *_refused(found["lines"]),
    ]
    return "\n\n".join(parts) + "\n"


def _row(line: dict[str, Any]) -> list[str]:
    told = f"{line['code']}, headroom {line['headroom']:g}"
    first = [line["model"], str(line["side"]), f"{line['parameters']:,}"]
    if "refused" in line:
        return [*first, "", told, "refused", "", "", ""]
    return [
        *first,
        f"{line['neurons']:,}",
        told,
        f"{line['error']:.3f}",
        f"{line['spikes']:.2f}",
        f"{line['ticks']:.0f}",
        f"{line['seconds']:.1f}",
    ]


def _refused(lines: list[dict[str, Any]]) -> list[str]:
    reasons = {line["refused"]: line["model"] for line in lines if "refused" in line}
    return ["## Refused", *(f"{model}: {reason}" for reason, model in reasons.items())] if reasons else []
