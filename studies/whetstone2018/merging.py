"""A results file that is completed network by network: what stands there stays, as long as its recipe is the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from studies.stages import stage_seconds
from studies.whetstone2018.recipe import differing
from studies.whetstone2018.settings import Settings

BY_NETWORK = (
    "training",
    "judged",
    "posterior",
    "pictures",
    "linear",
)  # parts of the file with an entry for each network
SAMPLING = ("keeps", "tuning_rows", "samples", "resamples")  # settings that a posterior depends on
EVERYTHING = ("rows", "test_rows")  # and those that all figures do
POSTERIOR = "posterior"  # of its stages' names


def outdated(before: Mapping[str, Any], settings: Settings, seed: int) -> dict[str, str]:
    """Networks of a results file that are not those of the settings, and why, in words.

    Args:
        before: what the file holds.
        settings, seed: of the run that completes it.
    """
    then, now = before["settings"], asdict(settings)
    if every := _another_study(before, settings, seed):
        return dict.fromkeys(before["networks"], f"another study: {', '.join(every)} differ")
    found: dict[str, str] = {}
    for name in before["networks"]:
        if name not in settings.recipes:
            found[name] = "no network of this study"
        elif fields := differing(then["recipes"][name], now["recipes"][name]):
            found[name] = f"another recipe: {', '.join(fields)} differ"
    return found


def _another_study(before: Mapping[str, Any], settings: Settings, seed: int) -> list[str]:
    """Settings of everything that differ."""
    every = [name for name in EVERYTHING if before["settings"][name] != getattr(settings, name)]
    return every + (["seed"] if before["seed"] != seed else [])


def merged(
    found: dict[str, Any], before: Mapping[str, Any] | None, settings: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    """What a run found, beside what a results file holds of other networks; in the order of the recipes.

    Args:
        found: of the run, as :func:`~studies.whetstone2018.command.run_whetstone2018` makes it.
        before: what the file holds; None if there is none.
        settings: of the run.
        say: is told what is dropped.
    """
    if before is None:
        return ordered(found, found["networks"], settings)
    kept = _kept_networks(found, before, settings, say)
    changes = _kept_changes(found, before, settings, say)
    names = [name for name in settings.recipes if name in kept or name in found["networks"]]
    parts = {part: {n: one for n, one in before.get(part, {}).items() if n in kept} for part in BY_NETWORK}
    parts[POSTERIOR] = _kept_posteriors(found, before, settings, names, say)
    stages = {
        "training": {n: one for n, one in before["stages"]["training"].items() if n in kept or n in changes},
        "judging": {
            stage: one
            for stage, one in before["stages"]["judging"].items()
            if _network(stage) in (parts[POSTERIOR] if stage.startswith(POSTERIOR) else [*kept, *changes])
        },
    }
    whole = found | {part: parts[part] | found.get(part, {}) for part in BY_NETWORK} | {"commits": before["commits"]}
    whole["ablations"] = changes | found.get("ablations", {})
    whole["stages"] = {part: stages[part] | found["stages"][part] for part in stages}
    whole["rows"] = before["rows"] | found["rows"]
    recipes = whole["settings"]["recipes"]
    threads = {name: {"threads": before["settings"]["recipes"][name]["threads"]} for name in kept}  # as it was run
    recipes = {name: recipe | threads.get(name, {}) for name, recipe in recipes.items()}
    whole["settings"] = whole["settings"] | {"recipes": recipes}
    return ordered(whole, names, settings)


def _kept_changes(
    found: dict[str, Any], before: Mapping[str, Any], settings: Settings, say: Callable[[str], None]
) -> dict[str, Any]:
    """Ablations that the run did not do, if they are still the same."""
    then, now, kept = before["settings"].get("ablations", {}), _plain(asdict(settings)["ablations"]), {}
    for name, one in before.get("ablations", {}).items():
        if name in found.get("ablations", {}):
            continue
        same = (
            name in now
            and not _another_study(before, settings, found["seed"])
            and _same_rows(now[name]["recipe"]["data"], found, before)
            and all(then[name][key] == now[name][key] for key in ("base", "field", "among", "epochs"))
            and not differing(then[name]["recipe"], now[name]["recipe"])
        )
        if same:
            kept[name] = one
        else:
            say(f"{name} is dropped from the results: another recipe, or other rows")
    return kept


def _kept_networks(
    found: dict[str, Any], before: Mapping[str, Any], settings: Settings, say: Callable[[str], None]
) -> list[str]:
    gone = {n: why for n, why in outdated(before, settings, found["seed"]).items() if n not in found["networks"]}
    for name in before["networks"]:
        if (
            name not in found["networks"]
            and name not in gone
            and not _same_rows(settings.recipes[name].data, found, before)
        ):
            gone[name] = f"other rows of {settings.recipes[name].data}"
    for name, why in gone.items():
        say(f"{name} is dropped from the results: {why}")
    return [name for name in before["networks"] if name not in found["networks"] and name not in gone]


def _same_rows(kind: str, found: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Of a data set, as far as the run read it."""
    return found["rows"].get(kind, before["rows"][kind]) == before["rows"][kind]


