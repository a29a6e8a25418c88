"""docs/performance.md, from what results/bench.json holds alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.bars import bars
from benchmarks.figures import count, megabytes, seconds
from benchmarks.synapses_page import synapses_section
from benchmarks.thresholds_page import thresholds_section
from studies.results import markdown_table

OURS = "spikebayes"
Found = Mapping[str, Any]


def render(found: Found) -> str:
    """The page as Markdown; what a run did not measure is left out."""
    parts = [
        "# How fast is it?",
        f"Made by {_origin(found)} from `results/bench.json`. Do not edit. {_circumstances(found)}",
        "## Targets",
        _bars(found),
        "## What is compared",
        _compared(found),
        *(part for case in found["workloads"].values() for part in _workload(case, found)),
        "## The roofline",
        *_roofline(found),
        "## How time grows",
        *_threads(found["threads"]),
        *_sweeps(found.get("sweeps", [])),
        _apart(found, "sweeps"),
        *_memory(found),
        *_starts(found.get("starts")),
        _apart(found, "starts"),
        *_classical(found.get("classical")),
        _apart(found, "classical"),
        *synapses_section(found.get("synapses")),
        _apart(found, "synapses"),
        *thresholds_section(found.get("thresholds")),
        _apart(found, "thresholds"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _origin(made: Found) -> str:
    return f"`{made['command']}` (seed {made['seed']}, commit `{made['commit']}`, {made['seconds']:.0f} s)"


def _circumstances(made: Found) -> str:
    settings, machine = made["settings"], made["machine"]
    caches = ", ".join(f"{name} {size}" for name, size in machine["caches"].items())
    return (
        f"Machine: {machine['processor']}, {machine['cores']} cores"
        + (f", caches {caches}" if caches else "")
        + f". Every competitor on {settings['threads']} threads; medians of {settings['repeats']} rounds in which "
        "all competitors take turns."
        + (" **A quick run: fewer rows and shorter sweeps; not for publication.**" if settings["quick"] else "")
    )


def _apart(found: Found, part: str) -> str:
    """Where a part's figures are from, if not from the run that the page begins with."""
    made = found.get("updates", {}).get(part)
    return f"These figures are from a run of their own, {_origin(made)}. {_circumstances(made)}" if made else ""


def _bars(found: Found) -> str:
    rows = []
    for bar in bars(found):
        got = "" if bar.got is None else bar.form.format(bar.got)
        rows.append([bar.what, ("at most " if bar.most else "at least ") + f"{bar.wanted:g}", got, bar.verdict()])
    return markdown_table(["what", "wanted", "got", ""], rows)


def _compared(found: Found) -> str:
    text = (
        "The same network, inputs, time step, number of steps and rows, float32, no gradients; one mask for each "
        "row, drawn anew by this engine in every run, beforehand by the peers. Each peer's neurons get a constant "
        "current with which they fire as often as this engine's; `rate gap` is the largest difference of a "
        "population. Making the network is not part of a run (`prepare` has it). A *row-step* is one step of one "
        "row; a *synaptic event* one weight added to a neuron because of one spike. Events into the read-out "
        "are not counted. A competitor whose run would take long is timed on fewer rows."
    )
    lines = [f"* **{name}** {peer['version']}. {peer['about']}" for name, peer in found["peers"].items()]
    lines += [f"* **{name}** was not run: {reason}." for name, reason in found["missing"].items()]
    lines.append("* **NengoDL** is left out: it needs TensorFlow 2.12 and NumPy 1, which conflict with the others.")
    return "\n".join([text, "", *lines])


