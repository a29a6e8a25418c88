"""What a sharpened network has become: the same classes as spikes, as whole numbers, and what it asks of hardware."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikebayes import SpikingNetwork, convert, folded, integers, simulate
from spikebayes.evaluate import HARDWARE, demand
from spikebayes.nn import Sharpened, WinnerTakeAll
from spikebayes.training import dead_units
from studies.whetstone2018.images import Rows
from studies.whetstone2018.learning import BATCH, ORIGINAL, SPIKING, rows, trained
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.truenorth import priced

TRUENORTH_LIMITS = next(limits for limits in HARDWARE if limits.name.startswith("TrueNorth"))
LOOKED = 1000  # test rows that show which units are dead


def spiking(net: nn.Module, x: Tensor) -> SpikingNetwork:
    """The network of threshold neurons of a sharpened module, for rows like ``x``."""
    return convert(net, x[:1])


def one_step(
    network: SpikingNetwork, x: Tensor, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, dict[str, Tensor]]:
    """Read-out ``[B, C]`` after one time step a row, and spikes ``[B]`` of every population."""
    run = simulate(network, x, samples=1, steps=1, dtype=dtype)
    return run.mean[0], {name: counts[0] for name, counts in run.counts.items()}


@torch.no_grad()
def outputs(net: nn.Module, x: Tensor) -> Tensor:
    """``[B, C]`` of a module."""
    return torch.cat([net(part) for part in x.split(BATCH)])


def judge(recipe: Recipe, data: Rows, home: Path) -> dict[str, Any]:
    """Accuracies of the original and the spiking network in every form, and where the forms disagree."""
    shape, classes = tuple(data.x.shape[1:]), len(data.classes)
    x, y = rows(recipe, data.x_test), data.y_test
    original, sharpened = (trained(recipe, shape, classes, home / kind) for kind in (ORIGINAL, SPIKING))
    plain, dead = outputs(sharpened, x), dead_units(sharpened, x[:LOOKED])
    settled = folded(sharpened)
    network = spiking(settled, x)
    read, spikes = one_step(network, x)
    expected = outputs(settled, x)
    winners, _ = one_step(spiking(nn.Sequential(settled, WinnerTakeAll(classes)), x), x)
    whole = _whole(network, x, recipe.levels)
    needed = demand(network)
    fits = recipe.convolutions and recipe.inputs != "current" and not needed.excesses(TRUENORTH_LIMITS)
    return {
        "rows": len(y),
        "original": _share(outputs(original, x).argmax(1), y),
        "sharpened": _share(plain.argmax(1), y),
        "spiking": _share(read.argmax(1), y),
        "winner_take_all": _share(winners.argmax(1), y),
        "other_classes": {
            "spiking": _other(expected, read),
            "folding": _other(plain, expected),
            "winner_take_all": _other(read, winners),
            "whole_numbers": _other(read, whole.pop("read")),
        },
        "spikes_per_winner": sorted(set(winners.sum(1).tolist())),
        "not_binary": not_binary(settled, x),
        "dead": dead,
        "whole_numbers": whole,
        "spikes": {name: float(count.double().mean()) for name, count in spikes.items()},
        "demand": {
            "neurons": needed.neurons,
            "fan_in": needed.fan_in,
            "synapses": needed.synapses,
            "layers": [asdict(layer) for layer in needed.layers],
            "excesses": {limits.name: needed.excesses(limits) for limits in HARDWARE},
        },
        "parameters": sum(p.numel() for p in sharpened.parameters()),
        **({"truenorth": priced(recipe, network, x)} if fits else {}),
    }


def accuracies_of(recipe: Recipe, data: Rows, home: Path) -> dict[str, Any]:
    """Test accuracies of the original and the spiking network, and nothing else."""
    shape, classes = tuple(data.x.shape[1:]), len(data.classes)
    x, y = rows(recipe, data.x_test), data.y_test
    original, sharpened = (trained(recipe, shape, classes, home / kind) for kind in (ORIGINAL, SPIKING))
    read, _ = one_step(spiking(folded(sharpened), x), x)
    return {
        "rows": len(y),
        "original": _share(outputs(original, x).argmax(1), y),
        "spiking": _share(read.argmax(1), y),
    }


def _whole(network: SpikingNetwork, x: Tensor, levels: int) -> dict[str, Any]:
    made = integers(network, bits=8, levels=levels, largest_input=max(1.0, float(x.abs().max())))
    read, _ = one_step(made.network, made.inputs(x), made.dtype)
    return {
        "read": read,
        "bits": made.bits,
        "levels": levels,
        "largest_sum": max(made.largest.values()),
        "constant_synapses": made.constants,
    }


@torch.no_grad()
def not_binary(net: nn.Module, x: Tensor) -> int:
    """How many activations over all rows are neither 0 nor 1."""
    found = torch.zeros((), dtype=torch.int64)

    def look(_module: nn.Module, _inputs: Any, y: Tensor) -> None:
        found.add_(((y != 0) & (y != 1)).sum())

    hooks = [m.register_forward_hook(look) for m in net.modules() if isinstance(m, Sharpened)]
    outputs(net, x)
    for hook in hooks:
        hook.remove()
    return int(found)


def _share(predicted: Tensor, y: Tensor) -> float:
    return float((predicted == y).double().mean())


def _other(a: Tensor, b: Tensor) -> int:
    """Rows whose class differs."""
    return int((a.argmax(1) != b.argmax(1)).sum())
