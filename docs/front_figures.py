"""The figures that the front page tells, from the results that commands wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CODE = "4 digits of radix 4, headroom 2"  # whose joules the front page tells
WIDE = {"wide", "combo"}  # groups of networks with 500 units a layer or more


def figures_of(results: Path) -> dict[str, str]:
    """Words by name, each with the figure in it."""
    posterior = _read(results, "posterior")["summary"]["spikebayes"]
    priced = _read(results, "posteriors")
    drugs = _read(results, "wycoff2019")
    ratios = [one["ratios"]["tuned"]["predict(module)"] for one in priced["networks"].values()]
    return {
        "kept": f"{posterior['kept']} of {posterior['cases']}",
        "paired_kept": f"{posterior['paired_kept']} of {posterior['cases']}",
        "error": f"{posterior['paired_rmse_median']:.3f}",
        "cheapest": f"{min(ratios):.1f}",
        "dearest": f"{max(ratios):.1f}",
        "tuned": f"{priced['settings']['error']:g}",
        "weights": f"{drugs['training']['parameters'] / 1e6:.1f}",
        "figure_rows": f"{drugs['large_windows']['rows']}",
        "figure_samples": f"{drugs['large_windows']['samples']:,}",
        "figure_code": drugs["large_windows"]["method"]["name"],
        **_joules(_read(results, "codes")["cases"]),
        **_speeds(_read(results, "bench")["bars"]),
    }


def _joules(cases: Any) -> dict[str, str]:
    """From how many to how many times the classical joules on Loihi, with updates of neurons that take in or send."""
    told: dict[str, list[float]] = {"windows_wide": [], "windows_narrow": [], "rates": []}
    for case in cases:
        for line in case["codes"]:
            if line["code"] == CODE:
                told["windows_wide" if case["group"] in WIDE else "windows_narrow"].append(line["energy"]["awake"])
            elif line["code"] == "LIF":
                told["rates"].append(line["energy"]["awake"])
    return {name: f"{min(values):.2g} to {max(values):.2g}" for name, values in told.items()}


def _speeds(bars: Any) -> dict[str, str]:
    """How many times faster than other simulators, on the published workload A."""
    found = {}
    for bar in bars:
        for name in ("spikingjelly", "nengo", "torch_loop"):
            if bar["what"].startswith("A: row-steps/s") and bar["what"].endswith(f", times {name}'s"):
                found[f"times_{name}"] = f"{bar['got']:.0f}"
    return found


def _read(results: Path, name: str) -> dict[str, Any]:
    return json.loads((results / f"{name}.json").read_text("utf-8"))
