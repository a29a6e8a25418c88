"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

import statistics
from typing import Any

from studies.neftci2017.claims import SCALED, claims, error_of, tabled
from studies.neftci2017.figures import NAMES, PAPER
from studies.results import markdown_table
from studies.scoring import SCORES, interval_text, score_text
from studies.stages import stage_seconds

TITLES = NAMES | {
    "conv": "convolutional S2M",
    "dropout": "permanent dropout",
    "relu": "noise on the inputs alone",
    "deterministic": "deterministic",
}
CHANGES = {
    "none": "as trained",
    "scaled": "weights x {:g}",
    "bits": "{:g} bits",
    "gains": "row gains, std {:g}",
    "noise": "device noise, std {:g}",
}


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    sections = [_head(found), claims(found), _table(found), _choices(found), _figures(found), _law(found)]
    sections += [_uncertainty(found), _robustness(found), _few_bits(found), _times(found)]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _head(found: dict[str, Any]) -> list[str]:
    commits, images, s = ", ".join(f"`{c}`" for c in found["commits"]), found["images"], found["settings"]["learning"]
    widths = "-".join(str(w) for w in (784, *s["hidden"], 10))
    return [
        "# Neftci 2017: unreliable synapses as the sampler",
        f"Made by `{found['command']}` (seed {found['seed']}, commit {commits}, {found['cores']} cores; "
        f"{_minutes(found):.0f} core-minutes of training, {found['seconds'] / 60:.0f} minutes for the rest) from "
        "`results/neftci2017.json`. Do not edit.",
        f"Networks {widths}: layers of sign units whose synapses transmit with probability {s['keep']:g}, drawn anew "
        "for every synapse and step (S2M); and the same of binary stochastic units with a sigmoid probability. "
        "Inputs are MNIST pixels in [-1, 1] plus Gaussian noise, then their sign, in training and in prediction. A "
        "step is a sample; an averaged prediction is the mean of the samples' class probabilities.",
        f"{images['train']:,} images train, {images['validation']:,} validate, {images['test']:,} test. RMSprop "
        f"(learning rate falling along a cosine, momentum {s['momentum']:g}), batches of {s['batch_size']}, "
        f"{s['epochs']} epochs (the paper: 1,000) of the two networks of the table, {s['seeds']} trainings each, and "
        f"{s['conv_epochs']} of the convolutional one. {_chosen(found)}",
    ]


def _chosen(found: dict[str, Any]) -> str:
    said = [
        f"{NAMES[kind]}: learning rate {choice['learning_rate']:g}, noise of standard deviation {choice['noise']:g}"
        for kind, choice in found["choosing"]["chosen"].items()
    ]
    return f"Validation images chose, from the same lists for both: {'; '.join(said)}."


def _table(found: dict[str, Any]) -> list[str]:
    lines = {"s2m": ("S2M", PAPER["s2m"]), "sigmoid": ("sigmoid network", PAPER["sigmoid"])}
    lines["scaled"] = ("S2M, weights x 0.1", SCALED)
    rows = []
    for key, (name, paper) in lines.items():
        each = found["table"][key]
        mean, error = tabled(found, key)
        averages = [line["average"] for t in each for line in t["lines"]]
        last, single = (
            statistics.mean(values)
            for values in ([t["lines"][-1]["average"] for t in each], [t["mean"]["single"] for t in each])
        )
        rows.append(
            [
                name,
                f"{100 * mean:.2f} +- {100 * error:.2f}",
                ", ".join(f"{100 * t['mean']['average']:.2f}" for t in each),
                f"{100 * min(averages):.2f} to {100 * max(averages):.2f}",
                f"{100 * last:.2f}",
                f"{100 * single:.2f}",
                f"{paper:.2f}",
            ]
        )
    first, s = found["table"]["s2m"][0], found["settings"]["learning"]
    ways = found["samplings"]
    header = [
        "network",
        "averaged prediction",
        "each training",
        "from - to",
        "last epoch",
        "a single sample",
        "paper",
    ]
    return [
        "## Table I: test error (%)",
        f"Means over {s['seeds']} trainings and the weights after {first['epochs']} of their last {s['averaged']} "
        f"epochs, evenly spaced, {first['samples']} samples each; standard errors over trainings and test images. "
        "The paper's figure is an average over 100 samples and its last 50 epochs.",
        markdown_table(header, rows),
        "With the first training's last weights, a draw for every synapse gives "
        f"{100 * ways['exact']['average']:.2f} %, a draw for every unit from its probability (eq. 3) "
        f"{100 * ways['law']['average']:.2f} % (single samples {100 * ways['exact']['single']:.2f} and "
        f"{100 * ways['law']['single']:.2f} %).",
    ]


