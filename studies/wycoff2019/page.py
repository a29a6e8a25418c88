"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.results import markdown_table
from studies.stages import stage_seconds
from studies.wycoff2019.accuracies import accuracy
from studies.wycoff2019.claims import claims, pvalue
from studies.wycoff2019.decided import decided
from studies.wycoff2019.learning import DT
from studies.wycoff2019.protocols import EQUIVALENT, PAIRED_RMSE, R2_GAP, STD_RATIO, UNIFORMITY

COUNTED = ("synaptic_events", "neuron_updates", "dense_synaptic_operations", "input_macs", "mask_bits")
TITLES = {
    "paper": "the paper's burn-in",
    "fitting": "the paper's burn-in, filters that fit",
    "fewest": "fewest steps",
    "redrawn": "one run, masks redrawn",
    "windows": "windows of ticks",
}
SHOWN = ("paper", "fewest", "windows")  # whose p-values are drawn


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    sections = [
        _head(found),
        claims(found),
        _data(found),
        accuracy(found),
        _protocols(found),
        _large(found),
        _parts(found),
    ]
    sections += [_steps(found), _windows(found), _redraws(found), _energy(found), decided(found), _times(found)]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _head(found: dict[str, Any]) -> list[str]:
    commits = ", ".join(f"`{commit}`" for commit in found["commits"])
    return [
        "# Wycoff 2019: the Combo network, its posterior in spikes",
        f"Made by `{found['command']}` (seed {found['seed']}, commit {commits}, {found['seconds'] / 60:.0f} minutes "
        f"on {found['cores']} cores) from `results/wycoff2019.json`. Do not edit.",
        "A spiking sample is one simulation under one drop mask. Errors and spreads are in units of the classical "
        "predictive standard deviation of the row, medians over rows; an error is between a spiking and a classical "
        f"sample under the same mask. A posterior is kept if the KS p-values are uniform (p > {UNIFORMITY:g}), "
        f"the error is at most {PAIRED_RMSE:g}, the ratio of standard deviations within {STD_RATIO[0]:g} to "
        f"{STD_RATIO[1]:g} and R2 within {R2_GAP:g}.",
    ]


def _data(found: dict[str, Any]) -> list[str]:
    d = found["data"]
    unused = ", ".join(f"{reason} {count:,}" for reason, count in d["unused"].items())
    return [
        "## Data",
        f"{d['rows']:,} rows ({d['target']}), {d['cells']} cell lines, {d['drugs']} drugs; not usable: {unused}. "
        f"At random {d['train']:,} train, {d['validation']:,} validate, {d['test']:,} test. "
        f"{d['features']['cell']} features of a cell line, {d['features']['drug']} of a drug "
        f"({d['constant_columns']['drug']} constant and {d['missing_columns']['drug']} wholly missing columns left "
        f"out). Imputation and scaling are learned on the training rows.{_orders(d['both_orders'])}",
    ]


def _orders(found: dict[str, Any]) -> str:
    if found["correlation"] is None:
        return ""
    return (
        f" {found['cases']:,} cases were measured twice, with the two drugs named in both orders: their scores "
        f"correlate by {found['correlation']:.2f}. Much of what is learned may so belong to one screen."
    )


def _protocols(found: dict[str, Any]) -> list[str]:
    lines = [(n, k) for n in TITLES for k in ("few", "many") if f"{k}_{n}" in found]
    fitting = found["trace_fitting"]["method"]["name"].split(", ")[-1]
    return [
        "## The paper's checks",
        "Figure 3: the read-out of the first test row over time, with the paper's burn-in and our usual filters, "
        f"with its burn-in and filters that fit into it ({fitting}), and with the fewest steps. The "
        "swings of the start are cut off.",
        "![Output trace](wycoff2019/figure3.svg) ![with filters that fit](wycoff2019/figure3-fitting.svg) "
        "![with the fewest steps](wycoff2019/figure3-fewest.svg)",
        "Figure 2, KS p-values over rows: as the paper takes them, randomised (uniform for equal distributions), and "
        "for two classical predictions.",
        *(_histograms(found, k, n) for n in SHOWN for k in ("few", "many") if f"{k}_{n}" in found),
        _protocol_table([(TITLES[n], found[f"{k}_{n}"]) for n, k in lines]),
        "Figure 4: the row with the largest KS distance, with the paper's burn-in and in the larger test.",
        "![Worst row](wycoff2019/figure4.svg) ![of the larger test](wycoff2019/figure4-large.svg)",
    ]


