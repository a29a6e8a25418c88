"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from studies.growth.judging import NETWORK, spiking
from studies.results import markdown_table

SCORES = {"r2": "R2", "mae": "MAE", "pearson": "Pearson r"}
GAINS = {"r2": 1, "mae": -1}  # sign with which the network's score less another's is a gain
KINDS = {"random": "Single rows held out", "pair": "Whole pairs of drugs held out"}


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    parts = [*_head(found), *_files(found), *_task(found)]
    for by, splits in found["splits"].items():
        parts += _scores(by, splits)
    return "\n\n".join([*parts, *_spikes(found), *_times(found)]) + "\n"


def _head(found: dict[str, Any]) -> list[str]:
    commits = ", ".join(f"`{commit}`" for commit in found["commits"])
    return [
        "# The Combo benchmark's growth task, end to end",
        f"Made by `{found['command']}` (seed {found['seed']}, commit {commits}, {found['seconds'] / 60:.0f} "
        f"minutes on {found['cores']} cores) from `results/growth.json`. Do not edit.",
        "CANDLE's Combo benchmark predicts how cell lines grow under pairs of drugs. We do not have its files. "
        "Public dose-response data (DECREASE, Ianevski et al. 2019) stand in for them, written in the benchmark's "
        "own format and read by the loader that reads the original. This tries the path from the files to spikes. "
        f"It is no result of the benchmark: that has 248,656 observations of growth, this has "
        f"{found['rows']} rows.",
    ]


def _files(found: dict[str, Any]) -> list[str]:
    f = found["files"]
    cells, drugs = f["cells"], f["drugs"]
    unused = ", ".join(f"{count:,} {reason}" for reason, count in found["unused"].items() if count) or "none"
    rows = [
        [
            what,
            str(part["rows"]),
            f"{len(part['known'])}: {', '.join(part['known'])}",
            f"{part['columns']:,}",
            str(part["indicators"]),
        ]
        for what, part in (("cell lines", cells), ("drugs", drugs))
    ]
    tables = " and ".join(f"{what} in `{name}`" for name, what in f["tables"].items())
    return [
        "## The files",
        f"- `ComboDrugGrowth_Nov2017.csv`: {f['measurements']:,} measurements, of them {f['of_pairs']:,} of two "
        f"drugs, {f['doses_per_pair']:g} doses of each pair in each line. The tables' response is {tables}; percent "
        "growth is the viability, since no count of cells at time zero was published: it cannot fall below 0, where "
        f"the NCI's goes down to -100 as cells die. {f['untreated']} untreated wells are not written; where one "
        "dose is 0 the second drug is blank, as the format has it.",
        f"- NSC numbers: {len(f['listed'])} of the drugs are in ALMANAC's list ({', '.join(f['listed'])}) and have "
        f"theirs; the other {f['made_up']} have made-up numbers from 9000001 on, in alphabetical order. GDC-0068 and "
        "Ipatasertib are one compound.",
        "- `combined_rnaseq_data_lincs1000` and `pan_drugs_dragon7_descriptors.tsv`: expression (COSMIC genes) and "
        "structure (RDKit descriptors and fingerprints) as ALMANAC's files have them, in place of LINCS1000 and "
        "Dragon7, where a line or drug is known there; else missing, and imputed by the mean. A column of 0 and 1 "
        "for each line and each drug tells them apart. All lines are named `NCI60.`, since the loader reads no "
        "others, though most are not among the NCI-60.",
        markdown_table(["", "in all", "with features", "columns of features", "indicator columns"], rows),
        f"`load_benchmark` takes the mean over replicates and the least over doses, and gives {found['rows']} rows, "
        f"of {found['pairs']} pairs of drugs; measurements that it does not use: {unused}. With "
        f"{len(cells['known'])} lines and {len(drugs['known'])} drugs described, features can hardly say more than "
        "who is who: nearly all that is learned comes from identities.",
    ]


def _task(found: dict[str, Any]) -> list[str]:
    s, sizes = found["settings"], found["settings"]["learning"]
    splits = [split for each in found["splits"].values() for split in each]
    parameters = next(iter(splits[0]["tried"].values()))["parameters"]
    chosen = {epochs: sum(split["epochs"] == epochs for split in splits) for epochs in s["epochs"]}
    said = ", ".join(f"{epochs} epochs on {count}" for epochs, count in chosen.items()) + f" of {len(splits)} splits"
    if 2 * chosen[max(chosen)] > len(splits):
        said += "; longer trainings, which were not tried, may do better"
    return [
        "## How it was learned",
        f"{s['splits']} splits of each kind, near {100 * s['test']:g} % of the rows to test, near "
        f"{100 * s['validation']:g} % to validate. The network is the Combo network with the recipe of "
        f"wycoff2019.md, {sizes['width']} units wide ({parameters:,} parameters in the first split), batches of "
        f"{sizes['batch_size']}. Its epochs, the penalty of the linear models (ridge) and the smallest leaf of the "
        f"trees are chosen on each split's validation rows, never on test rows: {said}. Spiking predictions average "
        f"{s['compared']} samples, the classical one {sizes['accuracy_samples']}. Features: those of the network, "
        f"{_features(splits)}; the trees' components are principal components of them. Identities: which line, "
        "which two drugs, nothing else.",
    ]