def _kept_posteriors(
    found: dict[str, Any],
    before: Mapping[str, Any],
    settings: Settings,
    names: Iterable[str],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Those that the run did not judge, if what they depend on is the same."""
    then, now, kept = before["settings"], _plain(asdict(settings)), {}
    gone = outdated(before, settings, found["seed"])
    for name, one in before[POSTERIOR].items():
        pair = now[POSTERIOR].get(name)
        if name in found[POSTERIOR]:
            continue
        if (
            pair is not None
            and _plain(then[POSTERIOR].get(name)) == pair
            and {name, pair[0]} <= set(names)
            and not {name, pair[0]} & gone.keys()
            and all(_plain(then[key]) == now[key] for key in SAMPLING)
        ):
            kept[name] = one
        else:
            say(f"the posterior of {name} is dropped from the results: its networks or settings are others")
    return kept


def ordered(found: dict[str, Any], names: Sequence[str], settings: Settings) -> dict[str, Any]:
    """With everything in the order of the networks, and what follows from all of it: commits and seconds.

    Args:
        found: as :func:`merged` takes it, with parts of further networks perhaps, which are left out; ``commits`` of
            stages that do not tell their own.
        names: of the networks, in order.
        settings: of the study.
    """
    changes = {n: found["ablations"][n] for n in settings.ablations if n in found.get("ablations", {})}
    place = {name: i for i, name in enumerate([*names, *changes])}
    training = {name: found["stages"]["training"][name] for name in place if name in found["stages"]["training"]}
    pairs = {name: {name, masks} for name, (masks, _) in settings.posterior.items()}
    posterior = {n: one for n, one in found[POSTERIOR].items() if pairs[n] <= place.keys()}  # both are told of
    judging = [
        (stage, one)
        for stage, one in found["stages"]["judging"].items()
        if _network(stage) in (posterior if stage.startswith(POSTERIOR) else place)
    ]
    judging = dict(sorted(judging, key=lambda item: _place(item[0], place)))
    stages = [stage for one in training.values() if isinstance(one, Mapping) for stage in one["trainings"].values()]
    stages += [stage for stage in judging.values() if isinstance(stage, Mapping)]
    untold = any(not isinstance(one, Mapping) for one in (*training.values(), *judging.values()))
    commits = found.get("commits", []) if untold else []
    sets = dict.fromkeys(
        [settings.recipes[n].data for n in names] + [one["recipe"]["data"] for one in changes.values()]
    )
    made = {
        "networks": list(names),
        "commits": list(dict.fromkeys([*commits, *(stage["commit"] for stage in stages)])),
        "rows": {kind: found["rows"][kind] for kind in sets},
        "seconds": sum(stage_seconds(stage) for stage in judging.values()),
        "stages": {"training": training, "judging": judging},
        "ablations": changes,
    }
    for part in BY_NETWORK:
        entries = posterior if part == POSTERIOR else found.get(part, {})
        made[part] = {name: entries[name] for name in names if name in entries}
    return found | made


def _network(stage: str) -> str:
    """Of a stage "NETWORK, seed K" or "WHAT, NETWORK"."""
    first, second = stage.split(", ")
    return first if second.startswith("seed ") else second


def _place(stage: str, place: Mapping[str, int]) -> tuple[int, str, int, int]:
    """First the seeds of all networks, then each other kind of stage."""
    first, second = stage.split(", ")
    if second.startswith("seed "):
        return 0, "", place[first], int(second.removeprefix("seed "))
    return 1, first, place[second], 0


def _plain(value: Any) -> Any:
    """With lists for tuples, as a file has them."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