def _workload(case: Found, found: Found) -> Iterable[str]:
    ours = case["competitors"][OURS]
    memory = found.get("memory", {}).get(case["name"], {})
    yield f"## {case['name']}: {case['title']}"
    yield (
        f"{case['rows']} rows x {case['steps']} steps, {case['neurons']} neurons, "
        f"{100 * case['rate']:.3g} % spikes per neuron and step asked for; {count(case['spikes'])} spikes, "
        f"{count(case['synaptic_events'])} synaptic events "
        f"(and {count(case['readout_events'])} into the read-out). One run of this engine takes "
        f"{seconds(ours['seconds']['median'])}, through `simulate`, all overhead included, "
        f"{seconds(ours['end_to_end_seconds']['median'])}."
    )
    rows = []
    for name, figures in case["competitors"].items():
        kept = memory.get(name, {})
        took = figures["seconds"]
        rows.append(
            [
                name,
                count(figures["row_steps_per_second"]),
                count(figures["synaptic_events_per_second"]),
                "1" if name == OURS else f"{figures['ratio']:.1f}",
                f"{took['median']:.3g} ({took['min']:.3g} to {took['max']:.3g})",
                str(figures["rows"]),
                f"{figures['prepare_seconds']:.2g}",
                f"{100 * figures['rate']:.2f}",
                "" if name == OURS else f"{100 * figures['rate_gap']:.0f} %",
                megabytes(kept.get("peak")),
                megabytes(kept.get("before")),
            ]
        )
    header = [
        "",
        "row-steps/s",
        "synaptic events/s",
        "this engine is faster by",
        "seconds of a run (min to max)",
        "rows",
    ]
    header += ["prepare, s", "rate, %", "rate gap", "peak MB", "before MB"]
    yield markdown_table(header, rows)
    wrong = [name for name, figures in case["competitors"].items() if not figures.get("finite", True)]
    if wrong:
        yield f"Outputs not finite: {', '.join(wrong)}."
    if case["refused"]:
        yield "Not run: " + "; ".join(f"{name} ({reason})" for name, reason in case["refused"].items()) + "."


def _roofline(found: Found) -> Iterable[str]:
    yield (
        "No event-driven simulation takes less time than synaptic events / (best rate of adding weight rows) + "
        "neuron updates / (best rate of updating LIF state). The rates come from loops that do nothing else, on "
        "data in cache, the best over sizes and ways to write them; `by size` is the best for weight matrices of a "
        "size. Masks, the search for spikes, the constant current of the inputs and the read-out are "
        "not in the bound."
    )
    rows = []
    for limit in [found["roofline"]["one"], found["roofline"]["all"]][
        : 1 if found["settings"]["threads"] == 1 else 2
    ]:
        sizes = ", ".join(f"{kib} KiB {rate / 1e9:.1f}" for kib, rate in limit["event_rate_by_kib"].items())
        rows.append([str(limit["threads"]), f"{limit['event_rate'] / 1e9:.1f}", sizes, _way(limit["event_loop"])])
        rows[-1] += [f"{limit['update_rate'] / 1e9:.2f}", _way(limit["update_loop"])]
    header = ["threads", "10^9 additions/s", "by size", "by", "10^9 updates/s", "by"]
    yield markdown_table(header, rows)
    yield (
        "The loops that were fastest also ran in every round of the timings above, so that each run is set "
        "against what the machine could do in that round: `of the roofline` is bound / time, the median over rounds. "
        "`from the second cache` takes the best rate of matrices that do not fit the first one, as those of these "
        "networks do not. `kept neurons` counts only events at, and updates of, neurons that no mask drops, which is "
        "all that a simulation must do. `best` takes the rates of the table above."
    )
    rows = []
    for name, case in found["workloads"].items():
        figures = case["competitors"][OURS]["roofline"]
        columns = ("fraction", "fraction_second", "fraction_kept", "fraction_of_best")
        rows.append([name, f"{1000 * figures['bound_seconds']:.3g}", *(f"{100 * figures[c]:.0f} %" for c in columns)])
    header = ["", "bound, ms", "of the roofline", "from the second cache", "kept neurons", "best"]
    yield markdown_table(header, rows)


