"""The study from data to results/whetstone2018.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from spikebayes import ConfigError
from studies.processes import Job, side_by_side
from studies.results import provenance, write_page, write_results
from studies.stages import Stages
from studies.whetstone2018 import learning
from studies.whetstone2018.figures import figures
from studies.whetstone2018.images import Rows
from studies.whetstone2018.judging import judge
from studies.whetstone2018.page import render
from studies.whetstone2018.pictures import pictures
from studies.whetstone2018.posterior import uncertainty
from studies.whetstone2018.settings import PUBLISHED, Recipe, Settings
from studies.whetstone2018.tries import tries

NAME = "whetstone2018"
SHOWN = ("stpu_cnn", "cnn_unrestricted")  # networks whose spikes are drawn


def run_whetstone2018(
    data: Path,
    results: Path,
    docs: Path,
    work: Path,
    *,
    networks: Sequence[str] = (),
    settings: Settings = PUBLISHED,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Train and judge what is not done yet; write the JSON file, the figures and the page.

    Args:
        data: folder of the data sets.
        results: JSON file to write. docs: folder for the page and its figures.
        work: folder for what is kept on the way.
        networks: names of the recipes to train; all of them unless given. The page tells of these alone.
        settings: networks and budgets.
        seed: of the first training; the others of a network count on from it.
        say: is told the stages.

    Returns:
        What the JSON file holds.

    Raises:
        ConfigError: an unknown network.
        DataError: files that are missing or torn.
        StoreError: a stage that is torn.
    """
    for name in networks:
        if name not in settings.recipes:
            near = difflib.get_close_matches(name, settings.recipes, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"no network {name!r}{meant}; there are {', '.join(settings.recipes)}")
    names = [name for name in settings.recipes if not networks or name in networks]
    origin = provenance(f"python -m studies.{NAME}", seed)
    sets = {
        kind: Rows.load(data, kind, settings.rows, settings.test_rows)
        for kind in dict.fromkeys(settings.recipes[name].data for name in names)
    }
    learned = {name: stages_of(name, work, settings, seed, origin["commit"], say) for name in names}
    training = train_all(names, learned, data, settings, seed)
    judged = Stages(work / "judging", judging_key(settings, names, seed), origin["commit"], say)
    found: dict[str, Any] = {"judged": {}, "posterior": {}, "pictures": {}}
    for name in names:
        recipe = settings.recipes[name]
        if not recipe.dropout:
            homes = [home_of(learned[name], k) for k in range(recipe.seeds)]
            found["judged"][name] = [
                judged.run(f"{name}, seed {k}", lambda r=recipe, h=home: judge(r, sets[r.data], h))
                for k, home in enumerate(homes)
            ]
    for name, (masks, other) in settings.posterior.items():
        if name in names and masks in names:
            found["posterior"][name] = judged.run(
                f"posterior, {name}",
                lambda n=name, m=masks, o=other: _posterior(n, m, o, data, sets, learned, settings, seed),
            )
    for name in SHOWN:
        if name in names:
            recipe, home = settings.recipes[name], home_of(learned[name], 0)
            found["pictures"][name] = judged.run(
                f"pictures, {name}", lambda r=recipe, h=home: pictures(r, sets[r.data], h)
            )

    every = [*learned.values(), judged]
    trainings = {
        name: {"seconds": sum(stages.seconds().values()), "trainings": stages.told()}
        for name, stages in learned.items()
    }
    found = {
        **origin,
        "networks": names,
        "settings": asdict(settings),
        "commits": list(dict.fromkeys(c for stages in every for c in stages.commits())),
        "rows": {kind: _sizes(rows) for kind, rows in sets.items()},
        "seconds": sum(judged.seconds().values()),
        "stages": {"training": trainings, "judging": judged.told()},
        "training": training,
        **found,
    }
    with suppress(ConfigError):  # without the history there is none to tell
        found["tries"] = tries()
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _sizes(rows: Rows) -> dict[str, Any]:
    return {
        "train": len(rows.y),
        "validation": len(rows.y_validation),
        "test": len(rows.y_test),
        "classes": list(rows.classes),
    }


def _posterior(
    name: str,
    masks: str,
    other: str,
    data: Path,
    sets: dict[str, Rows],
    learned: dict[str, Stages],
    settings: Settings,
    seed: int,
) -> dict[str, Any]:
    recipe = settings.recipes[name]
    beside = settings.recipes[masks], home_of(learned[masks], 0)
    unknown = Rows.load(data, other, settings.rows, settings.test_rows).x_test
    home = home_of(learned[name], 0)
    return uncertainty(recipe, home, beside, sets[recipe.data], unknown, settings, seed)


def train_one(data: Path, recipe: Recipe, settings: Settings, seed: int, home: Path) -> dict[str, Any]:
    """Load a recipe's rows and train its two networks."""
    return learning.train(recipe, Rows.load(data, recipe.data, settings.rows, settings.test_rows), seed, home)


def home_of(stages: Stages, k: int) -> Path:
    """Folder of a network's k-th training."""
    return stages.folder / f"seed{k}"


def judging_key(settings: Settings, names: Sequence[str], seed: int) -> dict[str, Any]:
    """What the judging depends on."""
    return {"seed": seed, "settings": asdict(settings), "networks": list(names)}


def stages_of(name: str, work: Path, settings: Settings, seed: int, commit: str | None, say: Any) -> Stages:
    """Where a network's training is kept: what it depends on is its own recipe alone."""
    recipe = settings.recipes[name]
    trained_by = {k: v for k, v in asdict(recipe).items() if k not in ("seeds", "threads", "levels")}
    key = {"seed": seed, "recipe": trained_by, "rows": settings.rows, "test_rows": settings.test_rows}
    return Stages(work / "learning" / name, key, commit, lambda stage: say(f"training of {name}, {stage}"))


def train_all(
    names: Sequence[str], kept: dict[str, Stages], data: Path, settings: Settings, seed: int
) -> dict[str, list[dict[str, Any]]]:
    """Every network trained, once for each seed: the small ones side by side, then the large ones one by one."""
    recipes = settings.recipes
    jobs = {
        (name, k): Job(
            kept[name], f"seed {k}", train_one, (data, recipes[name], settings, seed + k, home_of(kept[name], k))
        )
        for name in names
        for k in range(recipes[name].seeds)
    }
    small = {(name, k): job for (name, k), job in jobs.items() if recipes[name].threads == 1}
    found = side_by_side(small, torch.get_num_threads())
    found |= side_by_side({key: job for key, job in jobs.items() if key not in small}, 1)
    return {name: [found[name, k] for k in range(recipes[name].seeds)] for name in names}
