"""What a study of sharpening could find, with made-up numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from spikebayes.evaluate import HARDWARE
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.settings import PUBLISHED, RECIPES, TRUENORTH

FRAME = {"truenorth": {"rows": 1000, "pixel_events": 20000.0, "neuron_events": 80000.0, "joules": 2.6e-6}}
ROWS = {"mnist": 10000, "fashion-mnist": 10000, "cifar10": 9980, "jasper_ridge": 4000}


def curves(recipe: Recipe, rng: np.random.Generator, *, sharp: bool) -> dict[str, Any]:
    epochs, layers = recipe.all_epochs if sharp else recipe.epochs, len(recipe.convolutions) + len(recipe.hidden) + 1
    done = np.arange(1, epochs + 1)
    part = np.clip((done - recipe.fork) / max(1e-9, recipe.sharpening * recipe.epochs), 0, 1) if sharp else 0 * done
    share = 0.985 - 0.3 * np.exp(-done / 3) - 0.003 * part + rng.normal(0, 0.001, epochs)
    between = np.outer(1 - part, np.linspace(0.5, 0.2, layers))
    return {
        "epochs": epochs,
        "revived": [[1] * layers] + [[0] * layers] * (epochs - 1),
        "loss": (1 / done).tolist(),
        "validation": share.tolist(),
        "test": share.tolist(),
        "sharpness": [[float(p)] * layers if sharp and p else [] for p in part],
        "between": between.tolist(),
        "seconds": [10.0] * epochs,
    }


def judged_of(recipe: Recipe, original: float, spiking: float) -> dict[str, Any]:
    rows = ROWS[recipe.data]
    return {
        "rows": rows,
        "original": original,
        "sharpened": spiking,
        "spiking": spiking,
        "winner_take_all": spiking,
        "other_classes": {"spiking": 0, "folding": 1, "winner_take_all": 0, "whole_numbers": 2},
        "spikes_per_winner": [1.0],
        "not_binary": 0,
        "dead": [0] * (len(recipe.convolutions) + len(recipe.hidden) + 1),
        "whole_numbers": {"bits": 8, "levels": 255, "largest_sum": 123456, "constant_synapses": {"layer2": 3}},
        "spikes": {"layer2": 200.5, "layer5": 20.25},
        "demand": {
            "neurons": 1124,
            "fan_in": 784,
            "synapses": 714752,
            "layers": [{"name": "layer2", "neurons": 512, "fan_in": 784, "synapses": 401408}],
            "excesses": {limits.name: [] if i else ["layer2: fan-in 784 > 256"] for i, limits in enumerate(HARDWARE)},
        },
        "parameters": 720000,
    }


def scores(samples: int, shift: float) -> dict[str, Any]:
    def around(value: float) -> dict[str, float]:
        return {"value": value, "low": 0.9 * value, "high": 1.1 * value}

    names = ["error", "nll", "brier", "ece", "aurc", "auroc_entropy"]
    names += ["auroc_mutual_information"] if samples > 1 else []
    measures = ["entropy", "mutual_information"] if samples > 1 else ["entropy"]
    return {
        "samples": samples,
        "single_sample_error": 0.02,
        "scores": {name: around(0.1 + shift) for name in names},
        "uncertainty": {name: {"known": 0.1, "unknown": 0.5} for name in measures},
    }


def posterior_of(name: str) -> dict[str, Any]:
    kinds = ["original", "sharpened", "scaled", "blank_out", "masks"]
    differences = {"original": (-0.02, -0.01), "scaled": (-0.01, 0.01), "blank_out": (0.01, 0.02), "masks": (0, 1)}
    return {
        "rows": 10000,
        "unknown": 10000,
        "keep": 0.9,
        "keeps": {"0.95": 0.07, "0.9": 0.06},
        "temperature": 1.25,
        "against": {
            kind: {"value": (low + high) / 2, "low": low, "high": high}
            for kind, (low, high) in differences.items()
            if kind in kinds
        },
        "networks": {
            kind: scores(50 if kind in ("blank_out", "masks") else 1, 0.01 * i) for i, kind in enumerate(kinds)
        },
    }


def pictures_of(rng: np.random.Generator, maps: int) -> dict[str, Any]:
    def packed(shape: list[int]) -> str:
        ball = (
            rng.random((shape[0], 1, 1)) * 2 > np.hypot(*np.meshgrid(*[np.linspace(-1, 1, n) for n in shape[1:]])).T
        )
        return np.packbits(ball).tobytes().hex()

    shapes = [[maps, 28, 28], [maps, 14, 14]]
    image = (255 * np.hypot(*np.meshgrid(*[np.linspace(-0.7, 0.7, 28)] * 2))).astype(np.uint8)
    return {
        "images": [image.tobytes().hex()] * 3,
        "side": [28, 28],
        "classes": ["7", "2", "1"],
        "layers": [
            {"name": f"layer{2 + i}", "shape": shape, "spikes": [packed(shape) for _ in range(3)]}
            for i, shape in enumerate(shapes)
        ],
    }


def ablation_of(base: str, field: str, value: float, spiking: float, **changed: Any) -> dict[str, Any]:
    """Of one seed; two values were tried."""
    tried = {"0.5": 0.9, f"{value:g}": 0.95}
    chosen = {"field": field, "value": value, "tried": tried, "epochs": 6} if field else None
    recipe = asdict(replace(RECIPES[base], seeds=1, **changed))
    judged = [{"rows": 10000, "original": spiking + 0.002, "spiking": spiking}]
    return {"base": base, "chosen": chosen, "recipe": recipe, "seconds": 600.0, "judged": judged}


def made_up(names: Sequence[str] = tuple(RECIPES)) -> dict[str, Any]:
    """What a study of some networks finds, with made-up numbers."""
    rng = np.random.default_rng(0)
    used = {name: RECIPES[name] for name in names}
    plain = {name: recipe for name, recipe in used.items() if not recipe.dropout}
    return {
        "command": "python -m studies.whetstone2018",
        "seed": 0,
        "versions": {},
        "commit": "abc",
        "cores": 2,
        "networks": list(names),
        "settings": asdict(PUBLISHED),
        "commits": ["abc", None],
        "rows": {
            recipe.data: {
                "train": 5000,
                "validation": 1000,
                "test": ROWS[recipe.data],
                "classes": ["a", "b"],
            }
            for recipe in used.values()
        },
        "seconds": 60.0,
        "stages": {"training": dict.fromkeys(names, 100.0), "judging": {f"{name}, seed 0": 12.0 for name in plain}},
        "training": {
            name: [
                {"original": curves(recipe, rng, sharp=False), "spiking": curves(recipe, rng, sharp=True)}
                for _ in range(recipe.seeds)
            ]
            for name, recipe in used.items()
        },
        "judged": {
            name: [
                judged_of(recipe, 0.986 + 0.001 * k, 0.984 + 0.001 * k) | (FRAME if name == TRUENORTH else {})
                for k in range(recipe.seeds)
            ]
            for name, recipe in plain.items()
        },
        "posterior": {
            name: posterior_of(name)
            for name, (masks, _) in PUBLISHED.posterior.items()
            if name in names and masks in names
        },
        "pictures": {
            name: pictures_of(rng, maps)
            for name, maps in (("stpu_cnn", 3), ("cnn_unrestricted", 64))
            if name in names
        },
    }
