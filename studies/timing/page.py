"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s = found["settings"]
    parts = [
        "# How many steps does a sample take?",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/timing.json`. Do not edit.",
        "A sample is the read-out's average once the initial transient has decayed. With L filters in a row on the "
        "slowest way to the read-out the burn-in is the 99 % quantile of the sum of their exponential variables "
        "(Gamma of 2 L for Alpha filters of one time constant), and 100 steps of 1 ms are averaged: *default*. "
        "Before, every network had *300 steps*, 200 of them left out. *Tuned* is `sb.tune` on validation rows, for "
        f"an error of {found['error']:g}. Errors are medians over test rows of the paired rms difference between "
        "network and module under the same masks, in standard deviations of the predictive distribution; the masks "
        "differ from those used for tuning. *Pairs* is the verdict under the same masks (how-we-judge.md), *spikes* "
        "are per neuron and sample.",
        f"## Depth: layers of {s['width']} SoftLIF units on {s['deep']}, {s['rows']} rows x {s['samples']} samples",
        _table(found["depths"]),
        f"## UCI sets: hidden layers {tuple(s['hidden'])}, {s['rows']} rows x {s['samples']} samples",
        _table(found["sets"]),
    ]
    if "combo" in found:
        rows = f"{s['combo_rows']} rows x {s['combo_samples']} samples"
        parts += [f"## The network of Wycoff 2019, as its study leaves it, {rows}", _table(found["combo"])]
    return "\n\n".join(parts) + "\n"


def _table(networks: list[dict[str, Any]]) -> str:
    header = ["network", "timing", "filters ms", "steps", "left out", "window", "error", "pairs", "spikes"]
    rows = [
        [
            network["name"],
            line["way"],
            f"{1000 * line['tau']:g}",
            f"{line['steps']}",
            f"{line['burn_in']}",
            line["window"],
            f"{line['error']:.3f}",
            line["outcome"],
            f"{line['spikes']:.1f}",
        ]
        for network in networks
        for line in network["lines"]
    ]
    return markdown_table(header, rows)