def _choices(found: dict[str, Any]) -> list[str]:
    s, lines, rows = found["settings"]["learning"], found["choosing"]["tried"], []
    for line in lines:
        few = f"{line['bits']} bits within {line['span']:g}" if line["bits"] else "float32"
        choice = [NAMES[line["network"]], f"{line['learning_rate']:g}", f"{line['noise']:g}", few]
        rows.append([*choice, str(line["epochs"]), f"{line['log_loss']:.4f}", f"{100 * line['error']:.2f}"])
    header = ["network", "learning rate", "noise", "weights", "epochs", "log loss (nats)", "error (%)"]
    return [
        "## What validation images chose",
        "The same for both networks, the lowest log loss of averaged predictions on "
        f"{found['images']['validation']:,} images that neither train nor test: the learning rate first, after "
        f"{s['rate_epochs']} epochs; then the noise, after {s['noise_epochs']}; then the fixed range of weights of "
        f"few bits (over the root mean square of the first weights), after {s['span_epochs']}. The other networks "
        "have the S2M's noise.",
        markdown_table(header, rows),
    ]


def _figures(found: dict[str, Any]) -> list[str]:
    beta = found["training"]["s2m"][0]["beta"]
    first, last = (", ".join(f"{b:.2f}" for b in line) for line in (beta[0], beta[-1]))
    return [
        "## Figures 2 to 4",
        "The 15th, 50th and 85th percentile of the last hidden layer's inputs (v . z of the S2M, w . z of the "
        "sigmoid network), in the first training of each:",
        "![Inputs](neftci2017/figure2.svg)",
        "Test error over epochs, the paper's table dashed:",
        "![Test error](neftci2017/figure3.svg)",
        "The weights of the last hidden layer, in units of their initial standard deviation:",
        "![Weights](neftci2017/figure4.svg)",
        f"Mean beta of the S2M's layers after the first epoch: {first}; after the last: {last}.",
    ]


def _law(found: dict[str, Any]) -> list[str]:
    rows = [
        [
            str(line["fan_in"]),
            f"{line['draws']:,}",
            f"{line['chi_square']:.0f} / {line['units']}",
            f"{line['p_value']:.2g}" if line["p_value"] > 1e-300 else "< 1e-300",
            f"{line['rms_deviation']:.5f}",
            f"{line['largest_deviation']:.5f}",
            f"{line['sampling_error']:.5f}",
        ]
        for line in found["law"]
    ]
    header = ["fan-in", "draws", "chi-square / units", "p", "rms deviation", "largest", "sampling error"]
    return [
        "## The probability that a unit is on",
        "Measured with synapses drawn one by one, against the error function of eq. 3: units with normal weights "
        "and one pattern of inputs. The rms deviation is what is left after the sampling error.",
        markdown_table(header, rows),
    ]


def _uncertainty(found: dict[str, Any]) -> list[str]:
    rows = []
    for kind, judged in found["uncertainty"].items():
        scores = judged["scores"]
        rows.append([TITLES[kind], str(judged["samples"]), *(score_text(scores, name) for name in SCORES)])
    against = [
        f"{TITLES[kind]} {d['value']:+.4f} {interval_text(d)}" for kind, d in found["against_deterministic"].items()
    ]
    spread = [
        [
            TITLES[kind],
            *(
                f"{judged['uncertainty'][m][which]:.4f}"
                for m in judged["uncertainty"]
                for which in ("known", "unknown")
            ),
        ]
        for kind, judged in found["uncertainty"].items()
        if judged["samples"] > 1
    ]
    images, learning = found["images"], found["settings"]["learning"]
    return [
        "## Quality of the predictive distribution",
        f"{images['test']:,} test digits; {images['unknown']:,} Fashion-MNIST images, which are not digits (AUROC of "
        "telling them apart by the entropy of the averaged prediction, and by the mutual information). 95 % "
        "intervals by bootstrap over images; the first training of each. The S2Ms and the sigmoid network are run as "
        "spiking networks, the others as torch modules: permanent dropout on SoftLIF units, and ReLUs whose samples "
        f"differ by the noise on their inputs alone; without that noise they are deterministic. They too learn for "
        f"{learning['epochs']} epochs with the S2M's noise on their inputs, by Adam, and keep the epoch that "
        "validated best. ECE in 15 bins; its interval lies above it: resampling adds to its bias.",
        markdown_table(["network", "samples", *SCORES.values()], rows),
        "NLL less that of the deterministic network, over the same images: " + "; ".join(against) + ".",
        "Mean entropy and mutual information (nats):",
        markdown_table(["network", "entropy, digits", "unknown", "mutual information, digits", "unknown"], spread),
    ]


