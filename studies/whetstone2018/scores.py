"""The page's tables of what a posterior is worth."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table
from studies.scoring import SCORES, interval_text, score_text
from studies.whetstone2018.figures import title
from studies.whetstone2018.words import capital, set_name

MADE = {
    "original": "original, no spikes",
    "sharpened": "sharpened",
    "scaled": "sharpened, with a temperature",
    "blank_out": "unreliable synapses",
    "masks": "permanent dropout",
}


def posterior(found: dict[str, Any]) -> list[str]:
    if not found["posterior"]:
        return []
    parts = [
        "## A posterior",
        "A sharpened network makes the same prediction every time. Three remedies are compared with the original "
        "network and the sharpened one as it is: a temperature, one factor on the outputs, chosen on "
        "validation rows (`temperature`); unreliable synapses, each of which transmits with the probability `keep`, "
        "drawn anew in every step and chosen on validation rows; and a network trained with "
        "permanent dropout. A step is a sample. All but the original are spiking networks. AUROC: telling test rows "
        "from rows of another set, by the entropy of the averaged prediction or by the mutual information. 95 % "
        "intervals by bootstrap over rows; ECE in 15 bins, its interval lies above it: resampling adds to its bias.",
    ]
    for name, judged in found["posterior"].items():
        parts += _one_posterior(name, judged, found["settings"])
    return parts


def _one_posterior(name: str, judged: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    rows, spread = [], []
    for kind, one in judged["networks"].items():
        scores, words = one["scores"], MADE.get(kind, kind)
        single = f"{100 * one['single_sample_error']:.2f}"
        error, *others = (score_text(scores, score) for score in SCORES)
        rows.append([words, str(one["samples"]), error, single, *others])
        if one["samples"] > 1:
            measured = one["uncertainty"].values()
            spread.append([words, *(f"{m[which]:.4f}" for m in measured for which in ("known", "unknown"))])
    tried = ", ".join(f"{keep}: {loss:.4f}" for keep, loss in judged["keeps"].items())
    other = set_name(settings["posterior"][name][1])
    first, *rest = SCORES.values()
    header = ["network", "samples", first, "of a single sample", *rest]
    known, unknown = f"{judged['rows']:,} test rows", f"{judged['unknown']:,} rows of {other}"
    return [
        f"### {capital(title(name))}",
        f"{known}, and {unknown} that belong to no class. Temperature {judged['temperature']:.3f}; keep "
        f"{judged['keep']:.3f}, by the NLL on {settings['tuning_rows']:,} validation rows ({tried}).",
        markdown_table(header, rows),
        "NLL less that of the sharpened network, over the same rows: "
        + "; ".join(f"{MADE.get(kind, kind)} {_difference(d)}" for kind, d in judged["against"].items())
        + ".",
        "Mean entropy and mutual information (nats):",
        markdown_table(["network", "entropy, test rows", other, "mutual information, test rows", other], spread),
    ]


def _difference(found: dict[str, float]) -> str:
    word = "lower" if found["high"] < 0 else "higher" if found["low"] > 0 else "no difference shown"
    return f"{found['value']:+.4f} {interval_text(found)}, {word}"