def _histograms(found: dict[str, Any], kind: str, name: str) -> str:
    run = found[f"{kind}_{name}"]
    pictures = (f"![{p}](wycoff2019/figure2-{kind}-{name}-{p}.svg)" for p in ("raw", "randomised", "control"))
    return f"{TITLES[name].capitalize()}, {run['rows']} rows x {run['samples']} samples:\n\n" + " ".join(pictures)


def _large(found: dict[str, Any]) -> list[str]:
    lines = [(TITLES[n], found[f"large_{n}"]) for n in TITLES if f"large_{n}" in found]
    rows = [
        [
            name,
            f"{p['rows']} x {p['samples']}",
            f"{100 * p['paired_equivalent_share']:.1f} %",
            f"{p['paired_mean_difference_largest']:.3f}",
            f"{100 * p['spiking']['equivalent_share']:.1f} %",
            f"{100 * p['control']['equivalent_share']:.1f} %",
            str(p["spiking"]["rejections"]),
            str(p["control"]["rejections"]),
            f"{p['spiking']['wasserstein']:.3f}",
            f"{p['control']['wasserstein']:.3f}",
        ]
        for name, p in lines
    ]
    header = ["method", "rows x samples", "rows equivalent, same masks", "largest mean offset"]
    header += ["independent masks", "control", "KS rejections", "control", "Wasserstein", "control"]
    return [
        "## The larger test",
        "Equivalent: two one-sided tests find the mean within 0.1 standard deviations; asked of "
        f"{100 * EQUIVALENT:g} % of rows. Under independent masks the means differ by nearly the margin by chance: "
        "even the control is rarely shown equivalent: what that column can reach is the control's.",
        markdown_table(header, rows),
        _protocol_table(lines),
    ]


def _protocol_table(lines: list[tuple[str, dict[str, Any]]]) -> str:
    header = ["method", "rows x samples", "steps", "uniform p", "control p", "error", "std ratio", "R2 classical"]
    header += ["R2 spiking", "kept", "row-steps/s"]
    return markdown_table(
        header,
        [
            [
                name,
                f"{p['rows']} x {p['samples']}",
                _steps_said(p["method"]),
                pvalue(p["spiking"]["uniformity_pvalue"]),
                pvalue(p["control"]["uniformity_pvalue"]),
                f"{p['paired_rmse']:.3f}",
                f"{p['std_ratio']:.3f}",
                f"{p['r2']['classical']:.4f}",
                f"{p['r2']['spiking']:.4f}",
                _verdict(p["kept"]),
                f"{p['row_steps_per_second']:,.0f}",
            ]
            for name, p in lines
        ],
    )


def _parts(found: dict[str, Any]) -> list[str]:
    p = found["parts"]
    gammas = [[f"{line['gamma']:g}", f"{line['paired_rmse']:.4f}", f"{line['std_ratio']:.4f}"] for line in p["gamma"]]
    burn_in = list(p["methods"][0]["burn_in"])
    counted = list(p["methods"][0]["spike_noise"])
    totals = list(p["methods"][0]["total"])
    header = ["method", "spikes/neuron/step", "rate curve", "settled"]
    header += [f"start, {b} left out" for b in burn_in] + [f"{n} steps read" for n in counted]
    rows = [
        [m["name"], f"{m['spikes_per_neuron_step']:.3f}", f"{m['curve']:.4f}", f"{m['settled']:.3f}"]
        + [f"{m['burn_in'][b]:.3f}" for b in burn_in]
        + [f"{m['spike_noise'][n]:.3f}" for n in counted]
        for m in p["methods"]
    ]
    total = [[m["name"], *(f"{m['total'][t]:.3f} ({m['std_ratio'][t]:.2f})" for t in totals)] for m in p["methods"]]
    masks = p["mask_sampling"]
    return [
        "## Where the difference comes from",
        f"{p['rows']} test rows x {p['samples']} samples, {p['longest']} steps. *Rate curve*: SoftLIF as trained "
        f"(gamma {p['trained_gamma']:g}) against the LIF curve, no spikes. *Settled*: the spiking network after its "
        "start, averaged over all that is left, against the LIF curve: what no number of steps takes away. *Start*: "
        "100 steps after those left out, against settled. *Steps read*: that many steps after the start, against "
        f"settled. Mask sampling: two classical means of {p['samples']} samples differ by {masks['measured']:.3f} "
        f"(expected {masks['expected']:.3f}); with the same masks it is nothing.",
        markdown_table(header, rows),
        "All together, the last third of the steps averaged; in brackets the ratio of standard deviations:",
        markdown_table(["method", *(f"{t} steps" for t in totals)], total),
        "The trained weights with another width of threshold, against the LIF curve:",
        markdown_table(["gamma", "error", "std ratio"], gammas),
    ]


