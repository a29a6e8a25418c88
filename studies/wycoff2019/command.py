"""The study from data to results/wycoff2019.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch

from spikebayes import energy
from spikebayes.data.combo import ComboData, SplitBy, load_almanac, load_benchmark
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.stages import Stages
from studies.wycoff2019 import learning
from studies.wycoff2019.decisions import decisions
from studies.wycoff2019.figures import figures
from studies.wycoff2019.methods import Bench, Method, fitting_filters
from studies.wycoff2019.page import render
from studies.wycoff2019.parts import parts
from studies.wycoff2019.protocols import output_trace, protocol
from studies.wycoff2019.redraws import chosen as chosen_redraw
from studies.wycoff2019.redraws import neighbours, redraws
from studies.wycoff2019.search import candidates, chosen, search
from studies.wycoff2019.settings import PUBLISHED, Settings
from studies.wycoff2019.windows import chosen as chosen_code
from studies.wycoff2019.windows import windows

Source = Literal["almanac", "benchmark"]
PAPER = Method("as the paper: Alpha 20 ms, 300 steps, 200 left out")
NAME = "wycoff2019"


def run_wycoff2019(
    data: Path,
    results: Path,
    docs: Path,
    work: Path,
    *,
    source: Source = "almanac",
    settings: Settings = PUBLISHED,
    seed: int = 0,
    progress: bool = True,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Run every stage that is not done yet; write the JSON file, the figures and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. docs: folder for the page and its figures.
        work: folder for what is kept on the way.
        source: NCI-ALMANAC's scores, or the original benchmark's files.
        settings: sizes and budgets.
        seed: of the split, the training, and the first of three mask seeds.
        progress: show progress bars.
        say: is told the stages.

    Returns:
        What the JSON file holds.

    Raises:
        DataError: files that are missing or that contradict one another.
        StoreError: a stage that is torn.
    """
    origin, started = provenance(f"python -m studies.{NAME}", seed), time.perf_counter()
    load = partial(load_almanac if source == "almanac" else load_benchmark, data)
    pairs = load()
    task = learning.Task.prepare(pairs, seed)
    loading = time.perf_counter() - started
    key = {"source": source, "rows": len(pairs), "seed": seed, "learning": asdict(settings.learning)}
    learned = Stages(work / "learning", key, origin["commit"], say)
    judged = _Judging(work / "judging", key | {"settings": asdict(settings)}, origin["commit"], say)
    judged.weights = learned.folder / learning.weights_of(SplitBy.RANDOM, seed)
    task.split.save(learned.folder / "split.json")
    found = {"data": task.describe(), **_learn(task, load, learned, settings, seed, progress=progress)}

    net = learning.trained(task, settings.learning, seed, learned.folder)
    noisy = learning.trained(task, settings.learning, seed, learned.folder, learning.WITH_NOISE)
    found |= _judge(Bench(task, net, seed, progress), noisy, judged, settings)

    stages = {"data": {"seconds": loading}, **learned.told(), **judged.told()}
    commits = list(dict.fromkeys([*learned.commits(), *judged.commits()]))
    origin |= {"settings": asdict(settings), "source": source, "commits": commits}
    found = {**origin, "seconds": sum(told["seconds"] for told in stages.values()), "stages": stages, **found}
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _learn(
    task: learning.Task,
    load: Callable[[], ComboData],
    stages: Stages,
    settings: Settings,
    seed: int,
    *,
    progress: bool,
) -> dict[str, Any]:
    """All trainings, two at a time: the random split's first is the one that is judged."""
    sizes, folder = settings.learning, stages.folder
    trainings = [(SplitBy.RANDOM, seed + k) for k in range(sizes.seeds)]
    trainings += [(by, seed) for by in SplitBy if by is not SplitBy.RANDOM]
    jobs = {
        (by, drawn): Job(
            stages,
            learning.stage_of(by, drawn),
            learning.learned,
            (load, by, sizes, seed, drawn, folder),
            (folder / learning.weights_of(by, drawn),),
        )
        for by, drawn in trainings
    }
    made = side_by_side(jobs, torch.get_num_threads())
    net = learning.trained(task, sizes, seed, folder)
    noise = stages.run(
        "training with noise",
        lambda: learning.train_with_noise(task, net, sizes, seed, folder, progress=progress),
        lambda: (folder / learning.WITH_NOISE,),
    )
    splits = {by.value: made[by, seed] for by in SplitBy}
    return {
        **splits[SplitBy.RANDOM.value],
        "seeds": [made[SplitBy.RANDOM, seed + k]["accuracy"]["test"] for k in range(sizes.seeds)],
        "splits": {
            by: {"accuracy": found["accuracy"]["test"], "trees": found["trees"]} for by, found in splits.items()
        },
        "training_with_noise": noise,
    }


