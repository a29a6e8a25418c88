"""Trainings of the study, several at a time: the small ones side by side, then the large ones one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from studies.processes import Job, side_by_side
from studies.stages import Stages
from studies.whetstone2018 import learning
from studies.whetstone2018.images import Rows
from studies.whetstone2018.recipe import Recipe
from studies.whetstone2018.run import Run, home_of, weights_of
from studies.whetstone2018.settings import Settings

Key = TypeVar("Key")


@dataclass(frozen=True)
class Training:
    """The k-th training of a recipe, and where it is kept."""

    kept: Stages
    recipe: Recipe
    k: int = 0


def train_each(trainings: Mapping[Key, Training], run: Run) -> dict[Key, dict[str, Any]]:
    """What the trainings found; those that were finished before are not run again."""
    jobs = {
        key: Job(
            one.kept,
            f"seed {one.k}",
            train_one,
            (run.data, one.recipe, run.settings, run.seed + one.k, home_of(one.kept, one.k)),
            weights_of(home_of(one.kept, one.k)),
        )
        for key, one in trainings.items()
    }
    small = {key: job for key, job in jobs.items() if trainings[key].recipe.threads == 1}
    found = side_by_side(small, torch.get_num_threads())
    return found | side_by_side({key: job for key, job in jobs.items() if key not in small}, 1)


def train_one(data: Path, recipe: Recipe, settings: Settings, seed: int, home: Path) -> dict[str, Any]:
    """Load a recipe's rows and train its two networks."""
    return learning.train(recipe, Rows.load(data, recipe.data, settings.rows, settings.test_rows), seed, home)


def train_all(kept: Mapping[str, Stages], run: Run) -> dict[str, list[dict[str, Any]]]:
    """Every network trained, once for each seed."""
    recipes = run.settings.recipes
    every = {
        (name, k): Training(one, recipes[name], k) for name, one in kept.items() for k in range(recipes[name].seeds)
    }
    found = train_each(every, run)
    return {name: [found[name, k] for k in range(recipes[name].seeds)] for name in kept}


def told_of(stages: Mapping[str, Stages]) -> dict[str, Any]:
    """Of trainings that are done: seconds of all processes, and each stage, its name after that of its folder."""
    told = {f"{name}{stage}": one for name, kept in stages.items() for stage, one in kept.told().items()}
    return {"seconds": sum(one["seconds"] for one in told.values()), "trainings": told}