def _steps(found: dict[str, Any]) -> list[str]:
    s = found["search"]
    rows = [
        [
            c["name"] + (" (another network)" if c["other_network"] else ""),
            "-" if c["steps"] is None else f"{c['steps']}",
            "-" if c["burn_in"] is None else f"{c['burn_in']}",
            f"{c['spikes_per_neuron_step']:.3f}",
            _smallest(c),
        ]
        for c in s["candidates"]
    ]
    return [
        "## Fewer steps",
        f"Chosen on {s['rows']} validation rows x {s['samples']} samples: the fewest steps, burn-in included, from "
        f"which on the error is at most {s['margin']:g} and the spread kept. {_best_said(s, found['settings'])}",
        "![Error over steps](wycoff2019/steps.svg)",
        markdown_table(["method", "steps", "of them left out", "spikes/neuron/step", "smallest error"], rows),
    ]


def _windows(found: dict[str, Any]) -> list[str]:
    w = found["windows"]
    rows = [
        [
            c["name"],
            f"{c['headroom']:g}",
            f"{c['ticks']}",
            f"{c['spikes_per_neuron_sample']:.2f}",
            f"{c['paired_rmse']:.3f}",
            f"{c['std_ratio']:.3f}",
            "yes" if c["kept"] else "no",
        ]
        for c in w["codes"]
    ]
    said = "None keeps the distribution."
    if w["best"] is not None:
        said = (
            f"Judged on test rows is {w['best']}: of those that keep it with spikes that are all alike, the one of "
            "the fewest ticks."
        )
    return [
        "## Windows of ticks",
        "The same network, in which a neuron tells its value by when it fires in a window (codes.md), a sample for "
        f"every window. {w['rows']} validation rows x {w['samples']} samples, with the margin of the steps. {said}",
        markdown_table(["code", "headroom", "ticks", "spikes/neuron/sample", "error", "std ratio", "kept"], rows),
    ]


def _redraws(found: dict[str, Any]) -> list[str]:
    r = found["redraws"]
    rows = [
        [
            line["name"],
            str(line["hold"]),
            f"{line['naive']['paired_rmse']:.3f}",
            f"{line['naive']['std_ratio']:.3f}",
            f"{line['with_gap']['paired_rmse']:.3f}",
            f"{line['with_gap']['std_ratio']:.3f}",
            f"{line['best']['gap']}",
            line["best"]["window"],
            f"{line['best']['carry_over']:g}",
            f"{line['best']['paired_rmse']:.3f}",
            f"{line['best']['std_ratio']:.3f}",
        ]
        for line in r["lines"]
    ]
    header = ["synapse", "hold", "naive error", "std ratio", "with gap", "std ratio", "best: gap", "window"]
    header += ["carry-over", "error", "std ratio"]
    if r["best"] is None:
        said = "No hold kept the distribution."
    else:
        hold, lead = r["best"]["hold"], r["lead"]
        each = hold + lead / r["samples"]
        said = (
            f"The shortest hold that keeps it: {hold} steps ({r['best']['name']}); with {lead} steps at the start, "
            f"{each:.1f} steps a sample for {r['samples']} samples, against {r['apart']} of separate simulations: "
            f"{r['apart'] / each:.1f} times fewer."
        )
        if "neighbours" in found:
            n = found["neighbours"]
            said += (
                f" Neighbouring samples correlate by {n['spiking']:.3f} on test rows (classical samples under the "
                f"same masks: {n['classical']:.3f})."
            )
    return [
        "## Dropout during the simulation",
        f"Masks redrawn every `hold` steps of one run; {r['rows']} validation rows x {r['samples']} samples. Naive "
        "averages all steps of a hold: the network still hears the last masks through its filters and membranes, a "
        "sample becomes a mixture of several, and averages of independent draws spread less. A gap leaves the first "
        "steps after a redraw out. Staggered, deeper layers are redrawn later, as a change reaches them, so that a "
        "hold need not be as long as the way through the network. The share of the sample before that is still in a "
        "sample shows in the correlation of neighbours, and is taken out again. What is left to limit the hold is "
        "the neurons' own rhythm: one that fires every seventh step tells its new rate after a few spikes. " + said,
        "![Redraws](wycoff2019/redraws.svg)",
        markdown_table(header, rows),
    ]


