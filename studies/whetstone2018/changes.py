"""Changes of some recipes: one value chosen on validation rows, then trained and judged by their accuracies alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from studies.stages import Stages
from studies.whetstone2018.judging import accuracies_of
from studies.whetstone2018.learning import ORIGINAL, SPIKING
from studies.whetstone2018.recipe import Ablation, Recipe, learning_part
from studies.whetstone2018.run import Run, home_of, weights_of
from studies.whetstone2018.training import Training, told_of, train_each

Told = dict[str, Any]


def run_changes(names: Sequence[str], run: Run) -> tuple[dict[str, Any], Told, Told]:
    """What the named ablations found, and what is told of their trainings and of their judging.

    Returns:
        By name: ``chosen`` (None, or the ``field``, its ``value`` and the validation accuracies of all that were
        ``tried``), the ``recipe``, ``seconds`` of its epochs, and accuracies ``judged`` for each seed.
    """
    ablations = {name: run.settings.ablations[name] for name in names}
    tries = {
        (name, value): Training(run.learning(name, recipe), recipe)
        for name, one in ablations.items()
        for value, recipe in one.tries().items()
    }
    tried = train_each(tries, run)
    chosen = {
        name: _chosen(one, {value: tried[name, value] for value in one.among}) for name, one in ablations.items()
    }
    recipes = {name: _with(one.recipe, chosen[name]) for name, one in ablations.items()}
    kept = {name: _kept(name, ablations[name], recipe, run) for name, recipe in recipes.items()}
    every = {(n, k): Training(kept[n], recipe, k) for n, recipe in recipes.items() for k in range(recipe.seeds)}
    trained = train_each(every, run)
    found, training, judging = {}, {}, {}
    for name, recipe in recipes.items():
        judged = run.stages("accuracies", name, {"recipe": learning_part(asdict(recipe)), "seeds": recipe.seeds})
        homes = [home_of(kept[name], k) for k in range(recipe.seeds)]
        accuracies = judged.run(
            f"accuracies, {name}",
            partial(_judged, recipe, run, homes),
            lambda homes=homes: [path for home in homes for path in weights_of(home)],
        )
        all_of = [(tries[name, v].recipe, tried[name, v]) for v in ablations[name].among]
        all_of += [(recipe, trained[name, k]) for k in range(recipe.seeds)]
        found[name] = {
            "base": ablations[name].base,
            "chosen": chosen[name],
            "recipe": asdict(recipe),
            "seconds": sum(_seconds(r, one) for r, one in all_of),
            "judged": accuracies["judged"],
        }
        stages = {f"{ablations[name].field} {v:g}, ": tries[name, v].kept for v in ablations[name].among}
        training[name] = told_of(stages | {"": kept[name]})
        judging |= judged.told()
    return found, training, judging


def _kept(name: str, ablation: Ablation, recipe: Recipe, run: Run) -> Stages:
    """Where it is trained: the very recipe of its base need not be trained again."""
    base = run.settings.recipes.get(ablation.base)
    same = base is not None and learning_part(asdict(base)) == learning_part(asdict(recipe))
    return run.learning(ablation.base if same else name, recipe)


def _chosen(ablation: Ablation, tried: dict[float, dict[str, Any]]) -> dict[str, Any] | None:
    """The value with the highest spiking accuracy on validation rows after the last epoch."""
    if not ablation.among:
        return None
    accuracies = {value: one[SPIKING]["validation"][-1] for value, one in tried.items()}
    best = max(accuracies, key=accuracies.__getitem__)
    return {
        "field": ablation.field,
        "value": best,
        "tried": {f"{value:g}": accuracy for value, accuracy in accuracies.items()},
        "epochs": ablation.epochs,
    }


def _with(recipe: Recipe, chosen: dict[str, Any] | None) -> Recipe:
    return recipe if chosen is None else replace(recipe, **{chosen["field"]: chosen["value"]})


def _judged(recipe: Recipe, run: Run, homes: Sequence[Any]) -> dict[str, Any]:
    return {"judged": [accuracies_of(recipe, run.rows(recipe.data), home) for home in homes]}


def _seconds(recipe: Recipe, trained: dict[str, Any]) -> float:
    """Of the epochs; those that the two networks share count once."""
    return sum(trained[ORIGINAL]["seconds"]) + sum(trained[SPIKING]["seconds"][recipe.fork :])