def _way(setting: Found) -> str:
    sizes = ", ".join(f"{key} {value}" for key, value in setting.items() if key != "way")
    return f"{setting['way']} ({sizes})"


def _threads(scaled: Found) -> Iterable[str]:
    rows = [[str(p["threads"]), seconds(p["seconds"]["median"]), f"{p['speedup']:.2f}"] for p in scaled["points"]]
    yield f"Threads, {scaled['workload']}, {scaled['rows']} rows:"
    yield markdown_table(["threads", "time", "times as fast as one"], rows)


def _sweeps(made: Iterable[Found]) -> Iterable[str]:
    made = list(made)
    if not made:
        return
    yield (
        "One quantity varied at a time (16 rows unless rows are varied, 300 steps, one sample); medians, and the "
        "least-squares line through them. Spike rate and width are fitted against the synaptic events they make."
    )
    rows = []
    for sweep in made:
        points = ", ".join(f"{p['value']:g}: {1000 * p['seconds']['median']:.3g}" for p in sweep["points"])
        fit = sweep["fit"]
        rows.append(
            [
                sweep["workload"],
                sweep["over"],
                points,
                sweep["against"],
                f"{1000 * fit['slope']:.3g}",
                f"{1000 * fit['intercept']:.3g}",
                f"{fit['r_squared']:.4f}",
            ]
        )
    header = ["", "varied", "value: ms", "fitted against", "ms per unit", "intercept, ms", "R^2"]
    yield markdown_table(header, rows)


def _memory(found: Found) -> Iterable[str]:
    if "memory" not in found:
        return
    yield "## Memory"
    yield (
        "Peak resident memory of one run in a process of its own: interpreter, imports and workload included. "
        "`before MB` in the tables above is the same process when it has only imported and read the workload."
    )
    if grown := found.get("growth"):
        steps, samples, base = grown["base_steps"], grown["base_samples"], grown["base"]
        cases = (("base", samples, steps), ("steps", samples, 10 * steps), ("samples", 10 * samples, steps))
        rows = [[str(s), str(t), megabytes(grown[k]), f"{100 * (grown[k] / base - 1):+.1f} %"] for k, s, t in cases]
        yield f"This engine, {grown['workload']}, {grown['rows']} rows, with more samples and steps:"
        yield markdown_table(["samples", "steps", "peak MB", ""], rows)


def _starts(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield "## Fixed costs"
    yield (
        "A fresh process, a 10-100-100-1 network, 8 rows x 10 samples. *Cold*: no kernel has been compiled before; "
        f"the process {'says' if found['said_so'] else 'does not say'} on standard error that it compiles. *Warm*: "
        f"the kernels are on disk, median of {found['repeats']} processes."
    )
    header = ["", "import torch, s", "import in all, s", "convert, s", "first predict, s", "second predict, s"]
    keys = ("import_torch", "import", "convert", "first", "second")
    yield markdown_table(header, [[k, *(f"{found[k][key]:.3f}" for key in keys)] for k in ("cold", "warm")])


def _classical(found: Found | None) -> Iterable[str]:
    if not found:
        return
    yield "## Classical prediction"
    yield (
        f"`predict` on the torch module, {found['network']} with dropout {found['dropout']:g}, {found['rows']} rows "
        f"x {found['samples']} samples, against a plain loop: one pass with dropout on for each sample, over all "
        "rows or in batches, whichever is faster. Only some of the loop's passes are timed; they are all alike."
    )
    rows = []
    for name, raced in found["activations"].items():
        ours, plain = raced["predict_seconds"]["median"], raced["loop_seconds"]["median"]
        rows.append([name, f"{ours:.3g}", f"{plain:.3g}", str(raced["loop_batch"]), str(raced["loop_passes_timed"])])
        rows[-1].append(f"{raced['ratio']:.2f}")
    yield markdown_table(["", "predict, s", "loop, s", "rows of a batch", "passes timed", "faster by"], rows)
