"""The paper's claims about permanent dropout on spiking neurons, beside what the study found."""

from __future__ import annotations

from typing import Any

from studies.claims import Claim, Outcome, claims_table
from studies.wycoff2019.protocols import PAIRED_RMSE, UNIFORMITY

SAMPLES = 100  # of the claim about costs; the paper does not say how many
PAPER = {"observations": 248_656, "cell": 942, "drug": 3820, "parameters": 13.8e6, "costlier": 7}


def claims(found: dict[str, Any]) -> list[str]:
    """The section of the page."""
    return claims_table(
        [_network(found), *_ks(found), _trace(found), _enough(found), *_redrawn(found), _costlier(found)],
        "Of one training, without standard errors; p-values have their controls in the tables below.",
    )


def _network(found: dict[str, Any]) -> Claim:
    d, parameters = found["data"], found["training"]["parameters"]
    return Claim(
        "the network: towers and joint layers of 1,000 units",
        f"{PAPER['cell']} and {PAPER['drug']:,} features, {PAPER['parameters'] / 1e6:.1f} million weights, "
        f"{PAPER['observations']:,} observations of growth",
        f"{d['features']['cell']} and {d['features']['drug']:,} features, {parameters / 1e6:.1f} million weights, "
        f"{d['rows']:,} scores of the public ALMANAC",
        Outcome.IN_PART,
        "the same layers, fewer features, another target",
    )


def _ks(found: dict[str, Any]) -> list[Claim]:
    lines = []
    for key, paper in (("many", "100 observations x 20 samples"), ("few", "20 observations x 100 samples")):
        made, usual = found[f"{key}_fitting"], found[f"{key}_paper"]
        uniform, settled = made["spiking"]["uniformity_pvalue"], made["paired_rmse"] <= PAIRED_RMSE
        outcome = Outcome.REPRODUCED if settled else Outcome.IN_PART
        filters = made["method"]["name"].split(", ")[-1]
        lines.append(
            Claim(
                f"KS p-values are uniform over {paper}, after a burn-in of {made['method']['burn_in']} steps",
                '"generally seem to follow a uniform distribution"',
                f"with filters that settle in it ({filters}) p {said(uniform)}, {made['paired_rmse']:.3f} std apart "
                "under the same masks. The paper does not give its filters; with the library's usual ones (Alpha 20 "
                f"ms), not settled after 200 steps, p {said(usual['spiking']['uniformity_pvalue'])}, "
                f"{usual['paired_rmse']:.3f} std apart",
                outcome if uniform > UNIFORMITY else Outcome.NOT,
                "" if settled else "not settled after 200 steps",
            )
        )
    return lines


def pvalue(p: float) -> str:
    """To three places, as far as they tell anything."""
    return f"{p:.3f}" if p >= 0.001 or p != p else "< 0.001"


def said(p: float) -> str:
    """Behind the letter p."""
    return pvalue(p) if p < 0.001 else f"= {pvalue(p)}"


def _trace(found: dict[str, Any]) -> Claim:
    own = found["parts"]["methods"][0]
    return Claim(
        "the output hovers about that of the classical network (figure 3)",
        "for most of the period",
        f"once settled, the mean over time is {own['settled']:.4f} std from it",
        Outcome.REPRODUCED if own["settled"] <= PAIRED_RMSE else Outcome.NOT,
    )


def _enough(found: dict[str, Any]) -> Claim:
    large = found.get("large_windows") or found["large_fewest"]
    made, rows, samples = large["spiking"], large["rows"], large["samples"]
    differs = made["uniformity_pvalue"] <= UNIFORMITY or made["rejections"] > large["control"]["rejections"]
    return Claim(
        "with many more samples a KS test would find a difference, of no consequence (footnote)",
        "likely",
        f"{rows} rows x {samples:,} samples ({large['method']['name']}): p {said(made['uniformity_pvalue'])}, "
        f"rows rejected: {made['rejections']}; {large['paired_rmse']:.3f} std apart under the same masks, "
        f"{large['paired_outcome']}",
        Outcome.REPRODUCED if differs and large["paired_outcome"] == "kept" else Outcome.NOT,
    )


def _redrawn(found: dict[str, Any]) -> list[Claim]:
    if "large_redrawn" not in found:
        return []
    made = found["large_redrawn"]
    return [
        Claim(
            "masks may be redrawn during one run (future work)",
            "naively, perhaps not",
            f"naively not; {made['method']['name']}, the first {made['method']['redraw']['gap']} steps after each "
            f"left out: {made['paired_rmse']:.3f} std apart, {made['paired_outcome']}",
            Outcome.REPRODUCED if made["paired_outcome"] == "kept" else Outcome.NOT,
        )
    ]


def _costlier(found: dict[str, Any]) -> Claim:
    rows, training = found["data"]["rows"], found["training"]["processor_seconds"]
    ways = {"by the module": ("windows", "classical_processor_seconds")}
    ways |= {"in windows": ("windows", "processor_seconds"), "in steps": ("fewest", "processor_seconds")}
    told = {
        way: rows * SAMPLES * one[seconds] / (one["rows"] * one["samples"]) / training
        for way, (key, seconds) in ways.items()
        if (one := found["scored"].get(key))
    }
    least = min(told.values())
    return Claim(
        "inference costs more than the training, since uncertainty needs many samples",
        f"{PAPER['costlier']} times, expected",
        f"{SAMPLES} samples of all {rows:,} rows over the training, in processor time: "
        + ", ".join(f"{ratio:.1f} times {way}" for way, ratio in told.items()),
        Outcome.REPRODUCED if least >= PAPER["costlier"] else Outcome.IN_PART if least > 1 else Outcome.NOT,
        "" if least >= PAPER["costlier"] else "the paper does not say how many samples it expects",
    )
