"""The study's figures, from what its JSON file holds: learning, sharpening, and spikes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from spikebayes.app.report.svg import draw
from spikebayes.nn import Sharpened
from spikebayes.plot.style import CLASSICAL, GUIDE, SHADE, SPIKING
from studies.spike_figures import aggregated, feature_maps
from studies.whetstone2018.pictures import unpacked
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.settings import TRUENORTH, VARIANTS
from studies.whetstone2018.words import capital

TITLES = {
    "stpu_dnn": "STPU DNN",
    "stpu_cnn": "STPU CNN",
    "cnn_restricted": "restricted CNN",
    "cnn_unrestricted": "unrestricted CNN",
    "stpu_dnn_masks": "STPU DNN with dropout",
    "stpu_cnn_masks": "STPU CNN with dropout",
    "fashion_cnn": "Fashion-MNIST CNN",
    "cifar_cnn": "CIFAR-10 CNN",
    "jasper_dnn": "hyperspectral DNN",
    TRUENORTH: "TrueNorth CNN",
}
TITLES |= {name: f"{TITLES[base]}, {inputs}" for name, (base, inputs) in VARIANTS.items()}
KINDS = {"original": CLASSICAL, "spiking": SPIKING}
AGGREGATED = "stpu_cnn"  # the network with few maps, as in the slides
SUMMED = 4  # maps at most
SHARPNESSES = (0.0, 0.5, 0.9, 1.0)
DECADES = [f * 10.0**k for k in range(-3, 3) for f in (1, 2, 5)]
CLOSE = [f * 10.0**k for k in range(-3, 3) for f in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)]
ACROSS = 3  # panels side by side


def title(name: str) -> str:
    """A network's name as readers see it."""
    return TITLES.get(name, name)


def drawn_recipes(found: dict[str, Any]) -> dict[str, Recipe]:
    """Those whose learning is drawn: a network with other inputs is not drawn again."""
    return {name: recipe for name, recipe in recipes(found).items() if name not in VARIANTS}


def recipes(found: dict[str, Any]) -> dict[str, Recipe]:
    """How the networks that are there were trained, by name."""
    return {name: Recipe(**found["settings"]["recipes"][name]) for name in found["networks"]}


def captions(found: dict[str, Any]) -> dict[str, str]:
    """The figures that are drawn, by file name, each with a sentence about it."""
    said = {
        "accuracy": "Test error over epochs of the original (blue) and the spiking network (orange), bold with the "
        "first seed, thin with the others. Shaded: the epochs over which activations sharpen. Up to there the two "
        "share their training.",
        "sharpening": "Left, the bounded relu at four sharpnesses s. Then the share of a layer's activations between "
        "5 and 95 % while the spiking network trains (first seed; the layers from the first, dark, to the last, "
        "light).",
    }
    for name, shown in found["pictures"].items():
        if shown["layers"]:
            said[f"spikes_{name}"] = (
                f"{capital(title(name))}: a test image and the spikes of its feature maps, black where a neuron "
                "fired."
            )
    if _first(found) is not None:
        said["aggregation"] = (
            f"{title(AGGREGATED)}: which maps of the first layer spike at a pixel, as in the slides."
        )
    return said


def figures(found: dict[str, Any]) -> dict[str, str]:
    """SVG text by file name; the names are those of :func:`captions`."""
    drawn = {"accuracy": _accuracy(found), "sharpening": _sharpening(found)}
    for name, shown in found["pictures"].items():
        if shown["layers"]:
            drawn[f"spikes_{name}"] = _spikes(name, shown)
    first = _first(found)
    if first is not None:
        shown, count = found["pictures"][AGGREGATED], len(found["pictures"][AGGREGATED]["images"])
        drawn["aggregation"] = aggregated(
            [_image(shown, i) for i in range(count)],
            [unpacked(first, i)[:SUMMED] for i in range(count)],
            [f"image {i + 1}: {kind}" for i, kind in enumerate(shown["classes"])],
        )
    return drawn


# -- learning ----------------------------------------------------------------------------------------------


