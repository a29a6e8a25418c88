"""What ``results/*.json`` say, in the words of the pages that tell it (``test_told_figures.py``)."""

from __future__ import annotations

import functools
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from studies.uci.judging import LIF
from studies.uci.page import SCORES, reached
from studies.uci.published import DROPOUT, STRONG

ROOT = Path(__file__).parents[1]
UP_TO_TEN = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
IN_WORDS = dict(enumerate(UP_TO_TEN)) | {16: "sixteen"}
FRONT_CODE = "4 digits of radix 4, headroom 2"
TWIN, TREES = "spiking twin", ("conformal trees", "conformal quantile trees")


@functools.cache
def results(name: str) -> Any:
    """What a study or a benchmark found."""
    return json.loads((ROOT / "results" / f"{name}.json").read_text("utf-8"))


def kept(key: str) -> str:
    summary = results("posterior")["summary"]["spikebayes"]
    return f"{summary[key]} of {summary['cases']}"


def uci_reached() -> str:
    """Sets on which LIF neurons reach the published RMSE and log-likelihood of MC dropout, the fewer of the two."""
    sets = results("uci")["sets"]
    fewest = min(
        reached(sets, score, published, sign, DROPOUT, LIF) for score, (_, published, sign) in SCORES.items()
    )
    return f"{fewest} of {len(sets)}"


def uci_tuned_is_ahead() -> bool:
    """Whether the stronger published baseline has the better log-likelihood on more than half of the sets."""
    sets, (_, published, sign) = results("uci")["sets"], SCORES["log_likelihood"]
    return 2 * reached(sets, "log_likelihood", published, sign, STRONG, LIF) < len(sets)


def uci_gap() -> str:
    """The largest mean difference in log-likelihood that LIF neurons make on a set, nats, rounded up."""
    splits = [one["splits"] for one in results("uci")["sets"]]
    gaps = [
        float(np.mean([s[LIF]["spiking"]["log_likelihood"] - s[LIF]["classical"]["log_likelihood"] for s in each]))
        for each in splits
    ]
    return f"{math.ceil(1000 * max(map(abs, gaps))) / 1000:.3f}"


def million_weights() -> str:
    return f"{results('wycoff2019')['training']['parameters'] / 1e6:.1f}"


def samples_drawn() -> tuple[str, str]:
    worst = results("wycoff2019")["large_windows"]["worst"]
    return f"{len(worst['classical']):,}", f"{len(worst['spiking']):,}"


def pairs_drawn() -> str:
    return str(results("wycoff2019")["large_windows"]["rows"])


def code_drawn() -> str:
    return results("wycoff2019")["large_windows"]["method"]["name"]


def joules(code: str, *groups: str) -> str:
    """From how many to how many times the classical joules."""
    lines = [(case["group"], line) for case in results("codes")["cases"] for line in case["codes"]]
    found = [line["energy"]["awake"] for group, line in lines if line["code"] == code and group in groups]
    return f"{min(found):.2g} to {max(found):.2g}"


def front_joules() -> tuple[str, ...]:
    wide, narrow = ("wide", "combo"), ("uci", "softlif", "images")
    return joules(FRONT_CODE, *wide), joules(FRONT_CODE, *narrow), joules("LIF", *wide, *narrow)


def price() -> tuple[str, str]:
    ratios = [one["ratios"]["tuned"]["predict(module)"] for one in results("posteriors")["networks"].values()]
    return f"{min(ratios):.1f}", f"{max(ratios):.1f}"


def times_as_fast(peer: str) -> str:
    (bar,) = (bar for bar in results("bench")["bars"] if bar["what"] == f"A: row-steps/s, times {peer}'s")
    return f"{bar['got']:.0f}"


def count(name: str, setting: str) -> str:
    return IN_WORDS[len(results(name)["settings"][setting])]


def tables_in_words() -> str:
    return IN_WORDS[len(results("tables")["tables"])]


def tables_and_splits() -> tuple[str, str]:
    return str(len(results("tables")["tables"])), str(results("tables")["settings"]["splits"])


def ranks() -> dict[str, str]:
    """Median ranks of the models' mean scores over tables, the classical network left out."""
    models = [model for model in results("tables")["tables"][0]["splits"][0]["score"] if model != "network"]
    found = []
    for table in results("tables")["tables"]:
        sign = 1 if table["task"] == "values" else -1
        means = [sign * np.mean([split["score"][model] for split in table["splits"]]) for model in models]
        found.append(rankdata(means))
    return {model: f"{rank:g}" for model, rank in zip(models, np.median(found, 0), strict=True)}


def ranked() -> tuple[str, ...]:
    by = ranks()
    peers = (by["scikit-learn's MLP"], by["boosted trees"], by["random forest"])
    return by[TWIN], IN_WORDS[len(by)], *peers


