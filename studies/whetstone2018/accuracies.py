"""The page's table of accuracies, and this project's bars."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from studies.claims import share_error
from studies.results import markdown_table
from studies.whetstone2018.figures import recipes, title
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.settings import VARIANTS
from studies.whetstone2018.words import capital, mean, missed, ranged

PUBLISHED = {  # test accuracy, per cent: the slides, or Whetstone's paper
    "stpu_dnn": "97.3 -> 97.3",
    "stpu_cnn": "97.1 -> 94.9",
    "cnn_restricted": "98.5 -> 97.3",
    "cnn_unrestricted": "99.1 -> 98.5",
    "fashion_cnn": "paper: 93.2 spiking",
    "cifar_cnn": "1 to 2 points lost; paper: 84.7 spiking",
    "jasper_dnn": "98.2 -> 97.7, on another set",
}


@dataclass(frozen=True)
class Bar:
    """What this project asks of a network: spiking accuracy and points lost by sharpening, per cent."""

    spiking: float | None = None
    lost: float | None = None


BARS = {
    "stpu_dnn": Bar(98.3, 0.3),
    "stpu_cnn": Bar(97.1, 0.3),
    "cnn_restricted": Bar(98.5, 0.3),
    "cnn_unrestricted": Bar(99.4, 0.3),
    "fashion_cnn": Bar(93.2),
    "cifar_cnn": Bar(85.0, 1.5),
    "jasper_dnn": Bar(lost=0.5),
}


def architecture(r: Recipe) -> str:
    """A network's layers in words.

    Example:
        >>> architecture(Recipe("mnist", convolutions=((8, 3, False), (8, 3, True)), hidden=(100,)))
        '8, 8 pooled maps of 3 x 3; dense 100; read-out of 100 units'
    """
    kernels = {kernel for _, kernel, _ in r.convolutions}
    parts = []
    if len(kernels) == 1:
        maps = ", ".join(f"{channels}{' pooled' if pooled else ''}" for channels, _, pooled in r.convolutions)
        parts += [f"{maps} maps of {min(kernels)} x {min(kernels)}"]
    else:
        parts += [f"{c} maps of {k} x {k}{', pooled' if pooled else ''}" for c, k, pooled in r.convolutions]
    parts += ["no padding"] if r.convolutions and r.padding == "valid" else []
    parts += [f"dense {', '.join(map(str, r.hidden))}"] if r.hidden else []
    parts += [f"permanent dropout {r.dropout:g}"] if r.dropout else []
    return "; ".join([*parts, f"read-out of {r.width} units"])


def accuracies(found: dict[str, Any]) -> list[str]:
    rows, linear = [], found.get("linear", {})
    for name, judged in found["judged"].items():
        if name in VARIANTS:
            continue
        rows.append(
            [
                title(name),
                architecture(recipes(found)[name]),
                f"{judged[0]['parameters']:,}",
                ranged(percent(judged, ORIGINAL)),
                ranged(percent(judged, SPIKING)),
                f"{lost(judged):+.2f}",
                PUBLISHED.get(name, "-"),
            ]
        )
        if name in linear:
            one = linear[name]
            share = f"{100 * one['test']:.2f}"
            rows.append([f"{title(name)}: logistic regression", "none", f"{one['parameters']:,}", share, *3 * ["-"]])
    header = ["network", "layers", "parameters", "original", "spiking", "points lost", "slides"]
    return [
        "## Test accuracy (%)",
        "Means over seeds, with the lowest and the highest. Spiking: the converted network of threshold neurons, one "
        "time step a row. The slides' figures are original -> spiking.",
        markdown_table(header, rows),
        *(_gain(found, name, one) for name, one in linear.items() if name in found["judged"]),
    ]


def _gain(found: dict[str, Any], name: str, one: dict[str, Any]) -> str:
    """What a network is worth beside logistic regression."""
    theirs, error = 100 * one["test"], 100 * share_error(one["test"], one["rows"])
    gains = []
    for which in (SPIKING, ORIGINAL):
        ours = mean(percent(found["judged"][name], which))
        gains.append(f"{ours - theirs:+.2f} +- {math.hypot(error, percent_error(found, name, which)):.2f}")
    return (
        f"Logistic regression on the same pixels, its penalty chosen on validation rows, has {theirs:.2f} +- "
        f"{error:.2f} %. {capital(title(name))} gains {gains[0]} points on it as spikes, and {gains[1]} as the "
        "original; these errors are at most so large, since all see the same rows."
    )


def bars(found: dict[str, Any]) -> list[str]:
    rows, count = [], dict.fromkeys(("met", "tied", "missed"), 0)
    for name, judged in found["judged"].items():
        bar = BARS.get(name, Bar())
        spiking = mean(percent(judged, SPIKING)), percent_error(found, name, SPIKING)
        line = [title(name)]
        for (value, error), asked, sign in (
            (spiking, bar.spiking, 1),
            ((lost(judged), lost_error(found, name)), bar.lost, -1),
        ):
            if asked is None:
                line += ["-", "-"]
                continue
            gap = sign * (value - asked)
            outcome = "missed" if missed(gap) else "tied" if gap < error else "met"
            count[outcome] += 1
            line += [f"{asked:g}", f"{outcome}, {'short' if missed(gap) else 'better'} by {_gap(gap)} +- {error:.2f}"]
        if bar != Bar():
            rows.append(line)
    if not rows:
        return []
    header = ["network", "spiking at least (%)", "", "points lost at most", ""]
    return [
        "This project's bars, for the means over seeds; met by less than a standard error (over test rows and seeds) "
        "counts as tied:",
        markdown_table(header, rows),
        f"{sum(count.values())} bars: {', '.join(f'{number} {outcome}' for outcome, number in count.items())}.",
    ]


def _gap(gap: float) -> str:
    return f"{abs(gap):.2f}" if abs(gap) >= 0.005 else "less than 0.01"


def percent(judged: Sequence[dict[str, Any]], which: str) -> list[float]:
    """Accuracy of every seed."""
    return [100 * one[which] for one in judged]


def percent_error(found: dict[str, Any], name: str, which: str) -> float:
    """Standard error of the mean over seeds, per cent: what seeds differ by, and the choice of test rows."""
    return mean_error(percent(found["judged"][name], which), found["rows"][recipes(found)[name].data]["test"])


def mean_error(values: Sequence[float], rows: int) -> float:
    """The same, of accuracies (per cent) on so many test rows."""
    seeds = statistics.variance(values) / len(values) if len(values) > 1 else 0.0
    return math.sqrt(seeds + (100 * share_error(mean(values) / 100, rows)) ** 2)


def lost(judged: Sequence[dict[str, Any]]) -> float:
    """Points of accuracy between the original and the spiking network, mean over seeds."""
    return mean(percent(judged, ORIGINAL)) - mean(percent(judged, SPIKING))


def lost_error(found: dict[str, Any], name: str) -> float:
    """Standard error of :func:`lost`, points; at most, since both networks see the same rows."""
    return math.hypot(*(percent_error(found, name, which) for which in (ORIGINAL, SPIKING)))