class _Judging(Stages):
    """All of whose stages judge the same weights."""

    weights: Path

    def run(self, name: str, work: Callable[[], dict[str, Any]], weights: Any = None) -> dict[str, Any]:
        return super().run(name, work, weights or (lambda: (self.weights,)))


def _judge(bench: Bench, noisy: Any, stages: Stages, s: Settings) -> dict[str, dict[str, Any]]:
    tried = candidates(bench, noisy)
    found = {"search": stages.run("search", lambda: search(bench, tried, s.probe_rows, s.probe_samples))}
    fast = chosen(found["search"], tried) or PAPER
    found["windows"] = stages.run("windows", lambda: windows(bench, s.window_rows, s.window_samples))
    coded = chosen_code(found["windows"])
    found["redraws"] = stages.run("redraws", lambda: redraws(bench, s.redraw_rows, s.redraw_samples, fast))
    redrawn = chosen_redraw(found["redraws"], fast)
    fitting = fitting_filters(bench)
    methods = {"paper": PAPER, "fitting": fitting, "fewest": fast}
    methods |= {name: m for name, m in (("redrawn", redrawn), ("windows", coded)) if m is not None}

    found["trace"] = stages.run("figure 3", lambda: output_trace(bench, PAPER, s.trace_steps))
    found["trace_fitting"] = stages.run(
        "figure 3, filters that fit", lambda: output_trace(bench, fitting, s.trace_steps)
    )
    found["trace_fewest"] = stages.run("figure 3, fewest steps", lambda: output_trace(bench, fast, fast.steps))
    for name, method in methods.items():
        rows, samples = s.few_rows, s.few_samples
        found[f"few_{name}"] = stages.run(
            f"figure 2, {name}", lambda m=method, r=rows, k=samples: protocol(bench, m, r, k, keep_worst=True)
        )
        rows, samples = s.many_rows, s.forward_steps
        found[f"many_{name}"] = stages.run(
            f"100 rows, {name}", lambda m=method, r=rows, k=samples: protocol(bench, m, r, k)
        )
    found["parts"] = stages.run("parts", lambda: parts(bench, s.probe_rows // 2, s.probe_samples // 2, s.longest))
    found["energy"] = stages.run("energy", lambda: _energy(bench, methods, s))
    if redrawn is not None:
        found["neighbours"] = stages.run(
            "neighbours", lambda: neighbours(bench, redrawn, s.redraw_rows, s.redraw_samples)
        )
    large, larger = (s.large_rows, s.large_samples), (s.larger_rows, s.larger_samples)
    for name, (rows, samples) in {"redrawn": larger, "fewest": larger, "windows": large}.items():
        if name in methods:
            found[f"large_{name}"] = stages.run(
                f"large test, {name}",
                lambda m=methods[name], r=rows, k=samples: protocol(bench, m, r, k, keep_worst=True),
            )
    found["scored"] = stages.run("accuracy of spikes", lambda: _scored(bench, methods, s))
    found["decisions"] = stages.run("decisions", lambda: decisions(bench, coded or fast, s))
    return found


def _scored(bench: Bench, methods: dict[str, Method], s: Settings) -> dict[str, Any]:
    """How well spikes predict all scored test rows, and in what time."""
    found, samples = {}, s.scored_samples
    for name, rows in {"windows": s.learning.scored, "fewest": s.scored_rows}.items():
        if name not in methods:
            continue
        which = bench.task.split.test[:rows]
        truth = bench.task.data.target[which, 0].numpy()
        started = time.process_time()
        spiking = bench.spiking(methods[name], which, samples)
        seconds, started = time.process_time() - started, time.process_time()
        classical = bench.classical(which, samples)
        found[name] = {
            "samples": samples,
            "rows": len(which),
            "processor_seconds": seconds,
            "classical_processor_seconds": time.process_time() - started,
            "spiking": learning.scores(truth, bench.in_units(spiking)),
            "classical": learning.scores(truth, bench.in_units(classical)),
        }
    return found


def _energy(bench: Bench, methods: dict[str, Method], s: Settings) -> dict[str, Any]:
    """Counts and joules of each method on a few rows; the classical passes are the same for all."""
    rows = bench.rows(s.energy_rows)
    found = {}
    for name, method in methods.items():
        timing = method.sampling()
        timing.pop("window", None)
        made = energy(
            bench.network(method),
            bench.inputs(rows),
            samples=s.energy_samples,
            **timing,
            seed=bench.seed,
            rows=rows,
            model=bench.net,
        )
        found[name] = {"method": method.describe(), **made.to_dict()}
    return found
