"""The study from data to results/whetstone2018.json, its figures and its page; what is done is kept on the way."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from spikebayes import ConfigError
from studies.results import provenance, read_results, write_page, write_results
from studies.stages import Stages
from studies.whetstone2018.changes import run_changes
from studies.whetstone2018.figures import figures
from studies.whetstone2018.images import Rows
from studies.whetstone2018.judging import judge
from studies.whetstone2018.linear import linear_stage, rivalled
from studies.whetstone2018.merging import merged, outdated
from studies.whetstone2018.page import render
from studies.whetstone2018.pictures import pictures
from studies.whetstone2018.posterior import uncertainty
from studies.whetstone2018.recipe import learning_part
from studies.whetstone2018.run import Run, home_of, weights_of
from studies.whetstone2018.settings import PUBLISHED, Settings
from studies.whetstone2018.training import told_of, train_all
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
        networks: names of the recipes and ablations to train; all of them unless given. What the results file holds
            of others stays, as long as their recipes are those of the settings.
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
    names, changes = _chosen(networks, settings)
    origin = provenance(f"python -m studies.{NAME}", seed)
    run = Run(data, work, settings, seed, origin["commit"], say)
    before = _standing(results) if networks else None
    for name, why in (outdated(before, settings, seed) if before else {}).items():
        if name not in names:
            say(f"{name} will be dropped from the results: {why}")
    learned = {name: run.learning(name, settings.recipes[name]) for name in names}
    training = train_all(learned, run)
    parts, judging = _judged(names, learned, run)
    changed, changed_training, changed_judging = run_changes(changes, run)
    sets = [settings.recipes[name].data for name in names] + [
        settings.ablations[name].recipe.data for name in changes
    ]
    found: dict[str, Any] = {
        **origin,
        "networks": names,
        "settings": asdict(settings),
        "rows": {kind: _sizes(run.rows(kind)) for kind in dict.fromkeys(sets)},
        "stages": {
            "training": {name: told_of({"": kept}) for name, kept in learned.items()} | changed_training,
            "judging": judging | changed_judging,
        },
        "training": training,
        "ablations": changed,
        **parts,
    }
    found = merged(found, _standing(results) if networks else None, settings, say)  # as it is by now
    with suppress(ConfigError):  # without the history there is none to tell
        found["tries"] = tries()
    write_results(found, results)
    write_page(render(found), docs / f"{NAME}.md", figures(found))
    return found


def _chosen(networks: Sequence[str], settings: Settings) -> tuple[list[str], list[str]]:
    """Networks and ablations, in the order of the settings; all of them if none is named."""
    there = [*settings.recipes, *settings.ablations]
    for name in networks:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"no network {name!r}{meant}; there are {', '.join(there)}")
    return (
        [name for name in settings.recipes if not networks or name in networks],
        [name for name in settings.ablations if not networks or name in networks],
    )


def _standing(results: Path) -> dict[str, Any] | None:
    """What the results file holds, if it is there."""
    return read_results(results) if results.exists() else None


def _judged(names: Sequence[str], learned: Mapping[str, Stages], run: Run) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parts of the results by network, and what is told of their stages."""
    parts: dict[str, dict[str, Any]] = {part: {} for part in ("judged", "posterior", "pictures", "linear")}
    told: dict[str, Any] = {}
    for name in names:
        recipe = run.settings.recipes[name]
        homes = [home_of(learned[name], k) for k in range(recipe.seeds)]
        kept = run.stages("judging", name, {"recipe": learning_part(asdict(recipe)), "levels": recipe.levels})
        if not recipe.dropout:
            parts["judged"][name] = [
                kept.run(
                    f"{name}, seed {k}",
                    partial(judge, recipe, run.rows(recipe.data), home),
                    partial(weights_of, home),
                )
                for k, home in enumerate(homes)
            ]
        if name in SHOWN:
            parts["pictures"][name] = kept.run(
                f"pictures, {name}",
                partial(pictures, recipe, run.rows(recipe.data), homes[0]),
                lambda home=homes[0]: weights_of(home)[1:],
            )
        told |= kept.told()
        if name in rivalled(run.settings):
            parts["linear"][name], kept = linear_stage(name, run)
            told |= kept.told()
    for name, (masks, other) in run.settings.posterior.items():
        if {name, masks} & set(names):
            _posterior(name, masks, other, run, parts["posterior"], told)
    return parts, told


def _posterior(name: str, masks: str, other: str, run: Run, found: dict[str, Any], told: dict[str, Any]) -> None:
    """Judge a network's posterior, if its weights and those of the network with masks are there."""
    recipes = {n: run.settings.recipes[n] for n in (name, masks) if n in run.settings.recipes}
    homes = {n: home_of(run.learning(n, recipe), 0) for n, recipe in recipes.items()}
    missing = [n for n in (name, masks) if n not in homes or not weights_of(homes[n])[1].exists()]
    if missing:
        run.say(f"the posterior of {name} is not judged: there are no weights of {', '.join(missing)}")
        return
    s = run.settings
    sampling = {"keeps": s.keeps, "tuning_rows": s.tuning_rows, "samples": s.samples, "resamples": s.resamples}
    key = {"recipes": [learning_part(asdict(recipes[n])) for n in (name, masks)], "other": other, **sampling}
    kept = run.stages("posterior", name, key)

    def work() -> dict[str, Any]:
        beside, unknown = (recipes[masks], homes[masks]), run.rows(other).x_test
        return uncertainty(recipes[name], homes[name], beside, run.rows(recipes[name].data), unknown, s, run.seed)

    def weights() -> list[Path]:
        return [*weights_of(homes[name]), weights_of(homes[masks])[1]]

    found[name] = kept.run(f"posterior, {name}", work, weights)
    told |= kept.told()


def _sizes(rows: Rows) -> dict[str, Any]:
    return {
        "train": len(rows.y),
        "validation": len(rows.y_validation),
        "test": len(rows.y_test),
        "classes": list(rows.classes),
    }