def intervals() -> tuple[str, ...]:
    """What intervals should hold, how wide they are by the median over the narrower trees', what they hold."""
    ratios, held = [], []
    for table in results("tables")["tables"]:
        if table["task"] == "values":
            of = {m: [split["held"][m] for split in table["splits"]] for m in (TWIN, *TREES)}
            width = {m: np.mean([one["width"] for one in each]) for m, each in of.items()}
            ratios.append(width[TWIN] / min(width[m] for m in TREES))
            held.append(np.mean([one["coverage"] for one in of[TWIN]]))
    asked = results("tables")["settings"]["coverage"]
    return f"{100 * asked:g}", f"{np.median(ratios):.2f}", f"{100 * min(held):.0f}", f"{100 * max(held):.0f}"


def digit_ticks() -> tuple[str, str]:
    """Of the codes that say a number by several digits or bits."""
    lines = [line for case in results("codes")["cases"] for line in case["codes"]]
    ticks = [line["ticks"] for line in lines if "digits of" in line["code"] or line["code"].startswith("radix")]
    return str(min(ticks)), str(max(ticks))


def portable_steps() -> str:
    """In which every portable network is kept after every training."""
    found = results("export")
    assert all(line["kept"] == found["settings"]["trainings"] for line in found["sets"])
    assert found["images"]["outcome"] == "kept"
    (steps,) = {line["steps"] for line in [*found["sets"], found["images"]]}
    return str(steps)


def left_out(layers: int) -> str:
    (case,) = (case for case in results("timing")["depths"] if case["name"] == f"{layers} layers")
    (line,) = (line for line in case["lines"] if line["way"] == "default")
    return str(line["burn_in"])


def minutes(name: str) -> str:
    return f"{results(name)['seconds'] / 60:.0f}"


def core_minutes(name: str) -> str:
    """What the study's page says, which is made of its results."""
    trained, rest = re.findall(
        r"(\d+) core-minutes of training, (\d+) minutes", (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    )[0]
    assert rest == minutes(name)
    return str(int(trained) + int(rest))


def front_price() -> str:
    return f"{results('posteriors')['settings']['error']:g}"


def apart() -> str:
    return f"{results('posterior')['summary']['spikebayes']['paired_rmse_median']:.3f}"


def kept_otherwise() -> tuple[str, str]:
    return kept("kept"), IN_WORDS[results("posterior")["summary"]["spikebayes"]["undecided"]]


def most_layers() -> str:
    return IN_WORDS[max(results("timing")["settings"]["depths"])]


def bits() -> tuple[str, ...]:
    return tuple(map(str, results("integers")["settings"]["bits"]))


def starts_left_out() -> tuple[str, str]:
    return left_out(2), left_out(10)


def larger_test() -> str:
    s = results("wycoff2019")["settings"]
    return f"{s['large_rows'] * s['large_samples'] / (s['few_rows'] * s['few_samples']):g}"


# -- claims without a figure --


def nengo_fires_the_same() -> bool:
    (line,) = (line for line in results("export")["lines"] if line["importer"] == "Nengo")
    return line["equal"] == 1.0


def importers_fire_the_same() -> bool:
    three = {"Norse", "snnTorch", "SpikingJelly"}
    lines = [line for line in results("export")["lines"] if line["profile"] == "portable-lif"]
    equal = {line["importer"] for line in lines if line.get("equal") == 1.0}
    return equal >= three


def worst_pair() -> bool:
    run = results("wycoff2019")["large_windows"]
    return math.isclose(run["worst"]["pvalue"], min(run["spiking"]["ks_pvalues"]), rel_tol=1e-5)


def blocks_change_no_spike() -> bool:
    lines = results("integers")["fan_in"]
    return bool(lines) and all(line["other_spikes"] == 0 and line["same_readout"] for line in lines)


def ticks_and_steps() -> tuple[str, str]:
    found = results("wycoff2019")
    (code,) = (line for line in found["windows"]["codes"] if line["name"] == found["windows"]["best"])
    return str(code["ticks"]), str(found["few_fewest"]["method"]["steps"])


def twin_ranks_between() -> bool:
    by = {model: float(rank) for model, rank in ranks().items()}
    return by["random forest"] < by[TWIN] < min(by["scikit-learn's MLP"], by["boosted trees"])


def low_rates_are_worse() -> bool:
    ours, plain = (results("posterior")["summary"][method] for method in ("spikebayes", "plain"))
    return (
        ours["rate_hz_mean"] > 100 > 20 > plain["rate_hz_mean"]
        and ours["paired_rmse_largest"] < plain["paired_rmse_median"]
    )
