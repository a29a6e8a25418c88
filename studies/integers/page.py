"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table


def render(found: dict[str, Any]) -> str:
    """The page, from what the JSON file holds."""
    s = found["settings"]
    parts = [
        "# What whole numbers keep of a posterior",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/integers.json`. Do not edit.",
        f"Networks with hidden layers {tuple(s['hidden'])} under dropout are rounded by `sb.integers` and judged "
        f"against the originals, under the same masks, on {s['rows']} test rows with {s['samples']} samples each "
        "(how-we-judge.md). *Error* is the median over rows of the paired rms difference, in standard deviations of "
        "the predictive distribution; *offset* and *spreads* are the verdict's pooled effects. *Neurons alike* is "
        f"the share of neurons, on {s['looked_at']} rows, whose spike, or number, is the same; for LIF neurons, "
        "whose spike count differs by at most one. *Score* is the root mean squared error in standard deviations of "
        "the target, or the share of wrong classes, before and after. *Bits* are those of weights and, after them, "
        "of sums or states; *levels* those of an input of 1, fewer where 32 bits do not suffice for more.",
        _table(found["lines"]),
        "## Fewer synapses",
        f"Threshold networks in 8 bits, rewritten by `sb.split_fan_in` for neurons with {s['fan_in']} synapses: "
        "sums are passed on in binary, and no spike changes.",
        _fan_in(found["fan_in"]),
    ]
    return "\n\n".join(parts) + "\n"


def _table(lines: list[dict[str, Any]]) -> str:
    header = ["set", "neurons", "bits", "levels", "verdict", "error, std", "offset, std", "spreads"]
    header += ["neurons alike %", "same class %", "score"]
    rows = []
    for line in lines:
        state = line["widths"].get("current", line["widths"].get("sum"))
        same = line["same_class"]
        before, after = line["scores"]
        rows.append(
            [
                line["set"],
                line["kind"],
                f"{line['bits']}, {state}",
                str(line["levels"]),
                line["outcome"],
                f"{line['error']:.3f}",
                f"{line['offset']:.3f}",
                f"{line['spread']:.3f}",
                f"{100 * line['alike']:.2f}",
                "" if same is None else f"{100 * same:.0f}",
                f"{before:.3f}, {after:.3f}",
            ]
        )
    return markdown_table(header, rows)


def _fan_in(lines: list[dict[str, Any]]) -> str:
    header = ["network", "fan-in", "neurons", "synapses", "bits of weights", "spikes that differ"]
    rows = [
        [
            f"{line['set']}, {line['kind']}",
            *(f"{line[what]['before']:,} -> {line[what]['after']:,}" for what in ("fan_in", "neurons", "synapses")),
            str(line["weight_bits"]),
            f"{line['other_spikes']:,}",
        ]
        for line in lines
    ]
    return markdown_table(header, rows)
