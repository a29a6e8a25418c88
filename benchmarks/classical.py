"""``predict`` on a torch module against a plain loop of Monte Carlo dropout passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import Timing, alternate, clock
from spikebayes import predict
from spikebayes.nn import SoftLIF, zoo

WIDTHS = (784, 512, 512, 10)
DROPOUT = 0.1
BATCH = 1000  # rows of a plain pass, if that is faster than all rows
SHARE = 5  # the loop runs a fifth of the samples: its passes are all alike
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"SoftLIF": SoftLIF, "ReLU": nn.ReLU}


def classical(rows: int = 10_000, samples: int = 100, repeats: int = 5) -> dict[str, Any]:
    """Seconds that S samples of B rows take, by ``predict`` and by the loop, in alternation.

    The loop is what one writes without this library: ``model.train()``, no gradient, one pass per sample over all
    rows or over batches of 1,000, whichever is faster. Both run on as many threads as torch is set to.

    Args:
        rows, samples: B and S.
        repeats: rounds of each.

    Returns:
        For each activation the seconds of both, and how many times faster ``predict`` is, by medians; ``ratio`` is
        the smaller of these.
    """
    x = torch.randn(rows, WIDTHS[0], generator=torch.Generator().manual_seed(0))
    raced = {
        name: _race(zoo.mlp(WIDTHS[0], WIDTHS[-1], WIDTHS[1:-1], DROPOUT, activation=activation), x, samples, repeats)
        for name, activation in ACTIVATIONS.items()
    }
    return {
        "network": "-".join(map(str, WIDTHS)),
        "dropout": DROPOUT,
        "rows": rows,
        "samples": samples,
        "threads": torch.get_num_threads(),
        "activations": raced,
        "ratio": min(entry["ratio"] for entry in raced.values()),
    }


def _race(model: nn.Module, x: Tensor, samples: int, repeats: int) -> dict[str, Any]:
    passes = max(1, samples // SHARE)
    seconds = {size: min(clock(lambda b=size: loop(model, x, 1, b)) for _ in range(3)) for size in (BATCH, len(x))}
    batch = min(seconds, key=seconds.__getitem__)
    runs = {"predict": lambda: predict(model, x, samples=samples), "loop": lambda: loop(model, x, passes, batch)}
    timings = alternate(runs, repeats)
    plain = Timing(tuple(round_ * samples / passes for round_ in timings["loop"].rounds))
    return {
        "predict_seconds": timings["predict"].figures(),
        "loop_seconds": plain.figures(),
        "loop_passes_timed": passes,
        "loop_batch": min(batch, len(x)),
        "ratio": plain.median / timings["predict"].median,
    }


@torch.no_grad()
def loop(model: nn.Module, x: Tensor, samples: int, batch: int) -> Tensor:
    """``[S, B, C]`` by Monte Carlo dropout as usual."""
    model.train()
    return torch.stack([torch.cat([model(part) for part in x.split(batch)]) for _ in range(samples)])
