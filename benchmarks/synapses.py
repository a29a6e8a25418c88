"""Synapses that blank out: this library's ways to sample them, masks in torch, and the machine's limit.

A job is S samples of B images by a synaptic sampling machine (``zoo.s2m``) with random weights. What a competitor
takes for it follows from its rate; where the job would take long, the rate is that of fewer images.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Run, Timing, affordable, alternate, fresh
from benchmarks.synapses_bound import Bound, measure_bound
from benchmarks.synapses_torch import WAYS_TO_DRAW, fastest_batch, sample
from spikebayes import ConfigError, Exact, Gaussian, Law, convert, predict
from spikebayes.network import Sampling
from spikebayes.nn import BlankOutLinear, zoo
from spikebayes.noise.bits import bernoulli_bits

WIDTHS = (784, 300, 300, 300, 10)
IMAGES, SAMPLES = 10_000, 100
LONGEST = 10.0  # a run that would take longer gets fewer images
MOST_PEER_ROWS = 64  # torch's masks are tried on a sixteenth of these first
EXACT, GAUSSIAN, LAW, MODULE = "exact", "gaussian", "law", "module"
SAMPLING: dict[str, Sampling] = {EXACT: Exact(), GAUSSIAN: Gaussian(), LAW: Law()}
DRAWING, ADDING, MULTIPLYING = "words drawn", "masked additions", "matrix products"


@dataclass(frozen=True, eq=False)
class Job:
    """What is sampled.

    Args:
        network: encoder, layers of synapses that blank out, a linear read-out.
        images: ``[B, K]`` in [-1, 1].
        samples: S of each.
    """

    network: nn.Sequential
    images: Tensor
    samples: int

    def take(self, rows: int) -> Job:
        """The same for the first images only."""
        return replace(self, images=self.images[:rows])

    @property
    def layers(self) -> list[BlankOutLinear]:
        return [layer for layer in self.network if isinstance(layer, BlankOutLinear)]

    @property
    def synapses(self) -> int:
        """Draws that one sample of an image needs."""
        return sum(layer.weight.numel() for layer in self.layers)

    @property
    def products(self) -> int:
        """Multiplications that one sample of an image needs if units are drawn: all layers, and the read-out."""
        return sum(layer.weight.numel() for layer in self.network if isinstance(layer, BlankOutLinear | nn.Linear))

    @property
    def bits(self) -> int:
        """Random bits of one draw."""
        return bernoulli_bits(self.layers[0].keep)[0]


def job(rows: int = IMAGES, samples: int = SAMPLES, *, widths: tuple[int, ...] = WIDTHS, seed: int = 0) -> Job:
    """An untrained network and uniform images; torch's own generators are left as they are."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Job(zoo.s2m(widths[0], widths[-1], widths[1:-1]).eval(), torch.rand(rows, widths[0]) * 2 - 1, samples)


def prepare(name: str, given: Job) -> Run:
    """One of this library's ways: ``predict`` on the converted network, or on the module (by the law)."""
    model = given.network
    if name != MODULE:
        model = convert(given.network, given.images[:1], sampling=SAMPLING[name])
    return lambda: predict(model, given.images, samples=given.samples)


