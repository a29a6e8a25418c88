"""Networks of threshold units: this engine with float and with 8-bit weights, the torch module, the machine's limit.

The networks are those of the Whetstone study with random weights and all activations steps, on random images; batch
norm has seen some. Work is counted as if every unit spiked: a product for each synapse of each unit.
"""

from __future__ import annotations

import copy
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Run, Timing, affordable, alternate
from benchmarks.roofline import Loop, fastest
from benchmarks.synapses_bound import product_loop
from spikebayes import SpikingNetwork, convert, folded, simulate
from spikebayes.network import Operator, size
from spikebayes.nn import Sharpened, zoo
from studies.whetstone2018.settings import RECIPES

NETWORKS: dict[str, tuple[str, tuple[int, ...]]] = {  # recipe and shape of a row
    "DNN": ("stpu_dnn", (784,)),
    "CNN restricted": ("cnn_restricted", (1, 28, 28)),
    "CNN unrestricted": ("cnn_unrestricted", (1, 28, 28)),
    "VGG": ("cifar_cnn", (3, 32, 32)),
}
IMAGES = 10_000
LONGEST = 10.0  # a run that would take longer gets fewer images
BATCH = 256  # images that the torch module takes at a time
CHECKED = 32  # images on which the reference engine runs too
FLOAT, INTEGER, TORCH, LAST = "float", "integer", "torch", "torch_channels_last"
FLOAT_PRODUCTS, INTEGER_PRODUCTS = "float products", "integer products"
SIZES = ((256, 784, 512), (256, 4096, 512), (1024, 1024, 1024))  # of matrix products
AMOUNT = 1 << 30  # products of one run of a loop
LEVELS = 127


@dataclass(frozen=True, eq=False)
class Job:
    """What is classified.

    Args:
        module: all of whose activations are steps, batch norms folded into its layers.
        images: ``[B, *shape]`` in [0, 1].
    """

    module: nn.Module
    images: Tensor

    def take(self, rows: int) -> Job:
        """The same for the first images only."""
        return replace(self, images=self.images[:rows])

    def network(self) -> SpikingNetwork:
        return convert(self.module, self.images[:1])


def job(name: str, rows: int = IMAGES, seed: int = 0) -> Job:
    """One of ``NETWORKS``; torch's own generators are left as they are."""
    recipe, shape = RECIPES[NETWORKS[name][0]], NETWORKS[name][1]
    sizes = {key: getattr(recipe, key) for key in ("convolutions", "padding", "hidden", "width", "scale")}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        module = zoo.sharpened(shape, 10, **sizes)
        images = torch.rand(rows, *shape)
        for part in module:
            if isinstance(part, Sharpened):
                part.sharpen(1.0)
            elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
                part.momentum = None  # all that it sees counts
        for _ in range(2):
            module(torch.rand(32, *shape))
    return Job(folded(module), images)


def of_8_bits(network: SpikingNetwork) -> SpikingNetwork:
    """All weights as integers within +- 127 times a power of two, one for each operator: exact in any order."""

    def rounded(operator: Operator) -> Operator:
        new = {}
        for part in operator.parts:
            if part.weight is not None:
                peak = float(part.weight.abs().max())
                step = 2.0 ** math.ceil(math.log2(peak / LEVELS)) if peak > 0 else 1.0
                new[part] = part.with_weight((part.weight / step).round() * step)
        return operator.replaced(new)

    made = tuple(replace(c, operator=rounded(c.operator)) for c in network.connections)
    return replace(network, connections=made)


def products(network: SpikingNetwork) -> tuple[int, int]:
    """Products that an image takes: with the inputs, and with spikes."""
    counts = [0, 0]
    inputs = {i.name for i in network.inputs}
    for c in network.connections:
        if rows := c.operator.weight_rows():
            weight = rows.weight
            counts[c.source not in inputs] += weight.numel() * size(network.shape(c.target)) // len(weight)
    return counts[0], counts[1]


