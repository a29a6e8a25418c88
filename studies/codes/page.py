"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

import statistics
from typing import Any

from studies.results import markdown_table

HEADER = ["network", "code", "error", "std ratio", "pairs", "verdict", "spikes", "ticks", "all", "awake", "events"]
MORE = ["x 2", "x 4"]


def render(found: dict[str, Any]) -> str:
    """The page."""
    cases = found["cases"]
    by_group: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        by_group.setdefault(case["group"], []).append(case)
    parts = [
        "# Codes in windows: any trained network, and what it costs",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s "
        f"on {found['cores']} cores) from `results/codes.json`. Do not edit.",
        "Networks trained in the ordinary way, converted as they are. `error` is the rms "
        "difference to the module under the same masks over the predictive standard deviation, the median "
        "over rows; `std ratio` the median ratio of the spreads. `pairs` and `verdict` are those of docs/"
        "how-we-judge.md, under the same masks and under others. `spikes` are per neuron and sample, `ticks` per "
        "layer and sample. The last columns are joules on Loihi over those of the dense classical passes "
        "there: with every neuron updated in every tick, with updates of neurons that receive or send only, and "
        "without updates.",
        "![Error against joules and against ticks, a colour for each code](codes/frontier.svg)",
        f"## One code for all: {found['one']}",
        *(_uci(by_group["uci"]) if "uci" in by_group else []),
        "## Every network, every code",
        _table(cases),
        *_images(by_group.get("images", [])),
        "## Time",
        "Processor seconds on one thread, the fastest of three runs, beside `predict(module)` on the same rows.",
        _times(cases),
    ]
    return "\n\n".join(parts) + "\n"


def _uci(cases: list[dict[str, Any]]) -> list[str]:
    lines = [case["codes"][0] for case in cases]
    errors = [line["error"] for line in lines]
    ratios = {name: [line[f"std_ratio{name}"] for line in lines] for name in ("", "_x2", "_x4")}
    kept, paired = (sum(line[key] == "kept" for line in lines) for key in ("outcome", "paired_outcome"))
    spans = {name: f"{min(values):.3f} to {max(values):.3f}" for name, values in ratios.items()}
    return [
        f"ReLU networks on the UCI sets: kept in {kept} of {len(lines)}, in pairs in {paired}. Error: median "
        f"{statistics.median(errors):.3f}, largest {max(errors):.3f}. Ratio of the spreads {spans['']}; with inputs "
        f"times 2 {spans['_x2']}, times 4 {spans['_x4']}."
    ]


def _table(cases: list[dict[str, Any]]) -> str:
    rows = []
    for case in cases:
        for k, line in enumerate(case["codes"]):
            joules = line["energy"]
            rows.append(
                [
                    case["name"] if k == 0 else "",
                    line["code"],
                    f"{line['error']:.3f}",
                    f"{line['std_ratio']:.3f}",
                    line["paired_outcome"],
                    line["outcome"],
                    f"{line['spikes']:.2f}",
                    f"{line['ticks']:.0f}",
                    *(f"{joules[name]:.2f}" for name in ("all", "awake", "events")),
                ]
            )
    return markdown_table(HEADER, rows)


def _images(cases: list[dict[str, Any]]) -> list[str]:
    return [
        f"The convolutional network of PyTorch's MNIST example, as it is: accuracy "
        f"{100 * c['accuracy']['classical']:.2f} % classical, {100 * c['accuracy']['spiking']:.2f} % spiking."
        for c in cases
    ]


def _times(cases: list[dict[str, Any]]) -> str:
    rows = []
    for case in cases:
        for line in (*case["codes"], *([case["timed"]] if "timed" in case else [])):
            if "time" in line:
                t = line["time"]
                rows.append(
                    [case["name"], line["code"], f"{t['classical']:.2f}", f"{t['spiking']:.2f}", f"{t['ratio']:.2f}"]
                )
    return markdown_table(["network", "code", "classical, s", "spiking, s", "ratio"], rows)
