"""The page's tables of a network in every form, and of what it asks of hardware."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikebayes.evaluate import HARDWARE
from studies.results import markdown_table
from studies.whetstone2018.figures import recipes, title
from studies.whetstone2018.judging import LOOKED
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.words import mean, missed

SAME = 99.9  # per cent of rows that whole numbers must put in the same class


def agreement(found: dict[str, Any]) -> list[str]:
    forms = {
        "spiking": "converted",
        "folding": "folded",
        "winner_take_all": "winner-take-all",
        "whole_numbers": "whole numbers",
    }
    rows, more, short = [], [], []
    for name, judged in found["judged"].items():
        total = sum(one["rows"] for one in judged)
        other = {form: sum(one["other_classes"][form] for one in judged) for form in forms}
        same = 100 * (1 - other["whole_numbers"] / total)
        short += [title(name)] if missed(same - SAME) else []
        binary = sum(one["not_binary"] for one in judged)
        rows.append([title(name), f"{total:,}", *(f"{n:,}" for n in other.values()), f"{same:.3f}", f"{binary:,}"])
        whole, r = [one["whole_numbers"] for one in judged], recipes(found)[name]
        units = len(judged) * (sum(c for c, _, _ in r.convolutions) + sum(r.hidden) + r.width)
        more.append(
            [
                title(name),
                f"{whole[0]['bits']}",
                f"{whole[0]['levels']:,}",
                f"{max(w['largest_sum'] for w in whole):,}",
                f"{max(max(w['constant_synapses'].values()) for w in whole):,}",
                f"{sum(sum(one['dead']) for one in judged):,} of {units:,}",
                f"{_revived(found, name, ORIGINAL):,} / {_revived(found, name, SPIKING):,}",
            ]
        )
    header = ["network", "rows", *forms.values(), "whole numbers, same (%)", "activations not 0 or 1"]
    every = [one for judged in found["judged"].values() for one in judged]
    return [
        "## The same network in every form: rows whose class differs",
        "Rows are test rows, of all seeds together. Converted: threshold neurons in one time step against the torch "
        "module with its batch norms folded. Folded: that module against the one that was trained. Winner-take-all: "
        "with two more layers of neurons, one spike for the class. Whole numbers: weights, thresholds and sums are "
        "whole numbers.",
        markdown_table(header, rows),
        " ".join(
            [
                _converted(every),
                _winners(every),
                f"Whole numbers give the same class for at least {SAME:g} % of the rows (the bar) "
                + (f"but for: {', '.join(short)}." if short else "with every network."),
            ]
        ),
        markdown_table(
            [
                "network",
                "bits",
                "levels of an input",
                "largest sum",
                "most constant synapses of a neuron",
                "dead units",
                "drawn anew: original / spiking",
            ],
            more,
        ),
        f"Dead: units of the spiking networks with the same output on the first {LOOKED:,} test rows. Drawn anew: "
        "dead units that training replaced, over all epochs and seeds; the shared epochs count in both.",
    ]


def _converted(every: Sequence[dict[str, Any]]) -> str:
    other, binary = sum(one["other_classes"]["spiking"] for one in every), sum(one["not_binary"] for one in every)
    total = sum(one["rows"] for one in every)
    same = (
        f"Torch and the spiking network agree on all {total:,} rows"
        if not other
        else f"Torch and the spiking network differ on {other:,} of {total:,} rows"
    )
    exact = "every activation is exactly 0 or 1" if not binary else f"{binary:,} activations are neither 0 nor 1"
    return f"{same}; {exact}."


def _winners(every: Sequence[dict[str, Any]]) -> str:
    counts = sorted({count for one in every for count in one["spikes_per_winner"]})
    if counts == [1]:
        return "The winner-take-all gives exactly one spike for every row."
    return f"The winner-take-all gives {', '.join(f'{count:g}' for count in counts)} spikes a row, not always one."


def _revived(found: dict[str, Any], name: str, kind: str) -> int:
    return sum(sum(layers) for one in found["training"][name] for layers in one[kind]["revived"])


def hardware(found: dict[str, Any]) -> list[str]:
    names = list(next(iter(found["judged"].values()))[0]["demand"]["excesses"])
    rows = []
    for name, judged in found["judged"].items():
        needed = judged[0]["demand"]
        spikes = mean([sum(one["spikes"].values()) for one in judged])
        rows.append(
            [
                title(name),
                f"{needed['neurons']:,}",
                f"{needed['fan_in']:,}",
                f"{needed['synapses']:,}",
                f"{spikes:,.0f} ({100 * spikes / needed['neurons']:.1f} %)",
                *("; ".join(needed["excesses"][limits]) or "fits" for limits in names),
            ]
        )
    limits = [
        f"{known.name}: {known.neurons:,} neurons, fan-in {known.fan_in:,} ({known.source})"
        for known in HARDWARE
        if known.name in names
    ]
    return [
        "## Hardware requirements",
        "Neurons, the largest number of synapses into one of them, and all synapses; spikes of a test row, mean over "
        "rows and seeds, and their share of the neurons; then what goes beyond each limit. A layer is named after "
        "its place in the module.",
        markdown_table(["network", "neurons", "fan-in", "synapses", "spikes a row", *names], rows),
        "Limits: " + "; ".join(limits) + ".",
    ]