def _features(splits: list[dict[str, Any]]) -> str:
    counts = [split["data"]["features"] for split in splits]
    cell, drug = ([count[side] for count in counts] for side in ("cell", "drug"))
    return f"{_range(cell)} of a line and {_range(drug)} of a drug that vary among the training rows"


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _scores(by: str, splits: list[dict[str, Any]]) -> list[str]:
    models = list(splits[0]["scores"])
    values = {m: {k: np.array([split["scores"][m][k] for split in splits]) for k in SCORES} for m in models}
    tested = sum(split["data"]["test"] for split in splits)
    new = {what: sum(split["new"][what] for split in splits) for what in ("pair", "drug")}
    rows = [[m, *(_mean(values[m][k]) for k in SCORES)] for m in models]
    rivals = [m for m in models if not m.startswith(NETWORK)]
    return [
        f"## {KINDS[by]}",
        f"All test rows, {tested} over the splits; of {new['pair']} of them the pair is in no training row, of "
        f"{new['drug']} one of the drugs is in none. MAE is in fractions of growth; +- is the standard error over "
        "splits, which share rows: it is too small.",
        markdown_table(["model", *SCORES.values()], rows),
        "The network beside others, split by split; a minus sign is where it loses:",
        markdown_table(
            ["than", "R2 more by", "better on", "MAE less by", "better on"],
            [[m, *(cell for score in GAINS for cell in _gain(values, m, score))] for m in rivals],
        ),
        *(_said(values, rivals, score) for score in GAINS),
    ]


def _gains(values: dict[str, Any], model: str, score: str) -> Any:
    """``[splits]``: by how much the network is better."""
    return GAINS[score] * (values[NETWORK][score] - values[model][score])


def _gain(values: dict[str, Any], model: str, score: str) -> list[str]:
    more = _gains(values, model, score)
    return [_mean(more, signed=True), f"{int((more > 0).sum())} of {len(more)}"]


def _said(values: dict[str, Any], rivals: list[str], score: str) -> str:
    """Whom the network loses to and whom it beats, and by how little."""
    gaps = {m: _gains(values, m, score) for m in rivals}
    parts = []
    for words, sign in (("loses to", -1), ("beats", 1)):
        there = [m for m in rivals if (gaps[m].mean() > 0) == (sign > 0)]
        within = [m for m in there if not abs(gaps[m].mean()) > 2 * _error(gaps[m])]
        clear = [m for m in there if m not in within]
        parts += [f"{words} {_listed(clear)}"] if clear else []
        parts += [f"{words} {_listed(within)} by less than two standard errors"] if within else []
    return f"By {SCORES[score]} the network {'; it '.join(parts)}."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _error(values: Any) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")


def _mean(values: Any, *, signed: bool = False) -> str:
    return f"{np.mean(values):{'+' if signed else ''}.3f} +- {_error(values):.3f}"


def _spikes(found: dict[str, Any]) -> list[str]:
    rows = []
    for by, splits in found["splits"].items():
        for spikes in splits[0]["spikes"]:
            each = [split["spikes"][spikes] for split in splits]
            gaps = [abs(s["scores"][spiking(spikes)]["r2"] - s["scores"][NETWORK]["r2"]) for s in splits]
            rows.append(
                [
                    f"{spikes} ({each[0]['method']['name']})",
                    KINDS[by].lower(),
                    f"{np.mean([one['paired_rmse'] for one in each]):.3f}",
                    f"{np.max([one['paired_rmse_largest'] for one in each]):.3f}",
                    f"{np.mean([one['std_ratio'] for one in each]):.3f}",
                    f"{max(gaps):.4f}",
                    *(_kept(each, side) for side in ("pairs", "apart")),
                ]
            )
    header = ["spikes", "split", "error", "of the worst row", "std ratio", "largest gap in R2"]
    return [
        "## What spikes keep",
        "Every test row of every split, spiking against classical. An error is between samples under the same mask, "
        "in standard deviations of the row's prediction: medians over rows, averaged over splits. `compare` judges "
        "both sides under the same masks, and under masks of their own beside a second classical prediction. The "
        "largest values that a code can send are measured on training rows; where a drug that is in none of them "
        "goes beyond, its value is cut off, with a warning.",
        markdown_table([*header, "kept, same masks", "kept, other masks"], rows),
        *_reasons(found),
    ]


def _kept(each: list[dict[str, Any]], side: str) -> str:
    return f"{sum(one[side]['outcome'] == 'kept' for one in each)} of {len(each)}"


def _reasons(found: dict[str, Any]) -> list[str]:
    """Why a prediction under the same masks was not kept, each reason once."""
    lines = []
    for by, splits in found["splits"].items():
        for drawn, split in enumerate(splits):
            for spikes, one in split["spikes"].items():
                if one["pairs"]["outcome"] != "kept":
                    why = "; ".join(one["pairs"]["reasons"])
                    lines.append(f"- {spikes}, {by} split {drawn}: {one['pairs']['outcome']} ({why})")
    return ["Under the same masks, not kept or undecided:\n\n" + "\n".join(lines)] if lines else []


def _times(found: dict[str, Any]) -> list[str]:
    rows = [
        [name, f"`{told['commit']}`", f"{told['seconds']:.0f}", ", ".join(d[:12] for d in told["weights_sha256"])]
        for name, told in found["stages"].items()
    ]
    return ["## Stages", markdown_table(["stage", "commit", "seconds", "SHA-256 of its files"], rows)]
