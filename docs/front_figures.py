"""The figures that the front page tells, from the results that commands wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def figures_of(results: Path) -> dict[str, str]:
    """Words by name, each with the figure in it."""
    posterior = _read(results, "posterior")["summary"]["spikebayes"]
    priced = _read(results, "posteriors")["networks"]
    against = _read(results, "bench")["bars"]
    ratios = [one["ratios"]["tuned"]["predict(module)"] for one in priced.values()]
    return {
        "kept": f"{posterior['kept']} of {posterior['cases']}",
        "paired_kept": f"{posterior['paired_kept']} of {posterior['cases']}",
        "error": f"{posterior['paired_rmse_median']:.3f}",
        "cheapest": f"{min(ratios):.1f}",
        "dearest": f"{max(ratios):.1f}",
        **_speeds(against),
    }


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
