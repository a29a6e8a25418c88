"""The page's section on how well the network predicts, beside boosted trees."""

from __future__ import annotations

import statistics
from typing import Any

from studies.results import markdown_table


def accuracy(found: dict[str, Any]) -> list[str]:
    sizes, trees = found["settings"]["learning"], found["trees"]
    models = {
        "network": found["accuracy"],
        "boosted trees on components": trees["components"],
        "boosted trees on the three identities": trees["identities"],
    }
    rows = []
    for name, part in models.items():
        for which in ("validation", "test"):
            for kind, words in (("mean", f"average of {sizes['accuracy_samples']}"), ("single_pass", "one pass")):
                if kind in part[which]:
                    s = part[which][kind]
                    said = words if name == "network" else "as it is"
                    rows.append([name, which, said, f"{s['r2']:.3f}", f"{s['mae']:.1f}", f"{s['pearson']:.3f}"])
    return [
        "## Accuracy",
        _trained(found),
        markdown_table(["model", "rows", "prediction", "R2", "MAE", "Pearson r"], rows),
        *_by_spikes(found),
        *_seeds(found),
        *_splits(found),
    ]


def _trained(found: dict[str, Any]) -> str:
    t, trees, sizes = found["training"], found["trees"], found["settings"]["learning"]
    test = sizes["scored"] or found["data"]["test"]
    return (
        f"{t['parameters']:,} parameters, {t['epochs']} epochs in {t['processor_seconds'] / 60:.1f} minutes of one "
        f"core. The trees see {trees['components']['features']} principal components, or only which cell line and "
        f"which two drugs a row has; {trees['iterations']} iterations. Scored are "
        f"{sizes['validation_scored']:,} validation rows and {test:,} test rows."
    )


def _by_spikes(found: dict[str, Any]) -> list[str]:
    names = {"windows": found["windows"]["best"], "fewest": found["search"]["best"]}
    rows = [
        [
            f"{names[key]}, average of {one['samples']}",
            f"{one['rows']:,}",
            *(f"{one[side][score]:.4f}" for side in ("spiking", "classical") for score in ("r2", "pearson")),
            *(f"{one[f'{side}processor_seconds']:.0f}" for side in ("", "classical_")),
        ]
        for key, one in found["scored"].items()
    ]
    header = ["by spikes", "test rows", "R2", "Pearson r", "classical R2", "r", "processor seconds", "classical"]
    said = "The same with spikes, and with the classical network under the same masks:"
    return [said, markdown_table(header, rows)]


def _seeds(found: dict[str, Any]) -> list[str]:
    values = [one["mean"]["r2"] for one in found["seeds"]]
    if len(values) < 2:
        return []
    said = ", ".join(f"{value:.3f}" for value in values)
    return [f"Test R2 of {len(values)} trainings: {said}; standard deviation {statistics.stdev(values):.4f}."]


def _splits(found: dict[str, Any]) -> list[str]:
    rows = []
    for by, part in found["splits"].items():
        trees = (part["trees"][kind]["test"]["mean"]["r2"] for kind in ("components", "identities"))
        network = part["accuracy"]["mean"]
        rows.append([by, *(f"{value:.3f}" for value in (network["r2"], *trees, network["pearson"]))])
    return [
        "Test R2 when more is held out together than single rows: all rows of an unordered pair of drugs, of a drug, "
        "of a cell line. Each split has a network and trees of its own, trained alike.",
        markdown_table(
            ["held out", "network", "trees on components", "trees on identities", "network, Pearson r"], rows
        ),
        *_losses(found["splits"]),
    ]


def _losses(splits: dict[str, Any]) -> list[str]:
    """Where trees are better."""
    lost = [
        name
        for by, name in (("pair", "pairs of drugs"), ("drug", "drugs"), ("cell", "cell lines"))
        for trees in [max(splits[by]["trees"][kind]["test"]["mean"]["r2"] for kind in ("components", "identities"))]
        if splits[by]["accuracy"]["mean"]["r2"] < trees
    ]
    if not lost:
        return []
    return [
        f"On {' and '.join(lost)} that are held out whole the network is worse than trees: what it learned of "
        "features does not carry over to them."
    ]
