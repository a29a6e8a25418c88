"""The page of the study, from what its JSON file holds."""

from __future__ import annotations

from typing import Any

from studies.neftci2017.claims import SCALED, claims
from studies.neftci2017.figures import NAMES, PAPER
from studies.results import markdown_table
from studies.scoring import SCORES, interval_text, score_text
from studies.stages import stage_seconds

TITLES = NAMES | {"conv": "convolutional S2M", "dropout": "permanent dropout", "deterministic": "deterministic"}
CHANGES = {
    "none": "as trained",
    "scaled": "weights x {:g}",
    "bits": "{:g} bits",
    "gains": "row gains, std {:g}",
    "noise": "device noise, std {:g}",
}


def render(found: dict[str, Any]) -> str:
    """Markdown."""
    sections = [_head(found), claims(found), _table(found), _figures(found), _law(found), _uncertainty(found)]
    return "\n\n".join(part for section in [*sections, _robustness(found), _times(found)] for part in section) + "\n"


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
        f"Inputs are MNIST pixels in [-1, 1] plus Gaussian noise of standard deviation {s['noise']:g}, then their "
        "sign, in training and in prediction. A step is a sample; an averaged prediction is the mean of the "
        "samples' class probabilities.",
        f"{images['train']:,} images train, {images['validation']:,} validate, {images['test']:,} test. RMSprop "
        f"(learning rate {s['learning_rate']:g} falling along a cosine, momentum {s['momentum']:g}), batches of "
        f"{s['batch_size']}, {s['epochs']} epochs (the paper: 1,000) of the two networks of the table and "
        f"{s['conv_epochs']} of the convolutional one.",
    ]


def _table(found: dict[str, Any]) -> list[str]:
    lines = {"s2m": ("S2M", PAPER["s2m"]), "sigmoid": ("sigmoid network", PAPER["sigmoid"])}
    lines["scaled"] = ("S2M, weights x 0.1", SCALED)
    rows = []
    for key, (name, paper) in lines.items():
        t = found["table"][key]
        averages = [line["average"] for line in t["lines"]]
        rows.append(
            [
                name,
                f"{100 * t['mean']['average']:.2f}",
                f"{100 * min(averages):.2f} to {100 * max(averages):.2f}",
                f"{100 * averages[-1]:.2f}",
                f"{100 * t['mean']['single']:.2f}",
                f"{paper:.2f}",
            ]
        )
    first, s = found["table"]["s2m"], found["settings"]["learning"]
    ways = found["samplings"]
    header = ["network", "averaged prediction", "from - to", "last epoch", "a single sample", "paper"]
    return [
        "## Table I: test error (%)",
        f"Means over the weights after {first['epochs']} of the last {s['averaged']} epochs, evenly spaced, "
        f"{first['samples']} samples each. The paper's figure is an average over 100 samples and its last 50 epochs.",
        markdown_table(header, rows),
        f"With the last weights, a draw for every synapse gives {100 * ways['exact']['average']:.2f} %, a draw for "
        f"every unit from its probability (eq. 3) {100 * ways['law']['average']:.2f} % (single samples "
        f"{100 * ways['exact']['single']:.2f} and {100 * ways['law']['single']:.2f} %).",
    ]


def _figures(found: dict[str, Any]) -> list[str]:
    beta = found["training"]["s2m"]["beta"]
    first, last = (", ".join(f"{b:.2f}" for b in line) for line in (beta[0], beta[-1]))
    return [
        "## Figures 2 to 4",
        "The 15th, 50th and 85th percentile of the last hidden layer's inputs (v . z of the S2M, w . z of the "
        "sigmoid network):",
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
    images = found["images"]
    return [
        "## Quality of the predictive distribution",
        f"{images['test']:,} test digits; {images['unknown']:,} Fashion-MNIST images, which are not digits (AUROC of "
        "telling them apart by the entropy of the averaged prediction, and by the mutual information). 95 % "
        "intervals by bootstrap over images. The dropout network is run as a torch module, the S2Ms and the sigmoid "
        "network as spiking networks. ECE in 15 bins; its interval lies above it: resampling adds to its bias.",
        markdown_table(["network", "samples", *SCORES.values()], rows),
        "NLL less that of the deterministic network, over the same images: " + "; ".join(against) + ".",
        "Mean entropy and mutual information (nats):",
        markdown_table(["network", "entropy, digits", "unknown", "mutual information, digits", "unknown"], spread),
    ]


def _robustness(found: dict[str, Any]) -> list[str]:
    rows = []
    for i, line in enumerate(found["robustness"]["s2m"]):
        other = found["robustness"]["sigmoid"][i]
        name = CHANGES[line["change"]].format(line["value"])
        rows.append(
            [name, str(line["draws"])]
            + [f"{100 * x[k]:.2f}" for x in (line, other) for k in ("average", "worst_average", "single")]
        )
    header = ["weights", "draws", "S2M", "worst draw", "a sample", "sigmoid network", "worst draw", "a sample"]
    samples = found["settings"]["imperfect_samples"]
    return [
        "## Imprecise weights: test error (%)",
        f"Averaged over {samples} samples. Bits: symmetric fixed point, one scale per layer, the read-out's weights "
        "too; gains: a lognormal factor for each row into a hidden unit; device noise: every weight's own.",
        markdown_table(header, rows),
        "![Imprecise weights](neftci2017/robustness.svg)",
    ]


def _times(found: dict[str, Any]) -> list[str]:
    training = [
        [f"training, {kind}", f"{len(t['seconds'])}", f"{sum(t['seconds']):,.0f}"]
        if isinstance(t["seconds"], list)
        else [f"training, {kind}", f"{t['epochs']}", f"{t['seconds']:,.0f}"]
        for kind, t in found["training"].items()
    ]
    rest = [[k, "", f"{stage_seconds(s):,.0f}"] for k, s in found["stages"].items() if not k.startswith("training")]
    return [
        "## Time",
        "Training, one core each, two at a time and beside other work; its seconds are those of the epochs, without "
        "the test errors after each. The other stages use all cores.",
        markdown_table(["stage", "epochs", "seconds"], training + rest),
    ]


def _minutes(found: dict[str, Any]) -> float:
    """Of training, summed over networks."""
    times = [t["seconds"] for t in found["training"].values()]
    return sum(sum(t) if isinstance(t, list) else t for t in times) / 60