def synapses(
    rows: int = IMAGES,
    samples: int = SAMPLES,
    *,
    widths: tuple[int, ...] = WIDTHS,
    repeats: int = 5,
    seconds: float = LONGEST,
    seed: int = 0,
    bound: Callable[[int], Bound] = measure_bound,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Rates of all ways to sample one network, in alternation, on as many threads as torch is set to.

    Args:
        rows, samples: B and S of the job.
        widths: of the network's layers, inputs and outputs included.
        repeats: rounds.
        seconds: a competitor whose run takes longer gets fewer images.
        seed: of weights and images.
        bound: measures the machine's limit on a number of threads.
        say: told what is being done.

    Returns:
        For each competitor the images it was timed on, image-samples per second and the seconds that the job takes
        at this rate; ratios; what the machine could do in the same rounds.
    """
    whole, threads = job(rows, samples, widths=widths, seed=seed), torch.get_num_threads()
    say("synapses: the machine's limit")
    limit = bound(threads)
    few = whole.take(min(rows, MOST_PEER_ROWS))
    entrants: dict[str, tuple[Callable[[Job], Run], Job]] = {
        name: (lambda some, name=name: prepare(name, some), whole) for name in (*SAMPLING, MODULE)
    }
    batches = {name: fastest_batch(few.network, few.images[:1], samples, draw) for name, draw in WAYS_TO_DRAW.items()}
    for name, draw in WAYS_TO_DRAW.items():
        entrants[name] = (
            lambda some, draw=draw, batch=batches[name]: (
                lambda: sample(some.network, some.images, some.samples, draw, batch)
            ),
            few,
        )
    runs: dict[str, Run] = {}
    timed: dict[str, int] = {}
    for name, (make, some) in entrants.items():
        make(some.take(1))()  # compiles
        runs[name], timed[name], _ = affordable(make, some, len(some.images), seconds)
    say(f"synapses: timing {', '.join(runs)}")
    loops = {DRAWING: limit.drawing.run, ADDING: limit.adding.run, MULTIPLYING: limit.multiplying.run}
    timings = alternate(runs | loops, repeats)
    table = {name: _figures(whole, timed[name], timings[name]) for name in runs}
    for name, batch in batches.items():
        table[name]["batch"] = batch
    for name in (EXACT, *batches):
        table[name]["draws_per_second"] = whole.synapses * table[name]["image_samples_per_second"]
    return {
        "network": "-".join(map(str, widths)),
        "keep": whole.layers[0].keep,
        "rows": rows,
        "samples": samples,
        "threads": threads,
        "synapses": whole.synapses,
        "competitors": table,
        **_ratios(table, list(batches)),
        "bound": _against(whole, limit, timings, timed),
    }


def memory(rows: int, samples: int, threads: int) -> dict[str, Any]:
    """Bytes at the peak of the whole exact job in a process of its own, and before it; its seconds there.

    Nothing else runs meanwhile, and the process samples with a seed of 0.
    """
    options = {"rows": rows, "samples": samples, "threads": threads}
    try:
        arguments = [f"--{key}={value}" for key, value in options.items()]
        return fresh("-m", "benchmarks.child", "synapses", *arguments)[0]
    except ConfigError as error:
        return {"failed": str(error)}


def _figures(whole: Job, rows: int, timing: Timing) -> dict[str, Any]:
    rate = rows * whole.samples / timing.median
    return {
        "rows": rows,
        "seconds": timing.figures(),
        "image_samples_per_second": rate,
        "job_seconds": len(whole.images) * whole.samples / rate,
        "extrapolated": rows < len(whole.images),
    }


def _ratios(table: Mapping[str, Mapping[str, Any]], peers: list[str]) -> dict[str, Any]:
    """How often each way's rate is another's; torch's is that of its faster masks."""
    rates = {name: figures["image_samples_per_second"] for name, figures in table.items()}
    fastest = max(peers, key=rates.__getitem__)
    return {
        "fastest_torch": fastest,
        "ratios": {
            "exact_over_torch": rates[EXACT] / rates[fastest],
            "law_over_exact": rates[LAW] / rates[EXACT],
            "law_over_torch": rates[LAW] / rates[fastest],
        },
    }


def _against(whole: Job, limit: Bound, timings: Mapping[str, Timing], timed: Mapping[str, int]) -> dict[str, Any]:
    """Exact and law against their bounds: medians over rounds, bound and time both of one round."""
    words, adds, products = (timings[name].rounds for name in (DRAWING, ADDING, MULTIPLYING))
    paces = [
        (limit.drawing.amount / a, limit.adding.amount / b, limit.multiplying.amount / c)
        for a, b, c in zip(words, adds, products, strict=True)
    ]
    drawn = whole.synapses * whole.bits / 32  # words of a sample of an image

    def share(name: str, least: list[float]) -> float:
        pairs = timed[name] * whole.samples
        return statistics.median(pairs * s / t for s, t in zip(least, timings[name].rounds, strict=True))

    drawing = [drawn / pace[0] for pace in paces]
    adding = [whole.synapses / pace[1] for pace in paces]
    multiplying = [whole.products / pace[2] for pace in paces]
    job_size = len(whole.images) * whole.samples
    return {
        **limit.figures(),
        "word_rate": statistics.median(pace[0] for pace in paces),
        "add_rate": statistics.median(pace[1] for pace in paces),
        "product_rate": statistics.median(pace[2] for pace in paces),
        "drawing_seconds": job_size * statistics.median(drawing),
        "adding_seconds": job_size * statistics.median(adding),
        "multiplying_seconds": job_size * statistics.median(multiplying),
        "exact_fraction": share(EXACT, [a + b for a, b in zip(drawing, adding, strict=True)]),
        "law_fraction": share(LAW, multiplying),
    }
