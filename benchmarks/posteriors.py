"""What a posterior costs at the method's own rates and steps, beside the classical one that it replaces.

Networks that ``fit`` trained, with the filters and steps that ``tune`` found (paired error at most .03 of the
predictive standard deviation), on rows that neither saw. Times are whole calls: ``predict`` of the network,
``predict`` of the module, and the loop of batched passes with dropout on that one would write. The simulation alone
runs against the roofline and the other simulators too, at the same steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from benchmarks.machine import machine
from benchmarks.measure import Watch, alternate, clock, threads
from benchmarks.peers import Peer, available
from benchmarks.race import race
from benchmarks.roofline import Roofline, roofline
from benchmarks.trained import ERROR, RECIPES, Trained, trained
from benchmarks.workloads import Workload
from spikebayes import ConfigError, predict, simulate
from spikebayes.network import size
from studies import command_line
from studies.codes.measure import paired_error
from studies.command_line import OUT, RESULTS, places
from studies.results import markdown_table, provenance, read_results, write_page, write_results

ERR = Console(stderr=True, highlight=False, soft_wrap=True)
SAMPLES = {"tabular": 100, "wide": 20, "conv": 20, "Combo": 10}
RACED = 64  # rows of the race with the other simulators, one sample each
ALLOWED = {"tabular": 4.0, "wide": 6.0, "conv": 8.0, "Combo": 2.5}  # times the classical prediction
TUNED, DEFAULT, CLASSICAL, LOOP = "tuned", "default", "predict(module)", "loop of passes"
NETWORKS = tuple(RECIPES)


def posteriors(
    *,
    networks: str = ",".join(NETWORKS),
    repeats: int = 5,
    count: int = 2,
    alone: bool = False,
    page: bool = False,
    results: Path = RESULTS,
    docs: Path | None = None,
    data: Path | None = None,
    work: Path | None = None,
    seed: int = 0,
) -> None:
    """Time whole predictions of trained networks beside those of their modules; posteriors.json and its page.

    Args:
        networks: of tabular, wide, conv and Combo, separated by commas.
        repeats: rounds in which all take turns.
        count: threads of each.
        alone: leave the other simulators out.
        page: measure nothing; make the page anew from the results.
        results: folder for posteriors.json.
        docs: folder for posteriors.md; by default docs, or the folder of the results if that is given.
        data: folder of the data sets; by default $SPIKEBAYES_DATA.
        work: folder for what is trained; by default in the user's cache folder.
        seed: of weights, batches and masks.
    """
    at = places("posteriors", results, docs, data, work, measures=not page)
    if page:
        write_page(render(read_results(at.results)), at.page)
        OUT.print(f"written to {at.page}")
        return
    names = [name.strip() for name in networks.split(",") if name.strip()]
    unknown = [name for name in names if name not in NETWORKS]
    if unknown or not names:
        raise ConfigError(f"there is no network {(unknown or [''])[0]!r} here; there are {', '.join(NETWORKS)}")
    if repeats < 1:
        raise ConfigError(f"repeats must be at least 1; got {repeats}")
    started = time.perf_counter()
    found = provenance("python -m benchmarks.posteriors", seed) | {"machine": machine()}
    with threads(count):
        made = {}
        for name in names:
            ERR.print(f"{name}: training, or what was trained before")
            made[name] = trained(name, at.data, at.work, seed)
        watch = Watch(count)
        limit = roofline(count)
        figures = {
            name: measure(name, one, limit, {} if alone else available(), repeats, seed, watch, ERR.print)
            for name, one in made.items()
        }
    found |= {"settings": {"repeats": repeats, "threads": count, "error": ERROR}, "networks": figures}
    found["seconds"] = time.perf_counter() - started
    write_results(found, at.results)
    write_page(render(found), at.page)
    OUT.print(f"written to {at.results} and {at.page}")


def measure(
    name: str,
    one: Trained,
    limit: Roofline,
    peers: Mapping[str, Peer],
    repeats: int,
    seed: int,
    watch: Watch | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Times of whole predictions, and the race of the simulation alone."""
    first, *others = one.x
    x, samples, rows = one.x if others else first, SAMPLES[name], len(first)
    settings: dict[str, Any] = {"samples": samples, "seed": seed, "task": one.task}
    default = replace(one.network, timing=None)
    say(f"{name}: timing predictions")
    batch = min(_BATCHES, key=lambda size: clock(lambda: passes(one.module, one.x, 2, size)))
    runs = {
        TUNED: lambda: predict(one.network, x, **settings),
        DEFAULT: lambda: predict(default, x, **settings),
        CLASSICAL: lambda: predict(one.module, x, **settings),
        LOOP: lambda: passes(one.module, one.x, samples, batch),
    }
    timed = alternate(runs, repeats, watch=watch)
    classical, tuned = runs[CLASSICAL](), runs[TUNED]()
    ran = simulate(one.network, x, samples=2, seed=seed)
    timing = one.network.timing
    assert timing is not None
    spikes = sum(int(c.sum()) for c in ran.counts.values()) / (2 * rows)
    rate = spikes / (one.network.neurons * timing.steps)
    workload = Workload(
        name, one.title, one.network, tuple(part[:RACED] for part in one.x), rate, timing.steps, timing.burn_in
    )
    return {
        "title": one.title,
        "rows": rows,
        "samples": samples,
        "outputs": size(one.network.readout.shape),
        "timing": str(timing),
        "steps": timing.steps,
        "default_steps": predict(default, x, samples=2, seed=seed).settings["steps"],
        "error": paired_error(classical, tuned),
        "rate": rate,
        "spikes_per_neuron": spikes / one.network.neurons,
        "seconds": {what: timing.figures() for what, timing in timed.items()},
        "ratios": {
            what: {against: _ratio(timed[what].rounds, timed[against].rounds) for against in (CLASSICAL, LOOP)}
            for what in (TUNED, DEFAULT)
        },
        "allowed": ALLOWED[name],
        "race": race(workload, peers, limit, repeats=repeats, say=say, watch=watch),
    }


