"""The page of the study, from what its JSON file holds, whichever networks are in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spikebayes.data.hyperspectral import NAME as JASPER
from spikebayes.data.images import PUBLISHED_ROWS
from spikebayes.evaluate.limits import KNOWN
from spikebayes.studies.results import markdown_table
from spikebayes.studies.whetstone2018.figures import captions, recipes, title
from spikebayes.studies.whetstone2018.judging import LOOKED
from spikebayes.studies.whetstone2018.learning import LOOK, ORIGINAL, SPIKING, WARM
from spikebayes.studies.whetstone2018.settings import Recipe

FOLDER = "whetstone2018"  # of the figures, beside the page
SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", JASPER: "Jasper Ridge"}
PUBLISHED = {  # test accuracy, per cent: the slides, or Whetstone's paper
    "stpu_dnn": "97.3 -> 97.3",
    "stpu_cnn": "97.1 -> 94.9",
    "cnn_restricted": "98.5 -> 97.3",
    "cnn_unrestricted": "99.1 -> 98.5",
    "fashion_cnn": "paper: 93.2 spiking",
    "cifar_cnn": "1 to 2 points lost; paper: 84.7 spiking",
    "jasper_dnn": "98.2 -> 97.7, on another set",
}
SAME = 99.9  # per cent of rows that whole numbers must put in the same class
ACTIVATIONS = {"brelu": "a bounded relu", "sigmoid": "a sigmoid", "relu": "a relu", "leaky_relu": "a leaky relu"}
VARIED = {
    "none": "as they are",
    "shift": "shifted by up to a pixel",
    "affine": "turned, sized and shifted",
    "crop": "shifted and mirrored",
}
SCORES = {
    "nll": "NLL (nats)",
    "brier": "Brier",
    "ece": "ECE",
    "aurc": "AURC x 1000",
    "auroc_entropy": "AUROC, entropy",
    "auroc_mutual_information": "AUROC, mutual information",
}
MADE = {
    "original": "original, no spikes",
    "sharpened": "sharpened",
    "scaled": "sharpened, with a temperature",
    "blank_out": "unreliable synapses",
    "masks": "permanent dropout",
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


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    sections = [_head(found), _data(found), _training(found)]
    if found["judged"]:
        sections += [_accuracies(found), _bars(found), _agreement(found), _hardware(found)]
    sections += [_posterior(found), _figures(found), _times(found)]
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


# -- data and training -------------------------------------------------------------------------------------


def _data(found: dict[str, Any]) -> list[str]:
    sizes = found["rows"]
    rows = [
        [_set(kind), *(f"{part[which]:,}" for which in ("train", "validation", "test")), str(len(part["classes"]))]
        for kind, part in sizes.items()
    ]
    said = [
        f"{_set(kind)} is tested on {part['test']:,} images of the {PUBLISHED_ROWS[kind][1]:,} that were published."
        for kind, part in sizes.items()
        if kind in PUBLISHED_ROWS and part["test"] < PUBLISHED_ROWS[kind][1]
    ]
    if JASPER in sizes:
        said.append(
            f"{_set(JASPER)} (`{JASPER}`), pixels of one scene by their spectra, stands in for the slides' "
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
            _set(r.data),
            VARIED.get(r.augmentation, r.augmentation),
            str(r.epochs),
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
        "Both train for the same number of epochs and end with the last: no epoch is chosen by its accuracy.",
        markdown_table(header, rows),
        " ".join(
            [
                f"A step has no slope: learning uses {_by_value(used, _slope)}.",
                f"The spiking network's loss is {_by_value(used, _loss)}.",
                f"From `norms keep` on, batch norms keep their statistics. Weights have {_by_value(used, _bits)} "
                "while training, with one scale for each unit.",
                f"After every epoch, units whose output is the same on {LOOK} training rows are drawn anew.",
                f"Optimiser: {_by_value(used, _optimiser)}; the rate rises over the first {100 * WARM:g} % of the "
                "steps, then falls to 0.",
                f"Matrix products: {_by_value(used, lambda r: r.precision)}.",
            ]
        ),
    ]


def _kind(r: Recipe) -> str:
    noise = f" with noise of {r.noise:g} on its input" if r.noise else ""
    return ACTIVATIONS.get(r.kind, r.kind) + noise


def _slope(r: Recipe) -> str:
    return f"the slope of the activation at sharpness {r.learnable:g} once it is sharper"


def _loss(r: Recipe) -> str:
    if not r.distillation:
        return "the cross-entropy with the classes"
    return (
        f"{100 * (1 - r.distillation):g} % the cross-entropy with the classes, {100 * r.distillation:g} % that with "
        "the original's class probabilities"
    )


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


# -- accuracies --------------------------------------------------------------------------------------------


def _accuracies(found: dict[str, Any]) -> list[str]:
    rows = []
    for name, judged in found["judged"].items():
        rows.append(
            [
                title(name),
                architecture(recipes(found)[name]),
                f"{judged[0]['parameters']:,}",
                _range(_percent(judged, ORIGINAL)),
                _range(_percent(judged, SPIKING)),
                f"{_lost(judged):+.2f}",
                PUBLISHED.get(name, "-"),
            ]
        )
    header = ["network", "layers", "parameters", "original", "spiking", "points lost", "slides"]
    return [
        "## Test accuracy (%)",
        "Means over seeds, with the lowest and the highest. Spiking: the converted network of threshold neurons, one "
        "time step a row. The slides' figures are original -> spiking.",
        markdown_table(header, rows),
    ]


def _bars(found: dict[str, Any]) -> list[str]:
    rows, missed, count = [], [], 0
    for name, judged in found["judged"].items():
        bar = BARS.get(name, Bar())
        spiking, lost = _mean(_percent(judged, SPIKING)), _lost(judged)
        line = [title(name)]
        for what, value, asked, sign in (("spiking", spiking, bar.spiking, 1), ("lost", lost, bar.lost, -1)):
            if asked is None:
                line += ["-", "-"]
                continue
            gap = sign * (value - asked)
            count += 1
            line += [f"{asked:g}", _verdict(gap)]
            missed += [f"{title(name)}, {what}, by {_gap(gap)}"] if _missed(gap) else []
        if bar != Bar():
            rows.append(line)
    if not rows:
        return []
    header = ["network", "spiking at least (%)", "", "points lost at most", ""]
    said = f"{count - len(missed)} of {count} bars are met." + (f" Missed: {'; '.join(missed)}." if missed else "")
    return ["This project's bars, for the means over seeds:", markdown_table(header, rows), said]


def _missed(gap: float) -> bool:
    return gap < -1e-9


def _gap(gap: float) -> str:
    return f"{abs(gap):.2f}" if abs(gap) >= 0.005 else "less than 0.01"


def _verdict(gap: float) -> str:
    return f"missed by {_gap(gap)}" if _missed(gap) else f"met by {_gap(gap)}" if gap > 1e-9 else "met"


def _percent(judged: Sequence[dict[str, Any]], which: str) -> list[float]:
    """Accuracy of every seed."""
    return [100 * one[which] for one in judged]


def _lost(judged: Sequence[dict[str, Any]]) -> float:
    """Points of accuracy between the original and the spiking network, mean over seeds."""
    return _mean(_percent(judged, ORIGINAL)) - _mean(_percent(judged, SPIKING))


# -- agreement and hardware --------------------------------------------------------------------------------


def _agreement(found: dict[str, Any]) -> list[str]:
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
        short += [title(name)] if _missed(same - SAME) else []
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


def _hardware(found: dict[str, Any]) -> list[str]:
    names = list(next(iter(found["judged"].values()))[0]["demand"]["excesses"])
    rows = []
    for name, judged in found["judged"].items():
        needed = judged[0]["demand"]
        spikes = _mean([sum(one["spikes"].values()) for one in judged])
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
        for known in KNOWN
        if known.name in names
    ]
    return [
        "## What it asks of hardware",
        "Neurons, the largest number of synapses into one of them, and all synapses; spikes of a test row, mean over "
        "rows and seeds, and their share of the neurons; then what goes beyond each limit. A layer is named after "
        "its place in the module.",
        markdown_table(["network", "neurons", "fan-in", "synapses", "spikes a row", *names], rows),
        "Limits: " + "; ".join(limits) + ".",
    ]


# -- posterior ---------------------------------------------------------------------------------------------


def _posterior(found: dict[str, Any]) -> list[str]:
    if not found["posterior"]:
        return []
    parts = [
        "## A posterior",
        "A sharpened network makes the same prediction every time. Three ways to something better, beside the "
        "original network and the sharpened one as it is: a temperature, one factor on the outputs, chosen on "
        "validation rows (`temperature`); unreliable synapses, each of which transmits with the probability `keep`, "
        "drawn anew in every step and chosen on validation rows; and, where there is one, a network trained with "
        "permanent dropout. A step is a sample. All but the original are spiking networks. AUROC: telling test rows "
        "from rows of another set, by the entropy of the averaged prediction or by the mutual information. 95 % "
        "intervals by bootstrap over rows; ECE in 15 bins, its interval lies above it: resampling adds to its bias.",
    ]
    for name, judged in found["posterior"].items():
        parts += _one_posterior(name, judged, found["settings"])
    return parts


def _one_posterior(name: str, judged: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    rows, spread = [], []
    for kind, one in judged["networks"].items():
        scores, words = one["scores"], MADE.get(kind, kind)
        error = f"{100 * scores['error']['value']:.2f} {_interval(scores['error'], 100, 2)}"
        single = f"{100 * one['single_sample_error']:.2f}"
        rows.append([words, str(one["samples"]), error, single, *(_score(scores, score) for score in SCORES)])
        if one["samples"] > 1:
            measured = one["uncertainty"].values()
            spread.append([words, *(f"{m[which]:.4f}" for m in measured for which in ("known", "unknown"))])
    tried = ", ".join(f"{keep}: {loss:.4f}" for keep, loss in judged["keeps"].items())
    other = _set(settings["posterior"][name][1])
    header = ["network", "samples", "error (%)", "of a single sample", *SCORES.values()]
    known, unknown = f"{judged['rows']:,} test rows", f"{judged['unknown']:,} rows of {other}"
    return [
        f"### {_capital(title(name))}",
        f"{known}, and {unknown} that belong to no class. Temperature {judged['temperature']:.3f}; keep "
        f"{judged['keep']:g}, by the NLL on validation rows ({tried}).",
        markdown_table(header, rows),
        "NLL less that of the sharpened network, over the same rows: "
        + "; ".join(f"{MADE.get(kind, kind)} {_difference(d)}" for kind, d in judged["against"].items())
        + ".",
        "Mean entropy and mutual information (nats):",
        markdown_table(["network", "entropy, test rows", other, "mutual information, test rows", other], spread),
    ]


def _difference(found: dict[str, float]) -> str:
    word = "lower" if found["high"] < 0 else "higher" if found["low"] > 0 else "no difference shown"
    return f"{found['value']:+.4f} {_interval(found)}, {word}"


def _score(scores: dict[str, dict[str, float]], name: str) -> str:
    """A score and its interval; a dash for one that a network does not have."""
    if name not in scores:
        return "-"
    factor = 1000 if name == "aurc" else 1
    digits = 2 if name == "aurc" else 4
    return f"{factor * scores[name]['value']:.{digits}f} {_interval(scores[name], factor, digits)}"


def _interval(found: dict[str, float], factor: float = 1.0, digits: int = 4) -> str:
    return f"[{factor * found['low']:.{digits}f}, {factor * found['high']:.{digits}f}]"


# -- figures and times -------------------------------------------------------------------------------------


def _figures(found: dict[str, Any]) -> list[str]:
    parts = ["## Figures"]
    for name, said in captions(found).items():
        parts += [said, f"![{_capital(name.replace('_', ' '))}]({FOLDER}/{name}.svg)"]
    return parts


def _times(found: dict[str, Any]) -> list[str]:
    used = recipes(found)
    training = [
        [
            f"training, {title(name)}",
            f"{len(found['training'][name])} x ({used[name].epochs} + {used[name].epochs - used[name].fork})",
            str(used[name].threads),
            f"{_seconds(found, name):,.0f}",
        ]
        for name in found["networks"]
    ]
    rest = [[stage, "", "", f"{seconds:,.0f}"] for stage, seconds in found["stages"]["judging"].items()]
    waited = sum(found["stages"]["training"].values()) / 60
    return [
        "## Time",
        "Seconds of training are those of the epochs, without the looks at validation and test rows after each; "
        "trainings of one thread run side by side, one a core. Epochs: seeds x (the original's + those of the "
        f"spiking network by itself). The command waited {waited:.0f} minutes for the trainings. The other stages "
        "use all cores.",
        markdown_table(["stage", "epochs", "threads", "seconds"], training + rest),
    ]


def _seconds(found: dict[str, Any], name: str) -> float:
    """Of a network's epochs over all seeds; those that its two trainings share count once."""
    fork = recipes(found)[name].fork
    return sum(sum(one[ORIGINAL]["seconds"]) + sum(one[SPIKING]["seconds"][fork:]) for one in found["training"][name])


def _core_minutes(found: dict[str, Any]) -> float:
    return sum(_seconds(found, name) * recipe.threads for name, recipe in recipes(found).items()) / 60


# -- words and numbers -------------------------------------------------------------------------------------


def _set(kind: str) -> str:
    return SETS.get(kind, kind)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _range(values: Sequence[float]) -> str:
    """A mean, with the lowest and the highest if there are several."""
    mean = f"{_mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ({min(values):.2f} to {max(values):.2f})"