def _energy(found: dict[str, Any]) -> list[str]:
    parts: list[str] = [
        "## Energy",
        "Counted on real runs, priced by cited figures (see `spikebayes.evaluate`); J per predicted row for "
        f"{found['settings']['energy_samples']} samples. *Ratio*: classical over spiking on the same device. "
        "*Break-even*: spikes per neuron and step at which both cost the same; *none*: even a silent network costs "
        "more. *+ memory*: with a read of the weight for every operation, where the device's figure does not include "
        "it.",
    ]
    for name, made in found["energy"].items():
        spiking, runs = made["spiking"], found["settings"]["energy_samples"] * found["settings"]["energy_rows"]
        totals = {"spikes": sum(spiking["spikes"].values())} | {key: spiking[key] for key in COUNTED}
        counts = ", ".join(f"{key.replace('_', ' ')} {value / runs:,.0f}" for key, value in totals.items())
        rows = [
            [
                line["device"],
                *(
                    _joules(line.get(k))
                    for k in ("spiking_j", "classical_j", "spiking_j_memory", "classical_j_memory")
                ),
                _number(line.get("ratio")),
                _number(line.get("break_even_rate")),
                _number(line.get("break_even_rate_vs_gpu")),
                line["source"],
            ]
            for line in made["table"]
        ]
        header = ["device", "spiking J", "classical J", "spiking + memory", "classical + memory", "ratio"]
        parts += [
            f"### {TITLES[name].capitalize()} ({_steps_said(made['method'])})",
            f"Per sample: {counts}.",
            markdown_table([*header, "break-even", "vs GPU", "source"], rows),
        ]
    return parts


def _times(found: dict[str, Any]) -> list[str]:
    rows = [[name, f"{stage_seconds(stage):.0f}"] for name, stage in found["stages"].items()]
    return [
        "## Wall time by stage",
        "Trainings run two at a time: one counts from the end of the one above it.",
        markdown_table(["stage", "s"], [*rows, ["all", f"{found['seconds']:.0f}"]]),
    ]


def _steps_said(method: dict[str, Any]) -> str:
    redraw = method["redraw"]
    if method["code"] is not None:
        return method["name"]
    if redraw is None:
        return f"{method['steps']}, {method['burn_in']} left out"
    return f"{redraw['hold']} a sample, {redraw['gap']} left out"


def _verdict(kept: dict[str, bool]) -> str:
    broken = [name.replace("_", " ") for name, good in kept.items() if not good]
    return "yes" if not broken else "no: " + ", ".join(broken)


def _best_said(found: dict[str, Any], settings: dict[str, Any]) -> str:
    best = next((c for c in found["candidates"] if c["name"] == found["best"]), None)
    if best is None:
        return "No method of the network as trained keeps it."
    return (
        f"What this network should be run with: {best['name']}, {best['steps']} steps of {1000 * DT:g} ms, the first "
        f"{best['burn_in']} left out. Its layers of {settings['learning']['width']} neurons average over neurons "
        "what narrow ones must average over time; the library's default filters (Alpha 20 ms) are for those."
    )


def _smallest(candidate: dict[str, Any]) -> str:
    line = min(candidate["lines"], key=lambda line: line["paired_rmse"])
    return f"{line['paired_rmse']:.3f} at {line['steps']}"


def _joules(value: float | None) -> str:
    return "-" if value is None else f"{value:.2e}"


def _number(value: Any) -> str:
    return "-" if value is None else value if isinstance(value, str) else f"{value:.3g}"