def _robustness(found: dict[str, Any]) -> list[str]:
    rows, images = [], found["images"]["test"]
    for i, line in enumerate(found["robustness"]["s2m"][0]):
        cells = []
        for kind in NAMES:
            each = [lines[i] for lines in found["robustness"][kind]]
            mean, error = error_of([one["average"] for one in each], images)
            single = statistics.mean(one["single"] for one in each)
            worst = max(one["worst_average"] for one in each)
            cells += [f"{100 * mean:.2f} +- {100 * error:.2f}", f"{100 * worst:.2f}", f"{100 * single:.2f}"]
        rows.append([CHANGES[line["change"]].format(line["value"]), *cells])
    header = ["weights", "S2M", "worst", "a sample", "sigmoid network", "worst", "a sample"]
    s = found["settings"]
    return [
        "## Weights made worse after training: test error (%)",
        f"Averaged over {s['imperfect_samples']} samples and {s['learning']['seeds']} trainings, with the worst of "
        "them. Bits: symmetric fixed point, one scale per layer, the read-out's weights too, betas as they were; "
        "gains: a lognormal factor for each row into a hidden unit; device noise: every weight's own; both drawn "
        "once for each training.",
        markdown_table(header, rows),
        "![Imprecise weights](neftci2017/robustness.svg)",
    ]


def _few_bits(found: dict[str, Any]) -> list[str]:
    rows, images, s = [], found["images"]["test"], found["settings"]
    for bits, kinds in found["few_bits"].items():
        for i, line in enumerate(kinds["s2m"]):
            cells = []
            for kind in NAMES:
                one = kinds[kind][i]
                mean, error = error_of([one["average"]], images)
                cells += [f"{100 * mean:.2f} +- {100 * error:.2f}", f"{100 * one['single']:.2f}"]
            change = "" if line["change"] == "none" else f", {CHANGES[line['change']].format(line['value'])}"
            rows.append([f"{bits} bits{change}", str(line["draws"]), *cells])
    if not rows:
        return []
    return [
        "## Learning with few bits: test error (%)",
        "Every weight, the read-out's too, is one of 2^bits - 1 evenly spaced values of its layer from the first "
        "epoch on, and saturates at the ends of a fixed range (straight-through gradients, in the sense of the "
        "paper's section III.B); beta is a float. One training of "
        f"{s['learning']['few_epochs']} epochs each, averaged over {s['imperfect_samples']} samples; device noise "
        f"comes on top when predicting, as a mean over {s['draws']} draws.",
        markdown_table(["weights", "draws", "S2M", "a sample", "sigmoid network", "a sample"], rows),
    ]


def _times(found: dict[str, Any]) -> list[str]:
    stages = found["stages"].items()
    trainings = [[stage, str(epochs), f"{seconds:,.0f}"] for stage, epochs, seconds in _trainings(found)]
    choosing = [stage_seconds(stage) for name, stage in stages if name.startswith("choosing")]
    rest = [[k, "", f"{stage_seconds(s):,.0f}"] for k, s in stages if not k.startswith(("training", "choosing"))]
    return [
        "## Time",
        "Training, one core each, as many at a time as there are cores and beside other work; "
        f"{len(choosing)} short trainings chose, in {sum(choosing):,.0f} core-seconds. The other stages use all "
        "cores.",
        markdown_table(["stage", "epochs", "seconds"], trainings + rest),
    ]


def _minutes(found: dict[str, Any]) -> float:
    """Of training, summed over networks, those that chose among them."""
    choosing = sum(stage_seconds(s) for name, s in found["stages"].items() if name.startswith("choosing"))
    return (choosing + sum(seconds for _, _, seconds in _trainings(found))) / 60


def _trainings(found: dict[str, Any]) -> list[tuple[str, int, float]]:
    """Name of the stage, epochs and seconds of each: of its epochs if they were timed, since a training that was
    stopped and went on has in its stage the time of its last process alone.
    """
    lines = []
    for name, each in found["training"].items():
        for t in each:
            stage = f"training, {name}, seed {t['seed']}"
            timed = isinstance(t["seconds"], list)
            lines.append((stage, t["epochs"], sum(t["seconds"]) if timed else stage_seconds(found["stages"][stage])))
    return lines