def integer_loop(rows: int, inner: int, columns: int, amount: int) -> Loop:
    """torch's product of two matrices of 8-bit integers, on all its threads."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(0, 2, (rows, inner), generator=generator).to(torch.int8)
    b = torch.randint(-LEVELS, LEVELS + 1, (inner, columns), generator=generator).to(torch.int8)
    out = torch.empty(rows, columns, dtype=torch.int32)
    times = max(1, amount // (rows * inner * columns))

    def run() -> None:
        for _ in range(times):
            torch._int_mm(a, b, out=out)  # pyright: ignore[reportPrivateImportUsage]

    setting = {"rows": rows, "inner": inner, "columns": columns}
    return Loop(run, rows * inner * columns * times, setting)


def thresholds(
    rows: int = IMAGES,
    *,
    names: Sequence[str] = tuple(NETWORKS),
    sizes: Sequence[tuple[int, int, int]] = SIZES,
    amount: int = AMOUNT,
    repeats: int = 5,
    seconds: float = LONGEST,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Rates of all networks, competitors in alternation, on as many threads as torch is set to.

    Args:
        rows: images.
        names: of ``NETWORKS``.
        sizes, amount: of the matrix products that give the limit, and how many products one run of them is.
        repeats: rounds.
        seconds: a competitor whose run takes longer gets fewer images.
        seed: of weights and images.
        say: told what is being done.

    Returns:
        For each network and competitor the images it was timed on, images and products per second; ratios to torch's
        faster layout; the share of classes that agree; the limit.
    """
    say("thresholds: the machine's limit")
    loops = {
        FLOAT_PRODUCTS: fastest((product_loop(*s, amount) for s in sizes), repeats)[1],
        INTEGER_PRODUCTS: fastest((integer_loop(*s, amount) for s in sizes), repeats)[1],
    }
    return {
        "rows": rows,
        "threads": torch.get_num_threads(),
        "batch": BATCH,
        "loops": {name: loop.setting for name, loop in loops.items()},
        "networks": {name: _raced(name, rows, loops, repeats, seconds, seed, say) for name in names},
    }


def _raced(
    name: str,
    rows: int,
    loops: Mapping[str, Loop],
    repeats: int,
    seconds: float,
    seed: int,
    say: Callable[[str], None],
) -> dict[str, Any]:
    whole = job(name, rows, seed)
    network = whole.network()
    eight = of_8_bits(network)
    entrants: dict[str, Callable[[Job], Run]] = {
        FLOAT: lambda some: lambda: classes(network, some.images),
        INTEGER: lambda some: lambda: classes(eight, some.images),
        TORCH: lambda some: lambda: module_classes(some.module, some.images),
    }
    if len(whole.images.shape) == 4:
        last = copy.deepcopy(whole.module).to(memory_format=torch.channels_last)  # pyright: ignore
        entrants[LAST] = lambda some: lambda: module_classes(last, some.images, torch.channels_last)
    runs: dict[str, Run] = {}
    timed: dict[str, int] = {}
    for entrant, make in entrants.items():
        make(whole.take(BATCH))()
        runs[entrant], timed[entrant], _ = affordable(make, whole, rows, seconds)
    say(f"thresholds, {name}: timing {', '.join(runs)}")
    timings = alternate(runs | {n: loop.run for n, loop in loops.items()}, repeats)
    with_inputs, with_spikes = products(network)
    rates = {n: timed[n] / timings[n].median for n in runs}
    peer = max(rates[n] for n in (TORCH, LAST) if n in rates)
    table = {
        n: {
            "rows": timed[n],
            "seconds": timings[n].figures(),
            "images_per_second": rates[n],
            "products_per_second": rates[n] * (with_inputs + with_spikes),
            "ratio": rates[n] / peer,
            "of_limit": _share(with_inputs, with_spikes, timed[n], loops, timings, n),
        }
        for n in runs
    }
    few = whole.take(CHECKED)
    mine, theirs = classes(network, few.images), module_classes(few.module, few.images)
    return {
        "neurons": network.neurons,
        "products_with_inputs": with_inputs,
        "products_with_spikes": with_spikes,
        "competitors": table,
        "float_rate": _pace(loops, timings, FLOAT_PRODUCTS),
        "integer_rate": _pace(loops, timings, INTEGER_PRODUCTS),
        "as_torch": float((mine == theirs).double().mean()),
        "as_reference": torch.equal(_outputs(network, few.images, "cpu"), _outputs(network, few.images, "reference")),
    }


def classes(network: SpikingNetwork, images: Tensor) -> Tensor:
    """``[B]``, by this engine."""
    return _outputs(network, images, "cpu").argmax(1)


@torch.inference_mode()
def module_classes(module: nn.Module, images: Tensor, layout: torch.memory_format | None = None) -> Tensor:
    """``[B]``, by the torch module, batch by batch."""
    batches = (x if layout is None else x.contiguous(memory_format=layout) for x in images.split(BATCH))
    return torch.cat([module(x).argmax(1) for x in batches])


def _outputs(network: SpikingNetwork, images: Tensor, engine: str) -> Tensor:
    return simulate(network, images, steps=1, engine=engine).mean[0]


def _pace(loops: Mapping[str, Loop], timings: Mapping[str, Timing], name: str) -> float:
    return loops[name].amount / timings[name].median


def _share(
    with_inputs: int, with_spikes: int, rows: int, loops: Mapping[str, Loop], timings: Mapping[str, Timing], name: str
) -> float:
    """Least time / time, the median over rounds: float products with the inputs, one 8-bit product with spikes."""
    paced = (timings[n].rounds for n in (FLOAT_PRODUCTS, INTEGER_PRODUCTS, name))
    each = with_inputs / loops[FLOAT_PRODUCTS].amount, with_spikes / loops[INTEGER_PRODUCTS].amount
    return statistics.median(rows * (each[0] * a + each[1] * b) / t for a, b, t in zip(*paced, strict=True))