def _accuracy(found: dict[str, Any]) -> str:
    used = drawn_recipes(found) or recipes(found)
    across = min(ACROSS, len(used))
    down = math.ceil(len(used) / across)

    def paint(figure: Figure) -> None:
        panels = figure.subplots(down, across, squeeze=False).flatten()
        for axes in panels[len(used) :]:
            axes.set_visible(False)
        for axes, (name, recipe) in zip(panels, used.items(), strict=False):
            _shade(axes, recipe)
            least = 50 / found["rows"][recipe.data]["test"]  # half a row: no error at all has no logarithm
            for kind, colour in KINDS.items():
                for k, trained in reversed(list(enumerate(found["training"][name]))):
                    error = [max(least, 100 * (1 - share)) for share in trained[kind]["test"]]
                    look: dict[str, Any] = {"lw": 0.6} if k else {"lw": 1.5, "label": kind}
                    axes.plot(range(1, len(error) + 1), error, _dot(error), color=colour, **look)
            _percents(axes)
            axes.set_title(title(name))
        for axes in panels[max(0, len(used) - across) : len(used)]:
            axes.set_xlabel("epoch")
        for axes in panels[: len(used) : across]:
            axes.set_ylabel("test error (%)")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=2)

    label = "Test error over epochs of original and spiking networks"
    return draw("accuracy", label, paint, (2.4 * max(2, across), 0.4 + 2.1 * down))


def _sharpening(found: dict[str, Any]) -> str:
    shown = _two(drawn_recipes(found) or recipes(found))
    x = torch.linspace(-0.25, 1.25, 1501)

    def paint(figure: Figure) -> None:
        first, *panels = figure.subplots(1, 1 + len(shown))
        for i, sharpness in enumerate(SHARPNESSES):
            y = Sharpened("brelu", sharpness)(x)
            first.plot(x.numpy(), y.numpy(), color=_shade_of(i, len(SHARPNESSES)), lw=1.2, label=f"s = {sharpness:g}")
        first.set_title("bounded relu")
        first.set_xlabel("input")
        first.set_ylabel("activation")
        first.legend(fontsize=8, handlelength=1.2)
        for axes, (name, recipe) in zip(panels, shown.items(), strict=True):
            _shade(axes, recipe)
            layers = np.array(found["training"][name][0]["spiking"]["between"]).T  # [layer, epoch]
            for i, line in enumerate(layers):
                colour = _shade_of(i, len(layers))
                axes.plot(range(1, len(line) + 1), 100 * line, _dot(line), color=colour, lw=1.2)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.set_title(title(name))
            axes.set_xlabel("epoch")
        for axes in panels[:1]:
            axes.set_ylabel("between off and on (%)")

    return draw("sharpening", "Activations turn into steps while training", paint, (2.4 * (1 + len(shown)), 2.6))


def _two(used: dict[str, Recipe]) -> dict[str, Recipe]:
    """A dense network and a convolutional one, of those that are there: the first with more than one layer."""
    chosen: dict[str, Recipe] = {}
    for convolutional in (False, True):
        kind = {n: r for n, r in used.items() if bool(r.convolutions) == convolutional}
        deep = {n: r for n, r in kind.items() if len(r.convolutions) + len(r.hidden) > 1} or kind
        chosen |= dict(list(deep.items())[:1])
    return chosen


def _shade(axes: Axes, recipe: Recipe) -> None:
    """The epochs over which activations sharpen."""
    axes.axvspan(recipe.fork, recipe.fork + recipe.sharpening * recipe.epochs, color=SHADE, lw=0)
    axes.axvline(recipe.fork, color=GUIDE, lw=0.6)


def _percents(axes: Axes) -> None:
    """A logarithmic axis of errors, labelled with plain numbers."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(FixedLocator(CLOSE if high / low < 4 else DECADES))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _dot(line: Any) -> str:
    """A line; one of a single point would not be seen."""
    return "o" if len(line) == 1 else "-"


def _shade_of(i: int, count: int) -> tuple[float, float, float]:
    """From dark to light orange."""
    part = i / max(1, count - 1)
    return (0.35 + 0.6 * part, 0.13 + 0.5 * part, 0.02 + 0.3 * part)


# -- spikes ------------------------------------------------------------------------------------------------


def _spikes(name: str, shown: dict[str, Any]) -> str:
    layers = {layer["name"]: unpacked(layer, 0) for layer in shown["layers"]}
    caption = f"{title(name)}, test image of class {shown['classes'][0]}"
    return feature_maps(_image(shown, 0), layers, name=f"spikes {name}", caption=caption)


def _image(shown: dict[str, Any], i: int) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(shown["images"][i]), np.uint8).reshape(shown["side"])


def _first(found: dict[str, Any]) -> dict[str, Any] | None:
    """The layer whose maps are drawn as one, if it is there."""
    shown = found["pictures"].get(AGGREGATED)
    return shown["layers"][0] if shown and shown["layers"] else None
