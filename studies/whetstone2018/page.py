"""The page of the study, from what its JSON file holds, whichever networks are in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spikebayes.data import PUBLISHED_ROWS
from studies.results import markdown_table
from studies.stages import stage_seconds
from studies.whetstone2018.accuracies import accuracies, bars
from studies.whetstone2018.claims import claims, tried
from studies.whetstone2018.figures import captions, recipes, title
from studies.whetstone2018.forms import agreement, hardware
from studies.whetstone2018.frames import truenorth
from studies.whetstone2018.inputs import inputs
from studies.whetstone2018.learning import LOOK, ORIGINAL, SPIKING, TEMPERATURE, WARM
from studies.whetstone2018.lessons import ablations
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.scores import posterior
from studies.whetstone2018.settings import JASPER
from studies.whetstone2018.words import capital, set_name

FOLDER = "whetstone2018"  # of the figures, beside the page
ACTIVATIONS = {"brelu": "a bounded relu", "sigmoid": "a sigmoid", "relu": "a relu", "leaky_relu": "a leaky relu"}
VARIED = {
    "none": "as they are",
    "shift": "shifted by up to a pixel",
    "affine": "turned, sized and shifted",
    "crop": "mirrored, shifted by up to 4 pixels",
    "mirror": "mirrored, shifted by up to 2 pixels",
    "light": "brightness and grain varied",
}


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    sections = [_head(found), _data(found), _training(found)]
    if found["judged"]:
        sections += [claims(found), accuracies(found), bars(found), inputs(found), ablations(found)]
        sections += [tried(found), agreement(found), hardware(found), truenorth(found)]
    sections += [posterior(found), _figures(found), _times(found)]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _head(found: dict[str, Any]) -> list[str]:
    commits = ", ".join(f"`{c}`" if c else "unknown" for c in found["commits"])
    return [
        "# Whetstone 2018: networks sharpened into spikes",
        f"Made by `{found['command']}` (seed {found['seed']}, commit {commits}, {found['cores']} cores; "
        f"{_core_minutes(found):.0f} core-minutes of training, {found['seconds'] / 60:.0f} minutes for the rest) "
        "from `results/whetstone2018.json`. Do not edit.",
        "Ordinary networks whose activations turn into steps while they train. Then every activation is 0 or 1, and "
        'one time step of threshold neurons makes the prediction. After Sandia 2017, "Steep Deep Spiking Networks" '
        "(the slides), and Severa et al. 2019, Whetstone (the paper).",
        f"On this page: {', '.join(title(name) for name in found['networks'])}.",
    ]


def _data(found: dict[str, Any]) -> list[str]:
    sizes = found["rows"]
    rows = [
        [
            set_name(kind),
            *(f"{part[which]:,}" for which in ("train", "validation", "test")),
            str(len(part["classes"])),
        ]
        for kind, part in sizes.items()
    ]
    said = [
        f"{set_name(kind)}: {part['test']} test images of the {PUBLISHED_ROWS[kind][1]} published."
        for kind, part in sizes.items()
        if kind in PUBLISHED_ROWS and part["test"] < PUBLISHED_ROWS[kind][1]
    ]
    if JASPER in sizes:
        said.append(
            f"{set_name(JASPER)} (`{JASPER}`), pixels of one scene by their spectra, stands in for the slides' "
            "hyperspectral set, which is not published. Its split is spatial: whole blocks of pixels train, validate "
            "or test."
        )
    header = ["set", "rows to train", "to validate", "to test", "classes"]
    return ["## Data", markdown_table(header, rows), *([" ".join(said)] if said else [])]


def _training(found: dict[str, Any]) -> list[str]:
    used = recipes(found)
    rows = [
        [
            title(name),
            set_name(r.data),
            VARIED.get(r.augmentation, r.augmentation) + (f", {r.inputs}" if r.inputs != "current" else ""),
            f"{r.epochs}, spiking {r.all_epochs}" if r.later else str(r.epochs),
            str(r.fork),
            f"{r.fork:g} to {r.fork + r.sharpening * r.epochs:g}",
            str(round(r.frozen * r.epochs)),
            str(r.seeds),
        ]
        for name, r in used.items()
    ]
    header = ["network", "set", "training rows", "epochs", "shared", "sharpening", "norms keep", "seeds"]
    return [
        "## Training",
        f"Every layer is weights, batch norm, and an activation: at first {_by_value(used, _kind)}, in the end the "
        "step that is 1 from 1/2 on. An original and a spiking network share their first epochs (`shared`). Then the "
        "original goes on as it is, while the other sharpens over the epochs in the table and learns on as steps. "
        + (
            "Some spiking networks train for more epochs than the original (`epochs`). All end with the last: "
            if any(r.later for r in used.values())
            else "Both train for the same number of epochs and end with the last: "
        )
        + "no epoch is chosen by its accuracy.",
        markdown_table(header, rows),
        " ".join(
            [
                f"A step has no slope: learning uses {_by_value(used, _slope)}.",
                f"The loss is {_by_value(used, _loss)}.",
                f"From `norms keep` on, batch norms keep their statistics. Weights have {_by_value(used, _bits)} "
                "while training, with one scale for each unit.",
                f"After every epoch up to there, units whose output is the same on {LOOK:,} training rows are drawn "
                "anew.",
                f"Optimiser: {_by_value(used, _optimiser)}; the rate rises over the first {100 * WARM:g} % of the "
                "steps, then falls to 0.",
                f"Matrix products: {_by_value(used, _products)}.",
                *([f"Layers sharpen {_by_value(used, _order)}."] if any(r.bottom_up for r in used.values()) else []),
            ]
        ),
    ]


def _kind(r: Recipe) -> str:
    noise = f" with noise of {r.noise:g} on its input" if r.noise else ""
    return ACTIVATIONS.get(r.kind, r.kind) + noise


def _slope(r: Recipe) -> str:
    return f"the slope of the activation at sharpness {r.learnable:g} once it is sharper"


def _loss(r: Recipe) -> str:
    if not r.distil:
        return "the cross-entropy with the classes"
    return (
        f"the cross-entropy with the classes, of which {100 * r.distil:g} % give way, in the spiking network, to the "
        f"divergence from the original's probabilities at a temperature of {TEMPERATURE:g}"
    )


def _products(r: Recipe) -> str:
    return r.precision + (f", float32 in the last {100 * r.exact:g} % of the epochs" if r.exact else "")


def _order(r: Recipe) -> str:
    return "one after another from the first on" if r.bottom_up else "together"


def _bits(r: Recipe) -> str:
    return f"{r.bits} bits"


def _optimiser(r: Recipe) -> str:
    decay = f", weight decay {r.weight_decay:g}" if r.weight_decay else ""
    return f"{r.optimizer}, learning rate {r.learning_rate:g}, batches of {r.batch_size}{decay}"


def _by_value(used: dict[str, Recipe], words: Callable[[Recipe], str]) -> str:
    """What is said of all recipes; where they differ, of which."""
    groups: dict[str, list[str]] = {}
    for name, recipe in used.items():
        groups.setdefault(words(recipe), []).append(title(name))
    if len(groups) == 1:
        return next(iter(groups))
    return "; ".join(f"{said} ({', '.join(names)})" for said, names in groups.items())


def _figures(found: dict[str, Any]) -> list[str]:
    parts = ["## Figures"]
    for name, said in captions(found).items():
        parts += [said, f"![{capital(name.replace('_', ' '))}]({FOLDER}/{name}.svg)"]
    return parts


def _times(found: dict[str, Any]) -> list[str]:
    used = recipes(found)
    training = [
        [
            f"training, {title(name)}",
            f"{len(found['training'][name])} x ({used[name].epochs} + {used[name].all_epochs - used[name].fork})",
            str(used[name].threads),
            f"{_seconds(found, name):,.0f}",
        ]
        for name in found["networks"]
    ]
    training += [
        [f"trainings, {title(one['base'])}: {_change(name, one)}", "", str(_threads(one)), f"{one['seconds']:,.0f}"]
        for name, one in found.get("ablations", {}).items()
    ]
    rest = [[stage, "", "", f"{stage_seconds(told):,.0f}"] for stage, told in found["stages"]["judging"].items()]
    told = list(found["stages"]["training"].values())
    minutes = sum(map(stage_seconds, told)) / 60
    took = f" With them the trainings took {minutes:.0f} minutes, each in a process of its own."
    return [
        "## Time",
        "Seconds of training are those of the epochs, without the looks at validation and test rows after each; "
        "trainings of one thread run side by side, one a core. Epochs: seeds x (the original's + those of the "
        "spiking network by itself)."
        + (took if all(isinstance(one, Mapping) for one in told) else "")  # those of before tell how long one waited
        + " The other stages use all cores.",
        markdown_table(["stage", "epochs", "threads", "seconds"], training + rest),
    ]


def _seconds(found: dict[str, Any], name: str) -> float:
    """Of a network's epochs over all seeds; those that its two trainings share count once."""
    fork = recipes(found)[name].fork
    return sum(sum(one[ORIGINAL]["seconds"]) + sum(one[SPIKING]["seconds"][fork:]) for one in found["training"][name])


def _core_minutes(found: dict[str, Any]) -> float:
    networks = sum(_seconds(found, name) * recipe.threads for name, recipe in recipes(found).items())
    return (networks + sum(one["seconds"] * _threads(one) for one in found.get("ablations", {}).values())) / 60


def _threads(ablation: dict[str, Any]) -> int:
    return ablation["recipe"]["threads"]


def _change(name: str, ablation: dict[str, Any]) -> str:
    return name.removeprefix(f"{ablation['base']}_")