_BATCHES = (64, 256, 1 << 30)


@torch.no_grad()
def passes(module: nn.Module, x: Sequence[Tensor], samples: int, batch: int) -> Tensor:
    """``[S, B, C]`` by Monte Carlo dropout as usual: samples repeated along the batch, dropout on."""
    module.train()
    rows = [part.repeat(samples, *[1] * (part.ndim - 1)) for part in x]
    made = [module(*part) for part in zip(*(rows_.split(batch) for rows_ in rows), strict=True)]
    module.eval()
    return torch.cat(made).unflatten(0, (samples, -1))


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Median over rounds of a ratio within each."""
    return torch.tensor([a / b for a, b in zip(ours, theirs, strict=True)]).median().item()


def render(found: Mapping[str, Any]) -> str:
    """docs/posteriors.md, from the results alone."""
    told = found["machine"]
    parts = [
        "# What a posterior costs",
        f"Made by `{found['command']}` (seed {found['seed']}, commit `{found['commit']}`, {found['seconds']:.0f} s) "
        f"from `results/posteriors.json`. Do not edit. Machine: {told['processor']}, {told['cores']} cores; "
        f"{found['settings']['threads']} threads each, medians of {found['settings']['repeats']} rounds in which all "
        "take turns.",
        "LIF networks that `fit` trained, at the steps that `tune` found for a paired error of "
        f"{found['settings']['error']:g} of the predictive standard deviation; rows that neither saw. Times are of "
        "whole calls. `by default` are the same filters with the burn-in worked out from them, and 100 steps more. "
        "`the loop` is the usual code in torch: batches of passes with dropout on.",
        markdown_table(
            [
                "network",
                "steps",
                "by default",
                "error",
                "spikes per neuron and step, %",
                "ms",
                "predict(module), ms",
                "times predict(module)",
                "wanted",
                "by default",
                "times the loop",
            ],
            [_line(name, one) for name, one in found["networks"].items()],
        ),
        "## The simulation alone, beside other simulators",
        f"The same steps, inputs and rates, {RACED} rows, one sample each; see `performance.md` for who they are and "
        "what they leave out. `roofline` is the least time for these synaptic events and neuron updates over the "
        "time taken. Neurons driven by inputs only are simulated once for all samples of a row, which these runs of "
        "one sample do not show.",
        markdown_table(
            ["network", "ms", "roofline, %", "simulator", "this engine is faster by"],
            [line for name, one in found["networks"].items() for line in _raced(name, one["race"])],
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _line(name: str, one: Mapping[str, Any]) -> list[str]:
    took, ratios = one["seconds"], one["ratios"]
    return [
        f"{name}: {one['title']}, {one['rows']} rows x {one['samples']}",
        str(one["steps"]),
        str(one["default_steps"]),
        f"{one['error']:.3f}",
        f"{100 * one['rate']:.1f}",
        f"{1e3 * took[TUNED]['median']:.3g}",
        f"{1e3 * took[CLASSICAL]['median']:.3g}",
        f"{ratios[TUNED][CLASSICAL]:.2f}",
        f"at most {one['allowed']:g}",
        f"{ratios[DEFAULT][CLASSICAL]:.1f}",
        f"{ratios[TUNED][LOOP]:.2f}",
    ]


def _raced(name: str, found: Mapping[str, Any]) -> list[list[str]]:
    ours, *others = found["competitors"].items()
    first = [name, f"{1e3 * ours[1]['seconds']['median']:.3g}", f"{100 * ours[1]['roofline']['fraction_second']:.0f}"]
    lines = [["", "", "", peer, f"{figures['ratio']:.1f}"] for peer, figures in others]
    lines += [["", "", "", peer, why] for peer, why in found["refused"].items()]
    return [[*first, "", ""], *lines]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return command_line.main(posteriors, "benchmarks.posteriors", arguments)


if __name__ == "__main__":
    sys.exit(main())
